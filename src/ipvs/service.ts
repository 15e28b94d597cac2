/** Virtual services: what clients connect to. */
import { isIPv4 } from 'node:net';
import { at, oneOf, positiveSeconds, refuseUnknownKeys } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { type Family, knownService, parseIp, type ServiceAddress, serviceKey } from '../net/address.ts';
import type { UnknownAttribute } from '../netlink/fields.ts';
import type { DestinationState } from './destination.ts';
import type { Statistics } from './statistics.ts';

/** A virtual service as it should be: complete and canonical. */
export interface VirtualService {
  /** Canonical text: `tcp://192.0.2.1:80`, `fwmark:5`. The identity of the service. */
  readonly address: string;
  /** A scheduler's name, or "none": then new connections are refused. */
  readonly scheduler: string;
  /** `sh-fallback`, `sh-port`, `mh-fallback`, `mh-port`, or for other schedulers `flag-1` to `flag-3`. */
  readonly schedulerFlags: readonly string[];
  readonly persistence: Persistence | null;
  /** Schedules every UDP packet by itself. */
  readonly onePacket: boolean;
}

/** Connections of one client go to one destination. */
export interface Persistence {
  /** 1 to 4294967. */
  readonly timeoutSeconds: number;
  /**
   * Clients of one network count as one: prefix length, 1 to 32 or 128. Other tools may have set an
   * IPv4 mask with holes; it is kept as text ("255.0.255.0").
   */
  readonly netmask: number | string;
  /** Persistence engine: "sip" looks into the packet for its Call-ID. */
  readonly engine: string | null;
}

/** A service as a caller may say it; what is missing has a default. */
export interface VirtualServiceInput {
  readonly address: string | ServiceAddress;
  /** Default: wlc. */
  readonly scheduler?: string | undefined;
  readonly schedulerFlags?: readonly string[] | undefined;
  readonly persistence?: PersistenceInput | null | undefined;
  readonly onePacket?: boolean | undefined;
}

export interface PersistenceInput {
  /** Default: 300. */
  readonly timeoutSeconds?: number | undefined;
  /** Default: single clients (32 or 128). */
  readonly netmask?: number | string | undefined;
  readonly engine?: string | null | undefined;
}

/** A service as the kernel holds it. */
export interface VirtualServiceState extends VirtualService {
  /** What a newer kernel says and this package does not understand. */
  readonly unknownAttributes?: readonly UnknownAttribute[];
  readonly statistics?: Statistics;
}

/** With its destinations, in the kernel's order: the newest first. */
export interface VirtualServiceWithDestinations extends VirtualServiceState {
  readonly destinations: readonly DestinationState[];
  /** Why destinations are missing, in a snapshot that may be `partial`. */
  readonly incomplete?: string;
}

/** Why the socket options do not show all destinations of a service: the kernel counts those of IPv6 and leaves them out. */
export const LEFT_OUT = 'the service has destinations of IPv6';

/** Completes a service that was just read. It becomes the same object, as a copy would cost more than reading it did. */
export function withDestinations(
  service: VirtualServiceState,
  destinations: readonly DestinationState[],
): VirtualServiceWithDestinations {
  const complete: VirtualServiceState & { destinations?: readonly DestinationState[] } = service;
  complete.destinations = destinations;
  return complete as VirtualServiceWithDestinations;
}

/** What an edit can change. */
export const serviceSettings: readonly string[] = ['scheduler', 'schedulerFlags', 'persistence', 'onePacket'];

const knownKeys = ['address', ...serviceSettings];

export const DEFAULT_SCHEDULER = 'wlc';
const DEFAULT_PERSISTENCE_SECONDS = 300;

/** IP_VS_SVC_F_SCHED1 to 3 by name; the names of sh and mh are those of linux/ip_vs.h and ip_vs_mh.c. */
const flagNames: ReadonlyMap<string, readonly string[]> = new Map([
  ['sh', ['sh-fallback', 'sh-port', 'flag-3']],
  ['mh', ['mh-fallback', 'mh-port', 'flag-3']],
]);
const plainFlagNames = ['flag-1', 'flag-2', 'flag-3'];

/** The names of the scheduler's three flags, in the order of their bits. */
export function schedulerFlagNames(scheduler: string): readonly string[] {
  return flagNames.get(scheduler) ?? plainFlagNames;
}

/**
 * Fills in defaults, checks everything that the kernel would take wrongly, and makes it canonical.
 * Throws an error of kind `input` whose `path` names the field.
 */
export function normalizeService(input: VirtualServiceInput): VirtualService {
  refuseUnknownKeys(input, 'service', knownKeys);
  const key = at(['address'], serviceKey, input.address);
  const address = knownService(key);
  const protocol = 'fwmark' in address ? undefined : address.protocol;
  if (protocol?.startsWith('ip-'))
    throw new IpvsError('INVALID_PROTOCOL', { detail: quote(protocol), path: ['address'] });

  const scheduler = normalizeScheduler(input.scheduler ?? DEFAULT_SCHEDULER);
  const persistence = normalizePersistence(input.persistence ?? null, address.family);
  if (persistence?.engine === 'sip' && protocol !== 'udp') {
    throw new IpvsError('INVALID_PERSISTENCE', {
      detail: 'the engine "sip" works on udp services only',
      path: ['persistence', 'engine'],
    });
  }
  if ('port' in address && address.port === 0 && persistence === null) {
    throw new IpvsError('PORT_ZERO', { path: ['address'] });
  }
  const onePacket = input.onePacket ?? false;
  if (typeof onePacket !== 'boolean')
    throw new IpvsError('INVALID_OPTION', { detail: 'onePacket is true or false', path: ['onePacket'] });
  if (onePacket && protocol !== undefined && protocol !== 'udp') {
    throw new IpvsError('INVALID_OPTION', {
      detail: 'one-packet scheduling works on udp services only',
      path: ['onePacket'],
    });
  }
  return {
    address: key,
    scheduler,
    schedulerFlags: normalizeFlags(input.schedulerFlags ?? [], scheduler),
    persistence,
    onePacket,
  };
}

