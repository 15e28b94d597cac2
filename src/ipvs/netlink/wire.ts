/**
 * The generic netlink family IPVS: numbers, field tables, and their translation to our nouns.
 * Source: include/uapi/linux/ip_vs.h; types and byte orders as net/netfilter/ipvs/ip_vs_ctl.c reads
 * them. The header is the same from 6.1 to 7.2; features.ts says what is younger than others.
 */

import {
  type Family,
  formatDestinationAddress,
  formatServiceAddress,
  ipOf,
  knownService,
  parseDestinationAddress,
  parseIp,
  protocolNumber,
  protocolOf,
  quadOf,
  quadText,
  type ServiceAddress,
} from '../../net/address.ts';
import { hostIsLittleEndian } from '../../netlink/align.ts';
import type { Request } from '../../netlink/connection.ts';
import {
  bytes,
  Decoder,
  decodeFields,
  encodeFields,
  type Field,
  type FieldTable,
  type FieldType,
  type GivenValues,
  nested,
  string,
  type UnknownAttribute,
  u8,
  u16,
  u16be,
  u32,
  u64,
  writeField,
} from '../../netlink/fields.ts';
import { attributesOf, writeGenericHeader } from '../../netlink/generic.ts';
import type { Message } from '../../netlink/message.ts';
import { malformed, type Reader } from '../../netlink/reader.ts';
import type { Writer } from '../../netlink/writer.ts';
import {
  type Destination,
  type DestinationState,
  type Forward,
  MOST_WEIGHT,
  type Tunnel,
  tunnelChecksums,
  tunnelTypes,
} from '../destination.ts';
import {
  flagsOf,
  forwardName,
  forwardNumber,
  nameOf,
  numberOf,
  OUR_FLAGS,
  settingsOfFlags,
  versionText,
} from '../numbers.ts';
import type { Operation } from '../operation.ts';
import { netmaskBytes, netmaskOf, type VirtualService, type VirtualServiceState } from '../service.ts';
import type { Statistics } from '../statistics.ts';
import { type SyncDaemon, type SyncState, syncStates } from '../sync-daemon.ts';
import { type Timeouts, timeoutNames } from '../timeouts.ts';

export const IPVS_FAMILY_NAME = 'IPVS';

const command = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  NEW_DAEMON: 9,
  DEL_DAEMON: 10,
  GET_DAEMON: 11,
  SET_CONFIG: 12,
  GET_CONFIG: 13,
  GET_INFO: 15,
  ZERO: 16,
  FLUSH: 17,
} as const;

const AF_INET = 2;
const AF_INET6 = 10;

/** Where a value stands in the message's view. */
type Place = number;

/**
 * The kernel reads up to 16 bytes and always writes 16, whatever the family: which address they are is known with
 * the family alone.
 */
const address16: FieldType<Place, string> = {
  write(writer, number, ip) {
    const at = writer.attribute(number, 16);
    const quad = quadOf(ip);
    if (quad >= 0) writer.setU32be(at, quad);
    else writer.bytes.set(parseIp(ip).bytes, at);
  },
  read: (reader) => reader.place(16),
};

/** struct ip_vs_flags: the new flags, and which of them to change. In a reply the mask means nothing. */
const flagsAndMask: FieldType<number, { flags: number; mask: number }> = {
  write(writer, number, { flags, mask }) {
    const at = writer.attribute(number, 8);
    writer.setU32(at, flags);
    writer.setU32(at + 4, mask);
  },
  read: (reader) => reader.fixed(8, (view, at) => view.getUint32(at, hostIsLittleEndian)),
};

/** IPv4: the mask in network order. IPv6: the prefix length in host order. */
const netmask: FieldType<Place, Uint8Array> = { write: bytes(4).write, read: (reader) => reader.place(4) };

/** IPVS_STATS_ATTR_*, with all but the bytes of one type. */
function statisticsTable(type: FieldType<bigint>) {
  return {
    connections: { number: 1, type },
    packetsIn: { number: 2, type },
    packetsOut: { number: 3, type },
    bytesIn: { number: 4, type: u64 },
    bytesOut: { number: 5, type: u64 },
    connectionRate: { number: 6, type },
    packetInRate: { number: 7, type },
    packetOutRate: { number: 8, type },
    byteInRate: { number: 9, type },
    byteOutRate: { number: 10, type },
  } as const satisfies FieldTable;
}

