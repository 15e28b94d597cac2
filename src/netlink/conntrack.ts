/**
 * Connection tracking over netlink (linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_netlink.c): the table of tracked
 * connections and of what NAT makes of them.
 *
 *     16       17        18         20
 *     +--------+---------+----------+------------+
 *     | family | version | resource | attributes |      struct nfgenmsg
 *     +--------+---------+----------+------------+
 *
 * All integers of attributes are in network order. It needs CAP_NET_ADMIN in the user namespace that owns the network
 * namespace; the first use loads nf_conntrack_netlink.
 */
import type { Request } from './connection.ts';
import {
  bytes,
  Decoder,
  decodeFields,
  encodeFields,
  type FieldTable,
  type FieldType,
  type GivenValues,
  nested,
  string,
  u8,
  u16be,
  u32,
  u32be,
  type Values,
} from './fields.ts';
import type { Message } from './message.ts';
import { malformed, Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export const NETLINK_NETFILTER = 12;

const NFNL_SUBSYS_CTNETLINK = 1;
const messageOf = (command: number) => (NFNL_SUBSYS_CTNETLINK << 8) | command;
const IPCTNL_MSG_CT_NEW = messageOf(0);
const IPCTNL_MSG_CT_GET = messageOf(1);
const IPCTNL_MSG_CT_DELETE = messageOf(2);
const IPCTNL_MSG_CT_GET_STATS_CPU = messageOf(4);
const IPCTNL_MSG_CT_GET_STATS = messageOf(5);

const HEADER_BYTES = 4;
const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;

/** enum ip_conntrack_status */
export const connectionStatus = {
  EXPECTED: 0x1,
  SEEN_REPLY: 0x2,
  ASSURED: 0x4,
  CONFIRMED: 0x8,
  SRC_NAT: 0x10,
  DST_NAT: 0x20,
  DYING: 0x200,
  HELPER: 0x2000,
  OFFLOAD: 0x4000,
} as const;

/** A counter, in network order. */
const u64be: FieldType<bigint> = {
  write() {
    throw new Error('counters are only read');
  },
  read: (reader) => reader.fixed(8, (view, at) => view.getBigUint64(at)),
};

const ipFields = {
  source4: { number: 1, type: bytes(4) },
  destination4: { number: 2, type: bytes(4) },
  source6: { number: 3, type: bytes(16) },
  destination6: { number: 4, type: bytes(16) },
} as const satisfies FieldTable;

const protocolFields = {
  number: { number: 1, type: u8 },
  sourcePort: { number: 2, type: u16be },
  destinationPort: { number: 3, type: u16be },
  icmpId: { number: 4, type: u16be },
  icmpType: { number: 5, type: u8 },
  icmpCode: { number: 6, type: u8 },
  icmpv6Id: { number: 7, type: u16be },
  icmpv6Type: { number: 8, type: u8 },
  icmpv6Code: { number: 9, type: u8 },
} as const satisfies FieldTable;

const tupleFields = {
  ip: { number: 1, type: nested(ipFields) },
  protocol: { number: 2, type: nested(protocolFields) },
} as const satisfies FieldTable;

const counterFields = {
  packets: { number: 1, type: u64be },
  bytes: { number: 2, type: u64be },
} as const satisfies FieldTable;

/** Read by hand: a dump has two for each of perhaps a million connections. */
const tuple: FieldType<Tuple, GivenValues<typeof tupleFields>> = {
  write: nested(tupleFields).write,
  read: (reader) => readTuple(reader.nested()),
};

const entryFields = {
  original: { number: 1, type: tuple },
  reply: { number: 2, type: tuple },
  status: { number: 3, type: u32be },
  protocolInfo: { number: 4, type: nested({ tcp: { number: 1, type: nested({ state: { number: 1, type: u8 } }) } }) },
  helper: { number: 5, type: nested({ name: { number: 1, type: string } }) },
  timeoutSeconds: { number: 7, type: u32be },
  mark: { number: 8, type: u32be },
  originalCounters: { number: 9, type: nested(counterFields) },
  replyCounters: { number: 10, type: nested(counterFields) },
  id: { number: 12, type: u32be },
  master: { number: 14, type: tuple },
  zone: { number: 18, type: u16be },
  filter: { number: 25, type: nested({ original: { number: 1, type: u32 }, reply: { number: 2, type: u32 } }) },
  statusMask: { number: 26, type: u32be },
} as const satisfies FieldTable;

/** Which parts of a tuple must be equal (net/netfilter/nf_internals.h, CTA_FILTER_F_*). */
const filterFlags = { source: 0x1, destination: 0x2, protocol: 0x8, sourcePort: 0x10, destinationPort: 0x20 } as const;

const statisticsFields = {
  found: { number: 2, type: u32be },
  invalid: { number: 4, type: u32be },
  insertFailed: { number: 9, type: u32be },
  drop: { number: 10, type: u32be },
  earlyDrop: { number: 11, type: u32be },
  error: { number: 12, type: u32be },
  searchRestart: { number: 13, type: u32be },
  clashResolve: { number: 14, type: u32be },
  chainTooLong: { number: 15, type: u32be },
} as const satisfies FieldTable;

const utilisationFields = {
  entries: { number: 1, type: u32be },
  most: { number: 2, type: u32be },
} as const satisfies FieldTable;

/** One direction of a connection. Addresses have 4 or 16 bytes, in network order. */
export interface Tuple {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** IPPROTO_* */
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
}

export interface TrackedCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface TrackedConnection {
  readonly original: Tuple;
  readonly reply: Tuple;
  /** Bits of `connectionStatus`. */
  readonly status: number;
  /** enum tcp_conntrack; absent for other protocols. */
  readonly tcpState?: number;
  readonly timeoutSeconds: number;
  readonly mark: number;
  readonly id: number;
  readonly zone: number;
  readonly helper?: string;
  /** The connection whose helper expected this one. */
  readonly master?: Tuple;
  /** Where nf_conntrack_acct was on when it began. */
  readonly originalCounters?: TrackedCounters;
  readonly replyCounters?: TrackedCounters;
}

/** Addresses of the filter's family. Ports mean something only with a protocol. */
export type PartialTuple = { readonly [Name in Exclude<keyof Tuple, 'icmp'>]?: Tuple[Name] | undefined };

export interface DumpFilter {
  readonly family?: 'inet' | 'inet6';
  /** Only connections with all of these bits. */
  readonly status?: number;
  /** Only those that are so in this direction; with `family` alone. Linux before 5.8 does not heed it. */
  readonly original?: PartialTuple;
  readonly reply?: PartialTuple;
}

/** A dump of tracked connections. The kernel leaves out what the filter leaves out. */
export function dumpConnectionsRequest({ family, status, original, reply }: DumpFilter = {}): Request {
  return {
    type: IPCTNL_MSG_CT_GET,
    write(writer) {
      writeHeader(writer, family === undefined ? AF_UNSPEC : family === 'inet' ? AF_INET : AF_INET6);
      encodeFields(writer, entryFields, {
        ...(original && { original: fieldsOf(original) }),
        ...(reply && { reply: fieldsOf(reply) }),
        ...(status && { status, statusMask: status }),
        ...((original || reply) && { filter: { original: flagsOf(original), reply: flagsOf(reply) } }),
      });
    },
  };
}

/** Undefined where nothing is asked of a direction. */
function flagsOf(tuple: PartialTuple = {}): number | undefined {
  const names = Object.keys(filterFlags) as (keyof typeof filterFlags)[];
  return names.reduce((flags, name) => flags | (tuple[name] === undefined ? 0 : filterFlags[name]), 0) || undefined;
}

/** The connection that has this tuple in this direction; ENOENT where there is none. */
export function getConnectionRequest(direction: 'original' | 'reply', tuple: Tuple): Request {
  return tupleRequest(IPCTNL_MSG_CT_GET, direction, tuple);
}

/**
 * Deletes one connection: ENOENT where it is not there, or is another one by now. Without a tuple this would be the request
 * that deletes all of them, so a tuple that is not whole throws RangeError.
 */
export function deleteConnectionRequest({
  original,
  id,
  zone,
}: Pick<TrackedConnection, 'original' | 'id' | 'zone'>): Request {
  return tupleRequest(IPCTNL_MSG_CT_DELETE, 'original', original, { id, ...(zone !== 0 && { zone }) });
}

function tupleRequest(
  type: number,
  direction: 'original' | 'reply',
  tuple: Tuple,
  more: { readonly id?: number; readonly zone?: number } = {},
): Request {
  const { source, destination, protocol } = tuple;
  const isIpv6 = source?.length === 16;
  const isWhole =
    (isIpv6 || source?.length === 4) &&
    destination?.length === source.length &&
    Number.isInteger(protocol) &&
    protocol > 0;
  if (!isWhole) throw new RangeError('a tuple that is not whole would mean every connection');
  return {
    type,
    write(writer) {
      writeHeader(writer, isIpv6 ? AF_INET6 : AF_INET);
      encodeFields(writer, entryFields, { [direction]: fieldsOf(tuple), ...more });
    },
  };
}

function fieldsOf({
  source,
  destination,
  protocol,
  sourcePort,
  destinationPort,
  icmp,
}: PartialTuple & Pick<Tuple, 'icmp'>) {
  const isIpv6 = (source ?? destination)?.length === 16;
  return {
    ip: isIpv6 ? { source6: source, destination6: destination } : { source4: source, destination4: destination },
    ...(protocol !== undefined && {
      protocol: {
        number: protocol,
        sourcePort,
        destinationPort,
        ...(icmp && isIpv6 && { icmpv6Id: icmp.id, icmpv6Type: icmp.type, icmpv6Code: icmp.code }),
        ...(icmp && !isIpv6 && { icmpId: icmp.id, icmpType: icmp.type, icmpCode: icmp.code }),
      },
    }),
  };
}

/** How many connections are tracked, and how many may be. */
export const utilisationRequest: Request = {
  type: IPCTNL_MSG_CT_GET_STATS,
  write: (writer) => writeHeader(writer, AF_UNSPEC),
};

/** A dump of what each processor counted. */
export const statisticsRequest: Request = {
  type: IPCTNL_MSG_CT_GET_STATS_CPU,
  write: (writer) => writeHeader(writer, AF_UNSPEC),
};

function writeHeader(writer: Writer, family: number): void {
  const start = writer.reserve(HEADER_BYTES);
  writer.bytes[start] = family;
}

const entry = new Decoder(entryFields);

/** Throws REPLY_MALFORMED. */
export function readConnection(message: Message): TrackedConnection {
  const { type, start } = message;
  if (type !== IPCTNL_MSG_CT_NEW) throw malformed(start, `message ${type} is no tracked connection`);
  entry.read(attributesOf(message), false);
  const [original, reply] = [entry.get(entryFields.original), entry.get(entryFields.reply)];
  if (original === undefined || reply === undefined) throw malformed(start, 'a connection without both directions');
  const connection: Writable<TrackedConnection> = {
    original,
    reply,
    status: entry.get(entryFields.status) ?? 0,
    timeoutSeconds: entry.get(entryFields.timeoutSeconds) ?? 0,
    mark: entry.get(entryFields.mark) ?? 0,
    id: entry.get(entryFields.id) ?? 0,
    zone: entry.get(entryFields.zone) ?? 0,
  };
  const tcpState = entry.get(entryFields.protocolInfo)?.tcp?.state;
  if (tcpState !== undefined) connection.tcpState = tcpState;
  const helper = entry.get(entryFields.helper)?.name;
  if (helper !== undefined) connection.helper = helper;
  const master = entry.get(entryFields.master);
  if (master) connection.master = master;
  const [originalCounters, replyCounters] = [
    entry.get(entryFields.originalCounters),
    entry.get(entryFields.replyCounters),
  ];
  if (originalCounters) connection.originalCounters = countersOf(originalCounters);
  if (replyCounters) connection.replyCounters = countersOf(replyCounters);
  return connection;
}

/** Made step by step: there may be a million of them. */
type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

function countersOf({ packets = 0n, bytes = 0n }: Values<typeof counterFields>): TrackedCounters {
  return { packets, bytes };
}

function readTuple(reader: Reader): Tuple {
  let source: Uint8Array | undefined;
  let destination: Uint8Array | undefined;
  let rest: Values<typeof protocolFields> = {};
  let number: number | undefined;
  let sourcePort: number | undefined;
  let destinationPort: number | undefined;
  while (reader.next()) {
    if (reader.type === tupleFields.ip.number) {
      const ip = reader.nested();
      while (ip.next()) {
        if (ip.type === ipFields.source4.number) source = ip.binary(4);
        else if (ip.type === ipFields.destination4.number) destination = ip.binary(4);
        else if (ip.type === ipFields.source6.number) source = ip.binary(16);
        else if (ip.type === ipFields.destination6.number) destination = ip.binary(16);
      }
    } else if (reader.type === tupleFields.protocol.number) {
      const protocol = reader.nested();
      while (protocol.next()) {
        if (protocol.type === protocolFields.number.number) number = protocol.u8();
        else if (protocol.type === protocolFields.sourcePort.number) sourcePort = protocol.u16be();
        else if (protocol.type === protocolFields.destinationPort.number) destinationPort = protocol.u16be();
        else {
          rest = decodeFields(reader.nested(), protocolFields);
          break;
        }
      }
    }
  }
  if (source === undefined || destination?.length !== source.length || number === undefined)
    throw malformed(reader.start, 'a direction that is not whole');
  const tuple: Writable<Tuple> = { source, destination, protocol: number };
  if (sourcePort !== undefined) tuple.sourcePort = sourcePort;
  if (destinationPort !== undefined) tuple.destinationPort = destinationPort;
  const id = rest.icmpId ?? rest.icmpv6Id;
  if (id !== undefined) {
    const { icmpType = rest.icmpv6Type ?? 0, icmpCode = rest.icmpv6Code ?? 0 } = rest;
    tuple.icmp = { id, type: icmpType, code: icmpCode };
  }
  return tuple;
}

export interface Utilisation {
  readonly entries: number;
  readonly most: number;
}

/** Throws REPLY_MALFORMED. */
export function readUtilisation(message: Message): Utilisation {
  const { entries, most } = decodeFields(attributesOf(message), utilisationFields);
  if (entries === undefined || most === undefined) throw malformed(message.start, 'no number of connections');
  return { entries, most };
}

export interface TrackingStatistics {
  readonly found: number;
  readonly invalid: number;
  readonly insertFailed: number;
  readonly drop: number;
  readonly earlyDrop: number;
  readonly error: number;
  readonly searchRestart: number;
  readonly clashResolve: number;
  readonly chainTooLong: number;
}

/** Of one processor. Throws REPLY_MALFORMED. */
export function readStatistics(message: Message): TrackingStatistics {
  const values = decodeFields(attributesOf(message), statisticsFields);
  const names = Object.keys(statisticsFields) as (keyof typeof statisticsFields)[];
  return Object.fromEntries(names.map((name) => [name, values[name] ?? 0])) as Record<(typeof names)[number], number>;
}

function attributesOf({ view, start, end }: Message): Reader {
  if (end - start < HEADER_BYTES) throw malformed(start, 'the netfilter header is cut off');
  return new Reader(view, start + HEADER_BYTES, end);
}
