/**
 * The kernel's table as a pure model of net/netfilter/ipvs/ip_vs_ctl.c: what an operation does, or with which errno
 * it is refused, in the kernel's order of checks. test/kernel/model.test.ts searches for differences to the real one.
 */
import { errno } from '../../base/errors.ts';
import { type Family, parseDestinationAddress, parseIp, parseServiceAddress } from '../../net/address.ts';
import { type Destination, type Forward, isTunnel, tunnelChecksums, tunnelTypes } from '../destination.ts';
import { flagsOf, forwardName, forwardNumber, nameOf, numberOf, settingsOfFlags } from '../numbers.ts';
import type { Operation } from '../operation.ts';
import { netmaskBytes, netmaskOf, type VirtualService } from '../service.ts';
import type { SyncDaemon } from '../sync-daemon.ts';
import { type Timeouts, timeoutNames } from '../timeouts.ts';
import type { Profile } from './profile.ts';
import type { Table, TableDaemon, TableDestination, TableService, TrashedDestination } from './table.ts';

export interface Applied {
  readonly table: Table;
  /** 0, or the positive errno of the refusal. */
  readonly errno: number;
}

/** What an operation makes of a table at this time, in milliseconds by any clock that only goes forward. */
export function apply(table: Table, operation: Operation, profile: Profile, nowMs: number): Applied {
  const before = swept(table, nowMs);
  const after = profile.permitted ? carriedOut(before, operation, profile, nowMs) : errno.EPERM;
  return typeof after === 'number' ? { table: before, errno: after } : { table: after, errno: 0 };
}

/** What it asks a kernel that it may not change: whether it has these modules (EINVAL if it does). */
export function askForModules(scheduler: string, engine: string | null | undefined, profile: Profile): number {
  if (!profile.permitted) return errno.EPERM;
  return familyRefusal('inet6', profile) ?? moduleRefusal(scheduler, engine, profile) ?? errno.EINVAL;
}

/** The table afterwards, or an errno. */
type Result = Table | number;

function carriedOut(table: Table, operation: Operation, profile: Profile, nowMs: number): Result {
  switch (operation.type) {
    case 'service.add':
      return addService(table, operation.service, profile);
    case 'service.edit':
      return editService(table, operation.service, profile);
    case 'service.delete':
      return withService(table, operation.service, profile, (service) => without(table, [service], nowMs));
    case 'destination.add':
      return withService(table, operation.service, profile, (service) =>
        addDestination(table, service, operation.destination, profile),
      );
    case 'destination.edit':
      return withService(table, operation.service, profile, (service) =>
        editDestination(table, service, operation.destination, profile),
      );
    case 'destination.delete':
      return withService(table, operation.service, profile, (service) =>
        deleteDestination(table, service, operation.destination, profile, nowMs),
      );
    case 'flush':
      return without(table, table.services, nowMs);
    case 'zero':
      return zero(table, operation.service, profile);
    case 'timeouts.set':
      return setTimeouts(table, operation.timeouts, profile);
    case 'sync.start':
      return startDaemon(table, operation.daemon, profile);
    case 'sync.stop':
      if (table.syncDaemons[operation.state] === null) return errno.ESRCH;
      return { ...table, syncDaemons: { ...table.syncDaemons, [operation.state]: null } };
  }
}

// Services

/** IP_VS_SCHEDNAME_MAXLEN, IP_VS_PENAME_MAXLEN and IFNAMSIZ, without the NUL. */
const MOST_SCHEDULER_BYTES = 15;
const MOST_ENGINE_BYTES = 16;
const MOST_INTERFACE_BYTES = 15;
/** Entries of the lookup table of mh. */
const MOST_MH_DESTINATIONS = 4093;
const U32 = 2 ** 32;
const INT_MAX = 2 ** 31 - 1;