/** The 64-bit form (STATS64). */
const statisticsFields = statisticsTable(u64);
/** The older form (STATS), of 32 bits that wrap. */
const statistics32Fields = statisticsTable({ write: (w, n, v) => w.u32(n, Number(v)), read: (r) => BigInt(r.u32()) });

/** Every kernel since 4.1 sends both forms, so the older one is decoded only where it is alone. */
const undecoded: FieldType<Reader> = { write: () => undefined, read: (reader) => reader.nested() };

function statisticsOf(counters: Decoder<typeof statisticsFields>): Statistics {
  const f = statisticsFields;
  return {
    connections: counters.get(f.connections) ?? 0n,
    packetsIn: counters.get(f.packetsIn) ?? 0n,
    packetsOut: counters.get(f.packetsOut) ?? 0n,
    bytesIn: counters.get(f.bytesIn) ?? 0n,
    bytesOut: counters.get(f.bytesOut) ?? 0n,
    rates: {
      connections: counters.get(f.connectionRate) ?? 0n,
      packetsIn: counters.get(f.packetInRate) ?? 0n,
      packetsOut: counters.get(f.packetOutRate) ?? 0n,
      bytesIn: counters.get(f.byteInRate) ?? 0n,
      bytesOut: counters.get(f.byteOutRate) ?? 0n,
    },
  };
}

const counters = new Decoder(statisticsFields);
const counters32 = new Decoder(statistics32Fields);

const statistics: FieldType<Statistics, GivenValues<typeof statisticsFields>> = {
  ...nested(statisticsFields),
  read(reader) {
    counters.read(reader.nested());
    return statisticsOf(counters);
  },
};

/** The counters of a message, in the form that it has them. */
function statisticsIn(values: Statistics | undefined, older: Reader | undefined): Statistics | undefined {
  if (values !== undefined || older === undefined) return values;
  counters32.read(older);
  return statisticsOf(counters32);
}

/** IPVS_SVC_ATTR_*. */
const serviceFields = {
  family: { number: 1, type: u16 },
  protocol: { number: 2, type: u16 },
  address: { number: 3, type: address16 },
  port: { number: 4, type: u16be },
  fwmark: { number: 5, type: u32 },
  scheduler: { number: 6, type: string },
  flags: { number: 7, type: flagsAndMask },
  timeoutSeconds: { number: 8, type: u32 },
  netmask: { number: 9, type: netmask },
  statistics32: { number: 10, type: undecoded },
  engine: { number: 11, type: string },
  statistics: { number: 12, type: statistics },
} as const satisfies FieldTable;

/** IPVS_DEST_ATTR_*. */
const destinationFields = {
  address: { number: 1, type: address16 },
  port: { number: 2, type: u16be },
  forward: { number: 3, type: u32 },
  weight: { number: 4, type: u32 },
  upperThreshold: { number: 5, type: u32 },
  lowerThreshold: { number: 6, type: u32 },
  activeConnections: { number: 7, type: u32 },
  inactiveConnections: { number: 8, type: u32 },
  persistentConnections: { number: 9, type: u32 },
  statistics32: { number: 10, type: undecoded },
  family: { number: 11, type: u16 },
  statistics: { number: 12, type: statistics },
  tunnelType: { number: 13, type: u8 },
  tunnelPort: { number: 14, type: u16be },
  tunnelFlags: { number: 15, type: u16 },
} as const satisfies FieldTable;

/** IPVS_DAEMON_ATTR_*. The port is in host byte order (ip_vs_ctl.c), whatever one would expect. */
const daemonFields = {
  state: { number: 1, type: u32 },
  interface: { number: 2, type: string },
  id: { number: 3, type: u32 },
  maxLengthBytes: { number: 4, type: u16 },
  group: { number: 5, type: bytes(4) },
  group6: { number: 6, type: bytes(16) },
  port: { number: 7, type: u16 },
  ttl: { number: 8, type: u8 },
} as const satisfies FieldTable;

/** IPVS_CMD_ATTR_*. */
const commandFields = {
  service: { number: 1, type: nested(serviceFields) },
  destination: { number: 2, type: nested(destinationFields) },
  daemon: { number: 3, type: nested(daemonFields) },
  tcpSeconds: { number: 4, type: u32 },
  tcpFinSeconds: { number: 5, type: u32 },
  udpSeconds: { number: 6, type: u32 },
} as const satisfies FieldTable;

