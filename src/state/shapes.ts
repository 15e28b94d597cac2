/** Shapes of what desired states and kept tables hold. By hand, as light commands load it. Pure. */
import type { DefensePolicy } from '../defense/policy.ts';
import type { SyncDaemon } from '../ipvs/sync-daemon.ts';
import type { Timeouts } from '../ipvs/timeouts.ts';
import { isListOf, isNumber, isRecord, isText } from '../record/shapes.ts';

type Unknowns = Readonly<Record<string, unknown>>;

export function isServiceShape(value: unknown): value is Unknowns {
  if (!isRecord(value)) return false;
  const { address, scheduler, schedulerFlags, persistence, onePacket } = value;
  return (
    isText(address) &&
    isText(scheduler) &&
    isListOf(schedulerFlags, isText) &&
    (persistence === null || isPersistence(persistence)) &&
    typeof onePacket === 'boolean'
  );
}

function isPersistence(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { timeoutSeconds, netmask, engine } = value;
  return isNumber(timeoutSeconds) && (isNumber(netmask) || isText(netmask)) && (engine === null || isText(engine));
}

export function isDestinationShape(value: unknown): value is Unknowns {
  if (!isRecord(value)) return false;
  const { address, forward, weight, upperThreshold, lowerThreshold } = value;
  return (
    isText(address) && isForward(forward) && isNumber(weight) && isNumber(upperThreshold) && isNumber(lowerThreshold)
  );
}

function isForward(value: unknown): boolean {
  return isText(value) || (hasTexts(value, ['tunnel', 'checksum']) && isNumber(value['port']));
}

/** `whole`: with all of them. */
export function isTimeouts(value: unknown, whole: true): value is Timeouts;
export function isTimeouts(value: unknown, whole: false): value is Partial<Timeouts>;
export function isTimeouts(value: unknown, whole: boolean): boolean {
  if (!isRecord(value)) return false;
  const { tcpSeconds, tcpFinSeconds, udpSeconds }: Unknowns = value;
  return [tcpSeconds, tcpFinSeconds, udpSeconds].every((each) => isNumber(each) || (!whole && each === undefined));
}

export function isSyncDaemons(value: unknown): value is SyncDaemon[] {
  return isListOf(value, (each) => {
    if (!hasTexts(each, ['interface'], ['group']) || !isNumber(each['id'])) return false;
    const { state, maxLengthBytes = 0, port = 0, ttl = 0 } = each;
    return (state === 'master' || state === 'backup') && [maxLengthBytes, port, ttl].every(isNumber);
  });
}

export function isSysctlValues(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === 'string');
}

/** What it says is checked by those who go by it. */
export function isDefensePolicy(value: unknown): value is DefensePolicy {
  return (
    isRecord(value) && isListOf(value['levels'], isRecord) && (value['preset'] === null || isText(value['preset']))
  );
}

/** Whether it is an object with texts, some of which may be absent. */
export function hasTexts(
  value: unknown,
  names: readonly string[],
  optional: readonly string[] = [],
): value is Unknowns {
  if (!isRecord(value)) return false;
  return names.every((name) => isText(value[name])) && optional.every((name) => isAbsentOr(isText, value[name]));
}

export function isAbsentOr(fits: (value: unknown) => boolean, value: unknown): boolean {
  return value === undefined || fits(value);
}