function addService(table: Table, service: VirtualService, profile: Profile): Result {
  const refusal = malformed(service) ?? addressRefusal(service.address, profile);
  if (refusal !== undefined) return refusal;
  if (findService(table, service.address) !== undefined) return errno.EEXIST;
  const lacking = settingsRefusal(service, profile);
  if (lacking !== undefined) return lacking;
  const added = { ...stored(service, profile), number: table.nextNumber, destinations: [] };
  return { ...table, services: [...table.services, added], used: true, nextNumber: table.nextNumber + 1 };
}

function editService(table: Table, service: VirtualService, profile: Profile): Result {
  const long = malformed(service);
  if (long !== undefined) return long;
  return withService(table, service.address, profile, (current) => {
    const refusal = settingsRefusal(service, profile);
    if (refusal !== undefined) return refusal;
    const newScheduler = service.scheduler !== current.scheduler ? service.scheduler : undefined;
    if (newScheduler === 'mh' && current.destinations.length > MOST_MH_DESTINATIONS) return errno.EINVAL;
    return replaced(table, { ...current, ...stored(service, profile) });
  });
}

/** Finds the service that an operation names, after the checks that come before. */
function withService(
  table: Table,
  address: string,
  profile: Profile,
  found: (service: TableService) => Result,
): Result {
  const refusal = addressRefusal(address, profile);
  if (refusal !== undefined) return refusal;
  const service = findService(table, address);
  return service === undefined ? errno.ESRCH : found(service);
}

export function findService(table: Table, address: string): TableService | undefined {
  return table.services.find((service) => service.address === address);
}

function replaced(table: Table, service: TableService): Table {
  return { ...table, services: table.services.map((other) => (other.number === service.number ? service : other)) };
}

/** Their destinations go to the trash, the first of each first. */
function without(table: Table, gone: readonly TableService[], nowMs: number): Table {
  const numbers = new Set(gone.map(({ number }) => number));
  let left: Table = { ...table, services: table.services.filter(({ number }) => !numbers.has(number)) };
  for (const service of gone)
    for (const destination of service.destinations) left = trashed(left, service, destination, nowMs);
  return left;
}

/** The attribute policy of netlink: before anything is looked at. */
function malformed({ scheduler, persistence }: VirtualService): number | undefined {
  if (Buffer.byteLength(scheduler) > MOST_SCHEDULER_BYTES) return errno.EINVAL;
  return Buffer.byteLength(persistence?.engine ?? '') > MOST_ENGINE_BYTES ? errno.EINVAL : undefined;
}

/** Netlink looks at the family, the socket options at the protocol. */
function addressRefusal(text: string, profile: Profile): number | undefined {
  const address = parseServiceAddress(text);
  if (profile.transport === 'netlink') return familyRefusal(address.family, profile);
  return 'protocol' in address && address.protocol.startsWith('ip-') ? errno.EFAULT : undefined;
}

function familyRefusal(family: Family, { ipv6 }: Profile): number | undefined {
  return family === 'inet6' && !ipv6 ? errno.EAFNOSUPPORT : undefined;
}

function settingsRefusal({ address, scheduler, persistence }: VirtualService, profile: Profile): number | undefined {
  const lacking = moduleRefusal(scheduler, persistence?.engine, profile);
  if (lacking !== undefined) return lacking;
  if (parseServiceAddress(address).family === 'inet') return undefined;
  const prefix = Number(persistence?.netmask ?? 128);
  return prefix >= 1 && prefix <= 128 ? undefined : errno.EINVAL;
}

function moduleRefusal(
  scheduler: string,
  engine: string | null | undefined,
  { schedulers, engines }: Profile,
): number | undefined {
  if (scheduler !== 'none' && !schedulers.includes(scheduler)) return errno.ENOENT;
  return engine && !engines.includes(engine) ? errno.ENOENT : undefined;
}