function normalizeScheduler(name: unknown): string {
  // IP_VS_SCHEDNAME_MAXLEN is 16 with the NUL; the kernel hands the name to modprobe.
  if (typeof name === 'string' && /^[a-z0-9_]{1,15}$/.test(name)) return name;
  throw new IpvsError('INVALID_SCHEDULER', {
    detail: quote(name),
    path: ['scheduler'],
    hint: 'a name of up to 15 letters, such as rr, wrr, lc, wlc, sh, mh',
  });
}

/** In the order of their bits. Throws INVALID_SCHEDULER, INVALID_OPTION. */
export function normalizeFlags(flags: readonly string[], scheduler: string): string[] {
  const names = schedulerFlagNames(scheduler);
  if (!Array.isArray(flags))
    throw new IpvsError('INVALID_OPTION', { detail: 'schedulerFlags is a list', path: ['schedulerFlags'] });
  if (flags.length === 0) return [];
  const bits = flags.map((flag) => {
    const bit = names.includes(flag) ? names.indexOf(flag) : plainFlagNames.indexOf(flag);
    if (bit < 0) {
      const known = [...new Set([...names, ...plainFlagNames])].join(', ');
      throw new IpvsError('INVALID_SCHEDULER', {
        detail: `flag ${quote(flag)} of ${scheduler}`,
        path: ['schedulerFlags'],
        hint: `known: ${known}`,
      });
    }
    return bit;
  });
  return names.filter((_, bit) => bits.includes(bit));
}

function normalizePersistence(input: PersistenceInput | null, family: Family): Persistence | null {
  if (input === null) return null;
  if (typeof input !== 'object')
    throw new IpvsError('INVALID_PERSISTENCE', { detail: quote(input), path: ['persistence'] });
  refuseUnknownKeys(input, 'persistence', ['timeoutSeconds', 'netmask', 'engine'], ['persistence']);
  return {
    timeoutSeconds: positiveSeconds(input.timeoutSeconds ?? DEFAULT_PERSISTENCE_SECONDS, [
      'persistence',
      'timeoutSeconds',
    ]),
    netmask: normalizeNetmask(input.netmask, family),
    engine:
      input.engine == null ? null : oneOf(input.engine, ['sip'], 'INVALID_PERSISTENCE', ['persistence', 'engine']),
  };
}

function normalizeNetmask(netmask: unknown, family: Family): number | string {
  const bits = family === 'inet' ? 32 : 128;
  if (netmask === undefined) return bits;
  if (typeof netmask === 'number' && Number.isInteger(netmask) && netmask >= 1 && netmask <= bits) return netmask;
  if (typeof netmask === 'string' && family === 'inet' && isIPv4(netmask)) return netmaskOf(parseIp(netmask).bytes);
  throw new IpvsError('INVALID_NETMASK', {
    detail: quote(netmask),
    path: ['persistence', 'netmask'],
    hint: `a prefix length from 1 to ${bits}${family === 'inet' ? ', or a mask such as 255.255.255.0' : ''}`,
  });
}

/** The prefix length of an IPv4 mask, or the mask as text where it has holes (or is empty). */
export function netmaskOf(bytes: Uint8Array): number | string {
  const mask = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const prefix = Math.clz32(~mask);
  return prefix > 0 && mask === maskOf(prefix) ? prefix : bytes.join('.');
}

/** The IPv4 mask of a prefix length from 1 to 32, as a number. */
function maskOf(prefix: number): number {
  return (0xffff_ffff << (32 - prefix)) >>> 0;
}

/** The four bytes of an IPv4 mask, from what `netmaskOf` returned. */
export function netmaskBytes(netmask: number | string): Uint8Array {
  if (typeof netmask === 'string') return parseIp(netmask).bytes;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, maskOf(netmask));
  return bytes;
}

/** Whether both are configured alike; counters are not looked at. */
export function sameService(a: VirtualService, b: VirtualService): boolean {
  return (
    a.address === b.address &&
    a.scheduler === b.scheduler &&
    a.onePacket === b.onePacket &&
    a.schedulerFlags.join() === b.schedulerFlags.join() &&
    formatPersistence(a.persistence) === formatPersistence(b.persistence)
  );
}

/** For people: `300s`, `300s/24 sip`; "none" without persistence. */
export function formatPersistence(persistence: Persistence | null): string {
  if (persistence === null) return 'none';
  const { timeoutSeconds, netmask, engine } = persistence;
  return `${timeoutSeconds}s/${netmask}${engine ? ` ${engine}` : ''}`;
}