/** IPVS_INFO_ATTR_*, which stand at the top level of the reply. */
const infoFields = {
  version: { number: 1, type: u32 },
  connectionTableSize: { number: 2, type: u32 },
} as const satisfies FieldTable;

/** The request that carries out an operation. */
export function operationRequest(family: number, operation: Operation): Request {
  return new OperationRequest(family, operation);
}

/** Those of many operations, each made when it is asked for: there may be tens of thousands. */
export function* operationRequests(family: number, operations: readonly Operation[]): Generator<Request> {
  for (const operation of operations) yield operationRequest(family, operation);
}

class OperationRequest implements Request {
  readonly type: number;
  readonly #operation: Operation;

  constructor(family: number, operation: Operation) {
    this.type = family;
    this.#operation = operation;
  }

  /** A new scheduler costs an RCU grace period: up to 20 ms inside the kernel. */
  get alone(): boolean {
    return this.#operation.type === 'service.edit';
  }

  write(writer: Writer): void {
    writeOperation(writer, this.#operation);
  }
}

const commands: Readonly<Record<Operation['type'], number>> = {
  'service.add': command.NEW_SERVICE,
  'service.edit': command.SET_SERVICE,
  'service.delete': command.DEL_SERVICE,
  'destination.add': command.NEW_DEST,
  'destination.edit': command.SET_DEST,
  'destination.delete': command.DEL_DEST,
  flush: command.FLUSH,
  zero: command.ZERO,
  'timeouts.set': command.SET_CONFIG,
  'sync.start': command.NEW_DAEMON,
  'sync.stop': command.DEL_DAEMON,
};

function writeOperation(writer: Writer, operation: Operation): void {
  writeGenericHeader(writer, commands[operation.type]);
  switch (operation.type) {
    case 'service.add':
    case 'service.edit':
      writer.nested(commandFields.service.number, writeService, operation.service);
      break;
    case 'service.delete':
      writer.nested(commandFields.service.number, writeServiceId, operation.service);
      break;
    case 'destination.add':
    case 'destination.edit':
      writer.nested(commandFields.service.number, writeServiceId, operation.service);
      writer.nested(commandFields.destination.number, writeDestination, operation.destination);
      break;
    case 'destination.delete':
      writer.nested(commandFields.service.number, writeServiceId, operation.service);
      writer.nested(commandFields.destination.number, writeDestinationId, operation.destination);
      break;
    case 'zero':
      if (operation.service !== undefined)
        writer.nested(commandFields.service.number, writeServiceId, operation.service);
      break;
    case 'timeouts.set':
      encodeFields(writer, commandFields, operation.timeouts);
      break;
    case 'sync.start':
      encodeFields(writer, commandFields, { daemon: daemonValues(operation.daemon) });
      break;
    case 'sync.stop':
      encodeFields(writer, commandFields, { daemon: { state: syncStateNumber(operation.state) } });
      break;
    case 'flush':
      break;
  }
}

export function infoRequest(family: number): Request {
  return request(family, command.GET_INFO);
}

export function dumpServicesRequest(family: number): Request {
  return request(family, command.GET_SERVICE);
}

export function getServiceRequest(family: number, service: string): Request {
  return request(family, command.GET_SERVICE, (writer) =>
    writer.nested(commandFields.service.number, writeServiceId, service),
  );
}

export function dumpDestinationsRequest(family: number, service: string): Request {
  return request(family, command.GET_DEST, (writer) =>
    writer.nested(commandFields.service.number, writeServiceId, service),
  );
}

export function timeoutsRequest(family: number): Request {
  return request(family, command.GET_CONFIG);
}

export function dumpDaemonsRequest(family: number): Request {
  return request(family, command.GET_DAEMON);
}

/**
 * Asks whether the kernel has a scheduler (and an engine), without changing anything: the netmask 0 is refused
 * with EINVAL, but only after both were found (ENOENT if not; ip_vs_ctl.c, ip_vs_add_service).
 */
export function probeSchedulerRequest(family: number, scheduler: string, engine?: string): Request {
  return request(family, command.NEW_SERVICE, (writer) => {
    const settings = { scheduler, flags: { flags: 0, mask: 0 }, timeoutSeconds: 0, netmask: new Uint8Array(4), engine };
    writer.nested(commandFields.service.number, () => {
      writeServiceId(writer, 'tcp://[2001:db8::]:1');
      encodeFields(writer, serviceFields, settings);
    });
  });
}

/**
 * Asks whether the kernel knows an attribute of destinations, by one without a value: EINVAL if it does. If it
 * does not it passes the attribute over, and says ENOENT: no service can have the destination 0.0.0.0 or ::.
 */
export function probeDestinationRequest(family: number, service: string, number: number): Request {
  const table = {
    destination: {
      number: commandFields.destination.number,
      type: nested({ address: destinationFields.address, port: destinationFields.port, ...withoutValue(number) }),
    },
  };
  const destination = { address: '0.0.0.0', port: 0, withoutValue: NO_BYTES };
  return request(family, command.DEL_DEST, (writer) => {
    writer.nested(commandFields.service.number, writeServiceId, service);
    encodeFields(writer, table, { destination });
  });
}

/** Likewise of sync daemons: EINVAL with words about the attribute, else ENODEV: no interface has this name. */
export function probeDaemonRequest(family: number, number: number): Request {
  const { state, interface: name, id } = daemonFields;
  const type = nested({ state, interface: name, id, ...withoutValue(number) });
  const table = { daemon: { number: commandFields.daemon.number, type } };
  const daemon = { state: NO_STATE, interface: '/', id: 0, withoutValue: NO_BYTES };
  return request(family, command.NEW_DAEMON, (writer) => encodeFields(writer, table, { daemon }));
}

const NO_BYTES = new Uint8Array(0);
const NO_STATE = syncStates.length + 1;

function withoutValue(number: number): { readonly withoutValue: Field<Uint8Array> } {
  return { withoutValue: { number, type: bytes(0) } };
}

function request(family: number, number: number, attributes?: (writer: Writer) => void): Request {
  return {
    type: family,
    write(writer) {
      writeGenericHeader(writer, number);
      attributes?.(writer);
    },
  };
}

// Services and destinations are written field by field, in the order of their tables: thousands go at a time.

function writeServiceId(writer: Writer, text: string): void {
  const address = knownService(text);
  writeField(writer, serviceFields.family, familyNumber(address.family));
  if ('fwmark' in address) {
    writeField(writer, serviceFields.fwmark, address.fwmark);
  } else {
    writeField(writer, serviceFields.protocol, protocolNumber(address.protocol));
    writeField(writer, serviceFields.address, address.ip);
    writeField(writer, serviceFields.port, address.port);
  }
}

function writeService(writer: Writer, service: VirtualService): void {
  const { address, scheduler, persistence } = service;
  writeServiceId(writer, address);
  writeField(writer, serviceFields.scheduler, scheduler);
  writeField(writer, serviceFields.flags, { flags: flagsOf(service), mask: OUR_FLAGS });
  writeField(writer, serviceFields.timeoutSeconds, persistence?.timeoutSeconds ?? 0);
  writeField(writer, serviceFields.netmask, encodeNetmask(persistence?.netmask, knownService(address).family));
  // Left out of an edit, it is taken from the service.
  writeField(writer, serviceFields.engine, persistence?.engine ?? undefined);
}

const SINGLE_CLIENTS = netmaskBytes(32);

function encodeNetmask(netmask: number | string | undefined, family: Family): Uint8Array {
  if (family === 'inet') return netmask === undefined ? SINGLE_CLIENTS : netmaskBytes(netmask);
  return new Uint8Array(new Uint32Array([Number(netmask ?? 128)]).buffer);
}

function writeDestinationId(writer: Writer, text: string): void {
  const { family, ip, port } = parseDestinationAddress(text);
  writeField(writer, destinationFields.address, ip);
  writeField(writer, destinationFields.port, port);
  writeField(writer, destinationFields.family, familyNumber(family));
}

function writeDestination(writer: Writer, destination: Destination): void {
  const { family, ip, port } = parseDestinationAddress(destination.address);
  const { forward } = destination;
  writeField(writer, destinationFields.address, ip);
  writeField(writer, destinationFields.port, port);
  writeField(writer, destinationFields.forward, forwardNumber(typeof forward === 'object' ? 'tunnel' : forward));
  writeField(writer, destinationFields.weight, destination.weight);
  writeField(writer, destinationFields.upperThreshold, destination.upperThreshold);
  writeField(writer, destinationFields.lowerThreshold, destination.lowerThreshold);
  writeField(writer, destinationFields.family, familyNumber(family));
  // An edit without them makes it plain IP in IP; sent only where needed, for kernels before 5.2.
  if (typeof forward !== 'object') return;
  writeField(writer, destinationFields.tunnelType, numberOf(forward.tunnel, tunnelTypes));
  writeField(writer, destinationFields.tunnelPort, forward.port);
  writeField(writer, destinationFields.tunnelFlags, numberOf(forward.checksum, tunnelChecksums));
}

function daemonValues(daemon: SyncDaemon): GivenValues<typeof daemonFields> {
  const { state, group, ...settings } = daemon;
  const multicast = group === undefined ? undefined : parseIp(group);
  return {
    ...settings,
    state: syncStateNumber(state),
    ...(multicast && { [multicast.family === 'inet' ? 'group' : 'group6']: multicast.bytes }),
  };
}

/** IP_VS_STATE_MASTER is 1, IP_VS_STATE_BACKUP 2. */
function syncStateNumber(state: SyncState): number {
  return syncStates.indexOf(state) + 1;
}

function familyNumber(family: Family): number {
  return family === 'inet' ? AF_INET : AF_INET6;
}

function familyOf(number: number | undefined): Family {
  if (number === AF_INET) return 'inet';
  if (number === AF_INET6) return 'inet6';
  throw malformed(0, `address family ${number}`);
}

export interface Info {
  /** "1.2.1" */
  readonly version: string;
  /** Buckets of the connection table; since 7.1 its current size, 0 before the first service. */
  readonly connectionTableSize: number;
  /** The kernel's own words, which the socket options alone have: "IP Virtual Server version 1.2.1 (size=4096)". */
  readonly text?: string;
}

export function readInfo(message: Message): Info {
  const { version, connectionTableSize } = required(decodeFields(attributesOf(message), infoFields), [
    'version',
    'connectionTableSize',
  ]);
  return { version: versionText(version), connectionTableSize };
}

export function readTimeouts(message: Message): Timeouts {
  return required(decodeFields(attributesOf(message), commandFields), timeoutNames);
}

export function readDaemon(message: Message): SyncDaemon {
  const values = decodeFields(contentOf(message, commandFields.daemon.number), daemonFields);
  const { state, group, group6, ...settings } = required(values, ['state', 'interface', 'id']);
  const name = syncStates[state - 1];
  if (name === undefined) throw malformed(message.start, `sync daemon of state ${state}`);
  const multicast = group ?? group6;
  return { state: name, ...settings, ...(multicast && { group: ipOf(multicast).text }) };
}

const serviceDecoders = decoders(serviceFields);
const destinationDecoders = decoders(destinationFields);

/** With or without the statistics, which are half of a dump. */
function decoders<Table extends FieldTable>(table: Table): { all: Decoder<Table>; plain: Decoder<Table> } {
  return { all: new Decoder(table), plain: new Decoder(table, [10, 12]) };
}

export function serviceReader(statistics: boolean): (message: Message) => VirtualServiceState {
  const values = statistics ? serviceDecoders.all : serviceDecoders.plain;
  const f = serviceFields;
  return (message) => {
    const unknown = values.read(contentOf(message, commandFields.service.number));
    const scheduler = values.need(f.scheduler);
    const family = familyOf(values.need(f.family));
    const { schedulerFlags, persistent, onePacket } = settingsOfFlags(scheduler, values.need(f.flags));
    const service = {
      address: formatServiceAddress(serviceAddressOf(message.view, family, values)),
      scheduler,
      schedulerFlags,
      persistence: persistent ? persistenceOf(message.view, family, values) : null,
      onePacket,
    };
    return withMore(service, unknown, statisticsIn(values.get(f.statistics), values.get(f.statistics32)));
  };
}

function serviceAddressOf(view: DataView, family: Family, values: Decoder<typeof serviceFields>): ServiceAddress {
  const fwmark = values.get(serviceFields.fwmark);
  if (fwmark !== undefined && fwmark !== 0) return { family, fwmark };
  return {
    family,
    protocol: protocolOf(values.need(serviceFields.protocol)),
    ip: ipText(view, family, values.need(serviceFields.address)),
    port: values.need(serviceFields.port),
  };
}

function persistenceOf(
  view: DataView,
  family: Family,
  values: Decoder<typeof serviceFields>,
): VirtualService['persistence'] {
  const at = values.need(serviceFields.netmask);
  return {
    timeoutSeconds: values.need(serviceFields.timeoutSeconds),
    netmask: family === 'inet' ? netmaskOf(bytesAt(view, at, 4)) : prefixAt(view, at),
    engine: values.get(serviceFields.engine) ?? null,
  };
}

function prefixAt(view: DataView, at: Place): number {
  const prefix = view.getUint32(at, hostIsLittleEndian);
  if (prefix >= 1 && prefix <= 128) return prefix;
  throw malformed(at, `a prefix length of ${prefix}`);
}

export function destinationReader(statistics: boolean, service: string): (message: Message) => DestinationState {
  const values = statistics ? destinationDecoders.all : destinationDecoders.plain;
  const f = destinationFields;
  const serviceFamily = knownService(service).family;
  return (message) => {
    const unknown = values.read(contentOf(message, commandFields.destination.number));
    const ownFamily = values.get(f.family);
    const family = ownFamily === undefined ? serviceFamily : familyOf(ownFamily);
    const ip = ipText(message.view, family, values.need(f.address));
    const weight = values.need(f.weight);
    if (weight > MOST_WEIGHT) throw malformed(message.start, `a weight of ${weight}`);
    const destination = {
      address: formatDestinationAddress({ family, ip, port: values.need(f.port) }),
      forward: forwardOf(values),
      weight,
      upperThreshold: values.need(f.upperThreshold),
      lowerThreshold: values.need(f.lowerThreshold),
      activeConnections: values.get(f.activeConnections) ?? 0,
      inactiveConnections: values.get(f.inactiveConnections) ?? 0,
      persistentConnections: values.get(f.persistentConnections) ?? 0,
    };
    return withMore(destination, unknown, statisticsIn(values.get(f.statistics), values.get(f.statistics32)));
  };
}

/** What only some messages have. */
interface More {
  unknownAttributes?: readonly UnknownAttribute[];
  statistics?: Statistics;
}

/** Added to the object that was just made: to copy it would cost more than it did. */
function withMore<State extends object>(
  state: State & More,
  unknown: readonly UnknownAttribute[],
  statistics: Statistics | undefined,
): State & More {
  if (unknown.length > 0) state.unknownAttributes = unknown;
  if (statistics !== undefined) state.statistics = statistics;
  return state;
}

function forwardOf(values: Decoder<typeof destinationFields>): Forward {
  const name = forwardName(values.need(destinationFields.forward));
  if (name !== 'tunnel') return name;
  const tunnel: Tunnel = {
    tunnel: nameOf(values.get(destinationFields.tunnelType) ?? 0, tunnelTypes),
    port: values.get(destinationFields.tunnelPort) ?? 0,
    checksum: nameOf(values.get(destinationFields.tunnelFlags) ?? 0, tunnelChecksums),
  };
  return tunnel.tunnel === 'ipip' && tunnel.port === 0 && tunnel.checksum === 'nocsum' ? 'tunnel' : tunnel;
}

function ipText(view: DataView, family: Family, at: Place): string {
  if (family === 'inet') return quadText(view.getUint32(at, false));
  return ipOf(bytesAt(view, at, 16)).text;
}

function bytesAt(view: DataView, at: Place, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

/** The attributes inside attribute `number` of the message. */
function contentOf(message: Message, number: number): Reader {
  const reader = attributesOf(message);
  while (reader.next()) {
    if (reader.type !== number) continue;
    reader.enter();
    return reader;
  }
  throw malformed(message.start, `attribute ${number} is missing`);
}

/** Refuses a message that lacks what every kernel sends. */
function required<V extends object, K extends keyof V>(
  values: V,
  names: readonly K[],
): V & { [Name in K]-?: NonNullable<V[Name]> } {
  for (const name of names) if (values[name] === undefined) throw malformed(0, `${String(name)} is missing`);
  return values as V & { [Name in K]-?: NonNullable<V[Name]> };
}