/** A service as it is read again. */
function stored(service: VirtualService, { hz }: Profile): VirtualService {
  const { address, scheduler, persistence } = service;
  const { schedulerFlags, persistent, onePacket } = settingsOfFlags(scheduler, flagsOf(service));
  if (!persistent || persistence === null) return { address, scheduler, schedulerFlags, persistence: null, onePacket };
  const { timeoutSeconds, netmask, engine } = persistence;
  const ipv4 = parseServiceAddress(address).family === 'inet';
  return {
    address,
    scheduler,
    schedulerFlags,
    persistence: {
      timeoutSeconds: Math.floor(((timeoutSeconds * hz) % U32) / hz),
      netmask: ipv4 ? netmaskOf(netmaskBytes(netmask)) : Number(netmask),
      engine: engine || null,
    },
    onePacket,
  };
}

// Destinations

function addDestination(table: Table, service: TableService, wanted: Destination, profile: Profile): Result {
  const refusal = destinationRefusal(table, service, wanted, profile);
  if (refusal !== undefined) return refusal;
  const { address } = wanted;
  if (findDestination(service, address) !== undefined) return errno.EEXIST;
  const of = trashKey(service.address);
  const old = table.trash.find((entry) => entry.of === of && entry.destination.address === address);
  if (old !== undefined) {
    const trash = table.trash.filter((entry) => entry !== old);
    return withDestination({ ...table, trash }, service, revived(old, service, wanted));
  }
  if (!isUsable(address, profile)) return errno.EINVAL;
  const unused = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  return withDestination(table, service, { ...configured(wanted), ...unused });
}

/** At the head of the list. */
function withDestination(table: Table, service: TableService, destination: TableDestination): Table {
  return replaced(table, { ...service, destinations: [destination, ...service.destinations] });
}

function editDestination(table: Table, service: TableService, wanted: Destination, profile: Profile): Result {
  const refusal = destinationRefusal(table, service, wanted, profile);
  if (refusal !== undefined) return refusal;
  const current = findDestination(service, wanted.address);
  if (current === undefined) return errno.ENOENT;
  const edited = { ...current, ...configured(wanted) };
  const destinations = service.destinations.map((other) => (other === current ? edited : other));
  return replaced(table, { ...service, destinations });
}

function deleteDestination(
  table: Table,
  service: TableService,
  address: string,
  profile: Profile,
  nowMs: number,
): Result {
  const refusal = familyRefusal(parseDestinationAddress(address).family, profile);
  if (refusal !== undefined) return refusal;
  const destination = findDestination(service, address);
  if (destination === undefined) return errno.ENOENT;
  const destinations = service.destinations.filter((other) => other !== destination);
  return trashed(replaced(table, { ...service, destinations }), service, destination, nowMs);
}

function findDestination({ destinations }: TableService, address: string): TableDestination | undefined {
  return destinations.find((destination) => destination.address === address);
}

/** What is looked at before the destination is. */
function destinationRefusal(
  table: Table,
  service: TableService,
  { address, forward, weight, upperThreshold, lowerThreshold }: Destination,
  profile: Profile,
): number | undefined {
  const { family } = parseDestinationAddress(address);
  const unsupported = familyRefusal(family, profile);
  if (unsupported !== undefined) return unsupported;
  if (family !== parseServiceAddress(service.address).family) {
    if (Object.values(table.syncDaemons).some((daemon) => daemon !== null)) return errno.EINVAL;
    if (!isTunnel(readForward(forward))) return errno.EINVAL;
  }
  // The weight is a signed number of 32 bits, thresholds are unsigned ones.
  if ((weight | 0) < 0) return errno.ERANGE;
  const [upper, lower] = [upperThreshold >>> 0, lowerThreshold >>> 0];
  if (lower > upper) return errno.ERANGE;
  if (upper > INT_MAX && profile.differences.boundedThresholds) return errno.EINVAL;
  if (typeof forward === 'string') return undefined;
  return tunnelNumber(forward.tunnel) === tunnelTypes.indexOf('gue') && forward.port === 0 ? errno.EINVAL : undefined;
}

