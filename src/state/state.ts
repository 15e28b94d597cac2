/** What a file describes, complete and canonical. Plain data. */
import type { DefensePolicy } from '../defense/policy.ts';
import type { MarkMatch } from '../iptables/rules/mark-match.ts';
import type { MasqueradeRule } from '../iptables/rules/masquerade.ts';
import type { Destination } from '../ipvs/destination.ts';
import type { VirtualService } from '../ipvs/service.ts';
import type { SyncDaemon } from '../ipvs/sync-daemon.ts';
import type { Timeouts } from '../ipvs/timeouts.ts';
import { isListOf, isNumber, isRecord, type Shape } from '../record/shapes.ts';
import {
  hasTexts,
  isAbsentOr,
  isDefensePolicy,
  isDestinationShape,
  isServiceShape,
  isSyncDaemons,
  isSysctlValues,
  isTimeouts,
} from './shapes.ts';

/** A section that is absent is not managed. */
export interface DesiredState {
  readonly services: readonly DesiredService[];
  readonly timeouts?: Partial<Timeouts>;
  readonly sync?: readonly SyncDaemon[];
  /** Values by canonical names, as `normalizeSysctls` gives them. */
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly defense?: DefensePolicy;
  /** No two of them overlap, unless one is a special case of the other. */
  readonly masquerade?: readonly MasqueradeRule[];
  readonly limits?: Limits;
}

/** A service with its destinations, as a file wants it; several addresses of one entry are several of these. */
export interface DesiredService {
  readonly service: VirtualService;
  /** In the order of the file. */
  readonly destinations: readonly DesiredDestination[];
  readonly name?: string;
  /** Destinations that are not described are removed, whoever made them. */
  readonly exclusive?: boolean;
  /** The network interface on which its address is ours to add and remove. */
  readonly interface?: string;
  /** Its connections come to their real servers from an address of this host. */
  readonly sourceNat?: true;
  /** Of a service by firewall mark: what gets it. Of entries with both families those of the other one too. */
  readonly match?: readonly MarkMatch[];
  /** What is new to its address, and for none of the services, is refused. */
  readonly rejectUnserved?: true;
  /** How destinations that leave the file are removed. */
  readonly drain?: DrainSettings;
  /** How destinations that are new begin. */
  readonly ramp?: RampSettings;
}

export interface DesiredDestination extends Destination {
  /** The host name that its address came from. */
  readonly host?: string;
}

export interface DrainSettings {
  readonly timeoutSeconds: number;
  /** What happens when it is over: the destination is deleted, or stays with weight 0. */
  readonly afterwards: 'delete' | 'keep';
}

export interface RampSettings {
  readonly durationSeconds: number;
  /** The share of its weight that a destination begins with: 0 to 1. */
  readonly floor: number;
  readonly curve: 'linear' | 'exponential';
}

export interface Limits {
  /** The share of services, or of a service's weight, that one apply may remove: 0 to 1. */
  readonly maxChange?: number;
  /** The most steps that the weights of a service under wrr may take. Default: `MOST_WEIGHT_STEPS`. */
  readonly maxWeightSteps?: number;
}

const indices = new WeakMap<DesiredState, ReadonlyMap<string, DesiredService>>();

/** The services by their addresses. A plan, its check and its record look into the same state, which may be large. */
export function servicesByAddress(state: DesiredState): ReadonlyMap<string, DesiredService> {
  let index = indices.get(state);
  if (index === undefined) {
    index = new Map(state.services.map((entry) => [entry.service.address, entry]));
    indices.set(state, index);
  }
  return index;
}

export const NOTHING_DESIRED: DesiredState = { services: [] };

/** Whether something that was kept as JSON is a desired state, so far that nothing meets a value of another type. Pure. */
export function isDesiredState(value: unknown): value is DesiredState {
  if (!isRecord(value)) return false;
  const { services, timeouts, sync, sysctls, defense, masquerade, limits = {} } = value;
  return (
    isListOf(services, isDesiredService) &&
    isAbsentOr((each) => isTimeouts(each, false), timeouts) &&
    isAbsentOr(isSyncDaemons, sync) &&
    isAbsentOr(isSysctlValues, sysctls) &&
    isAbsentOr(isDefensePolicy, defense) &&
    isAbsentOr((rules) => isListOf(rules, isMasquerade), masquerade) &&
    isRecord(limits) &&
    [limits['maxChange'], limits['maxWeightSteps']].every((each) => isAbsentOr(isNumber, each))
  );
}

export const desiredShape: Shape<DesiredState> = { name: 'desired state', fits: isDesiredState };

function isDesiredService(value: unknown): boolean {
  if (!hasTexts(value, [], ['name', 'interface']) || !isServiceShape(value['service'])) return false;
  const { destinations, drain, ramp, match } = value;
  return (
    isListOf(destinations, isDestinationShape) &&
    isAbsentOr(isDrainSettings, drain) &&
    isAbsentOr(isRampSettings, ramp) &&
    isAbsentOr((matches) => isListOf(matches, isMatch), match)
  );
}

function isDrainSettings(value: unknown): boolean {
  return hasTexts(value, ['afterwards']) && isNumber(value['timeoutSeconds']);
}

function isRampSettings(value: unknown): boolean {
  return hasTexts(value, ['curve']) && isNumber(value['durationSeconds']) && isNumber(value['floor']);
}

function isMatch(value: unknown): boolean {
  return hasTexts(value, [], ['address', 'in', 'protocol', 'ports']);
}

function isMasquerade(value: unknown): boolean {
  return hasTexts(value, ['source'], ['out', 'protocol', 'ports', 'toSource']);
}