/** Whether the kernel takes the address for that of a host (inet_addr_type(), ipv6_addr_type()). */
function isUsable(text: string, { loopback }: Profile): boolean {
  const { family, bytes } = parseIp(parseDestinationAddress(text).ip);
  const [first = 0, second = 0] = bytes;
  const all = (bytes: Uint8Array, value: number) => bytes.every((byte) => byte === value);
  if (family === 'inet') {
    if (!loopback || all(bytes, 0) || all(bytes, 255) || (first & 0xf0) === 0xe0) return false;
    return !(first === 127 && all(bytes.subarray(1), 255)); // the broadcast address of lo's network
  }
  const linkLocal = first === 0xfe && (second & 0xc0) === 0x80;
  const mapped = all(bytes.subarray(0, 10), 0) && all(bytes.subarray(10, 12), 255);
  return !all(bytes, 0) && first !== 0xff && !linkLocal && !mapped;
}

/** A destination as it is read again. */
function configured({ address, forward, weight, upperThreshold, lowerThreshold }: Destination): Destination {
  return {
    address,
    forward: readForward(forward),
    weight: weight | 0,
    upperThreshold: upperThreshold >>> 0,
    lowerThreshold: lowerThreshold >>> 0,
  };
}

function readForward(forward: Forward): Forward {
  if (typeof forward === 'string') return forwardName(forwardNumber(forward));
  const tunnel = nameOf(tunnelNumber(forward.tunnel), tunnelTypes);
  const checksum = nameOf(numberOf(forward.checksum, tunnelChecksums) & 0xffff, tunnelChecksums);
  const plain = tunnel === 'ipip' && forward.port === 0 && checksum === 'nocsum';
  return plain ? 'tunnel' : { tunnel, port: forward.port, checksum };
}

function tunnelNumber(name: string): number {
  return numberOf(name, tunnelTypes) & 0xff;
}

// The trash: a deleted destination is kept while connections refer to it, and two minutes longer.

const TRASH_MS = 120_000;
const SWEEP_MS = TRASH_MS / 2;

function trashed(table: Table, service: TableService, destination: TableDestination, nowMs: number): Table {
  const of = trashKey(service.address);
  const entry = { of, serviceNumber: service.number, idleSinceMs: null, destination };
  return {
    ...table,
    trash: [entry, ...table.trash],
    sweepAtMs: table.trash.length === 0 ? nowMs + SWEEP_MS : table.sweepAtMs,
  };
}

/** Those of one mark are the same for both families (ip_vs_trash_get_dest). */
function trashKey(service: string): string {
  const address = parseServiceAddress(service);
  return 'fwmark' in address ? `fwmark:${address.fwmark}` : service;
}

/** With its connections; with its counters too if it is the same service that it comes back to. */
function revived({ destination, serviceNumber }: TrashedDestination, service: TableService, wanted: Destination) {
  const { statistics, ...kept } = destination;
  const back = { ...kept, ...configured(wanted) };
  return serviceNumber === service.number && statistics ? { ...back, statistics } : back;
}

/** The table after the trash was looked through as often as its timer rang (ip_vs_dest_trash_expire). */
function swept(table: Table, nowMs: number): Table {
  let { trash, sweepAtMs } = table;
  while (sweepAtMs !== null && sweepAtMs <= nowMs) {
    const atMs = sweepAtMs;
    trash = trash.flatMap((entry) => {
      if (isReferred(entry.destination)) return [entry];
      if (entry.idleSinceMs === null) return [{ ...entry, idleSinceMs: atMs }];
      return atMs < entry.idleSinceMs + TRASH_MS ? [entry] : [];
    });
    // Once only those with connections are left, nothing changes any more.
    const settled = trash.every(({ destination }) => isReferred(destination));
    const times = settled ? Math.floor((nowMs - atMs) / SWEEP_MS) + 1 : 1;
    sweepAtMs = trash.length === 0 ? null : atMs + times * SWEEP_MS;
  }
  return sweepAtMs === table.sweepAtMs ? table : { ...table, trash, sweepAtMs };
}

function isReferred(destination: TableDestination): boolean {
  const { activeConnections, inactiveConnections, persistentConnections } = destination;
  return activeConnections + inactiveConnections + persistentConnections > 0;
}

// The rest

function zero(table: Table, address: string | undefined, profile: Profile): Result {
  const everything = address === undefined || (profile.transport === 'sockopt' && isNowhere(address));
  if (everything) return { ...table, services: table.services.map(zeroed) };
  return withService(table, address, profile, (service) => replaced(table, zeroed(service)));
}

/** All zero: by the socket options that means every service. */
function isNowhere(service: string): boolean {
  const address = parseServiceAddress(service);
  return 'ip' in address && address.ip === '0.0.0.0' && address.port === 0;
}

function zeroed({ statistics: _, ...service }: TableService): TableService {
  return { ...service, destinations: service.destinations.map(({ statistics: _, ...destination }) => destination) };
}

function setTimeouts(table: Table, wanted: Partial<Timeouts>, { hz }: Profile): Result {
  const most = Math.floor(INT_MAX / hz);
  const given = timeoutNames.map((name) => [name, (wanted[name] ?? 0) | 0] as const);
  if (given.some(([, seconds]) => seconds < 0 || seconds > most)) return errno.EINVAL;
  return {
    ...table,
    timeouts: { ...table.timeouts, ...Object.fromEntries(given.filter(([, seconds]) => seconds > 0)) },
  };
}

const SYNC_GROUP = '224.0.0.81';
const SYNC_PORT = 8848;
/** Headers of IP and UDP. */
const HEADER_BYTES = { inet: 28, inet6: 48 } as const;
const LEAST_MESSAGE_BYTES = { master: 1, backup: 1024 } as const;
const ETHERNET_MTU = 1500;
const MOST_BYTES = 65_535;

function startDaemon(table: Table, daemon: SyncDaemon, profile: Profile): Result {
  const { state, interface: name } = daemon;
  const group = parseIp(daemon.group ?? SYNC_GROUP);
  const refusal = profile.transport === 'netlink' ? daemonRefusal(table, daemon) : optionRefusal(daemon);
  if (refusal !== undefined) return refusal;
  const device = Object.hasOwn(profile.interfaces, name) ? profile.interfaces[name] : undefined;
  if (device === undefined) return errno.ENODEV;
  if (table.syncDaemons[state] !== null) return errno.EEXIST;
  if (state === 'master' && group.family === 'inet6' && !device.multicast6) return errno.ENETUNREACH;
  const mtu = state === 'master' ? ETHERNET_MTU : clamp(device.mtu, ETHERNET_MTU, MOST_BYTES);
  const header = HEADER_BYTES[group.family];
  const wanted = (daemon.maxLengthBytes ?? 0) & 0xffff;
  const started: TableDaemon = {
    interface: name,
    id: daemon.id >>> 0,
    maxLengthBytes: wanted ? clamp(wanted, LEAST_MESSAGE_BYTES[state], MOST_BYTES - header) : mtu - header,
    group: group.text,
    port: (daemon.port ?? 0) & 0xffff || SYNC_PORT,
    ttl: (daemon.ttl ?? 0) & 0xff || 1,
  };
  const used = table.used || state === 'backup';
  return { ...table, used, syncDaemons: { ...table.syncDaemons, [state]: started } };
}

function daemonRefusal(table: Table, { interface: name, group }: SyncDaemon): number | undefined {
  if (Buffer.byteLength(name) > MOST_INTERFACE_BYTES) return errno.EINVAL;
  if (group !== undefined && !isMulticast(group)) return errno.EINVAL;
  return table.services.some(hasOtherFamily) ? errno.EINVAL : undefined;
}

/** The socket options do not look for mixed families. */
function optionRefusal({ interface: name }: SyncDaemon): number | undefined {
  return name === '' ? errno.EINVAL : undefined;
}

function hasOtherFamily({ address, destinations }: TableService): boolean {
  const { family } = parseServiceAddress(address);
  return destinations.some((destination) => parseDestinationAddress(destination.address).family !== family);
}

function isMulticast(group: string): boolean {
  const { family, bytes } = parseIp(group);
  const [first = 0] = bytes;
  return family === 'inet' ? (first & 0xf0) === 0xe0 : first === 0xff;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
