/**
 * Routing netlink (linux/rtnetlink.h), as far as addresses on interfaces, and the routes that go with them, need it.
 *
 *     16       17         18       20        24        28         32
 *     +--------+----------+--------+---------+---------+----------+------------+
 *     | family | reserved |  type  |  index  |  flags  |  change  | attributes |   struct ifinfomsg
 *     +--------+----------+--------+---------+---------+----------+------------+
 *     16       17         18       19        20        24
 *     +--------+----------+--------+---------+---------+------------+
 *     | family |  prefix  | flags  |  scope  |  index  | attributes |              struct ifaddrmsg
 *     +--------+----------+--------+---------+---------+------------+
 *     16       17       18       19    20      21         22      23     24      28
 *     +--------+--------+--------+-----+-------+----------+-------+------+-------+------------+
 *     | family | dst len| src len| tos | table | protocol | scope | type | flags | attributes |   struct rtmsg
 *     +--------+--------+--------+-----+-------+----------+-------+------+-------+------------+
 *
 * Reading needs no privilege, changing CAP_NET_ADMIN in the user namespace that owns the network namespace.
 */
import { hostIsLittleEndian } from './align.ts';
import type { Request } from './connection.ts';
import {
  decodeFields,
  encodeFields,
  type Field,
  type FieldTable,
  type FieldType,
  nested,
  string,
  type UnknownAttribute,
  u8,
  u32,
} from './fields.ts';
import type { Message } from './message.ts';
import { malformed, Reader } from './reader.ts';

export const NETLINK_ROUTE = 0;

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;

const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const ROUTE_HEADER_BYTES = 12;

/** MAX_ADDR_LEN, linux/netdevice.h */
const MOST_HARDWARE_BYTES = 32;

const AF_INET = 2;
const AF_INET6 = 10;

/** The address is usable at once: nobody is asked first whether it is taken (RFC 4862, 5.4). */
const IFA_F_NODAD = 0x02;

/** Of IPv4; for IPv6 the same bit marks a temporary address. */
const IFA_F_SECONDARY = 0x01;

/** The preferred lifetime is over. */
const IFA_F_DEPRECATED = 0x20;

const RTN_UNICAST = 1;
const RTPROT_KERNEL = 2;
/** A route that is cached for one destination. */
const RTM_F_CLONED = 0x200;
/** RTNH_F_ONLINK and RTNH_F_PERVASIVE: of the flags, those that a request may set. */
const SETTABLE_FLAGS = 0x06;
/** RT_TABLE_COMPAT, where the number of the table does not fit into the header. */
const COMPATIBLE_TABLE = 252;

const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

/** Of any length. */
const binary: FieldType<Uint8Array> = { write: (w, n, v) => w.binary(n, v), read: (r) => r.binary() };

const linkFields = {
  hardwareAddress: { number: 1, type: binary },
  name: { number: 3, type: string },
  byFamily: {
    number: 26,
    type: nested({ inet6: { number: AF_INET6, type: nested({ settings: { number: 2, type: binary } }) } }),
  },
} as const satisfies FieldTable;

/** struct ifa_cacheinfo (linux/if_addr.h): preferred and valid, in seconds, and two times that the kernel keeps. */
const lifetimes: FieldType<AddressLifetime> = {
  write: (w, n, { preferredSeconds, validSeconds }) =>
    w.binary(n, new Uint8Array(new Uint32Array([preferredSeconds, validSeconds, 0, 0]).buffer)),
  read(r) {
    const bytes = r.binary(16);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const at = (offset: number) => view.getUint32(offset, hostIsLittleEndian);
    return { preferredSeconds: at(0), validSeconds: at(4) };
  },
};

const addressFields = {
  /** Of the other end, on a point-to-point link; elsewhere the same as `local`. */
  address: { number: 1, type: binary },
  local: { number: 2, type: binary },
  lifetime: { number: 6, type: lifetimes },
  flags: { number: 8, type: u32 },
} as const satisfies FieldTable;

/** RTAX_*, by the words of iproute2. */
const metricFields: Readonly<Record<keyof RouteMetrics, Field<number>>> = {
  mtu: { number: 2, type: u32 },
  window: { number: 3, type: u32 },
  ssthresh: { number: 6, type: u32 },
  cwnd: { number: 7, type: u32 },
  advmss: { number: 8, type: u32 },
  reordering: { number: 9, type: u32 },
  hoplimit: { number: 10, type: u32 },
  initcwnd: { number: 11, type: u32 },
  initrwnd: { number: 14, type: u32 },
  quickack: { number: 15, type: u32 },
};

/** What the table does not know is kept among the values: a route with such a metric is not understood. */
const metricsWithUnknown: FieldType<RouteMetrics & { unknown?: readonly UnknownAttribute[] }, RouteMetrics> = {
  write: (w, n, v) => nested(metricFields).write(w, n, v),
  read(r) {
    const unknown: UnknownAttribute[] = [];
    const metrics = decodeFields(r.nested(), metricFields, { unknown }) as RouteMetrics;
    return unknown.length === 0 ? metrics : { ...metrics, unknown };
  },
};

/** struct rta_cacheinfo: of a route of IPv6, how long it is there still; 0 for ever. */
const expiry: FieldType<number> = {
  write() {
    throw new RangeError('the kernel alone tells it');
  },
  read: (r) => {
    const bytes = r.binary(32);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(8, hostIsLittleEndian);
  },
};

const routeFields = {
  destination: { number: 1, type: binary },
  index: { number: 4, type: u32 },
  gateway: { number: 5, type: binary },
  priority: { number: 6, type: u32 },
  source: { number: 7, type: binary },
  metrics: { number: 8, type: metricsWithUnknown },
  expires: { number: 12, type: expiry },
  table: { number: 15, type: u32 },
  preference: { number: 20, type: u8 },
} as const satisfies FieldTable;

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_* (linux/if_arp.h) and IFF_* (linux/if.h). */
  readonly type: number;
  readonly flags: number;
  /** Empty where it has none. */
  readonly hardwareAddress: Uint8Array;
  /** net.ipv6.conf.NAME.forwarding: it is a router's. */
  readonly forwardsIpv6: boolean;
}

/** An address on the interface of this index. */
export interface LinkAddress {
  readonly index: number;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
  /** Absent in a request: the kernel's default, for ever. */
  readonly lifetime?: AddressLifetime;
  /** As an answer of the kernel says. */
  readonly isSecondary?: true;
}

/** 0xffffffff stands for ever. */
export interface AddressLifetime {
  readonly preferredSeconds: number;
  readonly validSeconds: number;
}

/** A unicast route. */
export interface LinkRoute {
  readonly family: 'inet' | 'inet6';
  /** Empty for the default route. Like the others in network order. */
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly index?: number;
  readonly gateway?: Uint8Array;
  readonly source?: Uint8Array;
  readonly isKernels: boolean;
  /** Absent where the kernel tells more of it than is understood here, such as several next hops. */
  readonly settings?: RouteSettings;
}

export interface RouteMetrics {
  readonly mtu?: number;
  readonly window?: number;
  readonly ssthresh?: number;
  readonly cwnd?: number;
  readonly advmss?: number;
  readonly reordering?: number;
  readonly hoplimit?: number;
  readonly initcwnd?: number;
  readonly initrwnd?: number;
  readonly quickack?: number;
}

/** What a route has beside where it leads. */
export interface RouteSettings {
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly tos: number;
  readonly flags: number;
  readonly priority?: number;
  readonly metrics?: RouteMetrics;
  /** Of IPv6, unless it is medium. */
  readonly preference?: number;
}

/** A dump of all interfaces. */
export const dumpLinksRequest: Request = {
  type: RTM_GETLINK,
  write(writer) {
    writer.reserve(LINK_HEADER_BYTES);
  },
};

/** One interface; ENODEV where there is none. Alternative names are understood too. */
export function linkRequest(name: string): Request {
  return {
    type: RTM_GETLINK,
    write(writer) {
      writer.reserve(LINK_HEADER_BYTES);
      encodeFields(writer, linkFields, { name });
    },
  };
}

/** Throws REPLY_MALFORMED. */
export function readLink({ type, view, start, end }: Message): Link {
  if (type !== RTM_NEWLINK) throw malformed(start, `message ${type} is no interface`);
  if (end - start < LINK_HEADER_BYTES) throw malformed(start, 'the header of an interface is cut off');
  const fields = decodeFields(new Reader(view, start + LINK_HEADER_BYTES, end), linkFields);
  if (!fields.name) throw malformed(start, 'an interface without a name');
  const { hardwareAddress = new Uint8Array() } = fields;
  if (hardwareAddress.length > MOST_HARDWARE_BYTES) throw malformed(start, 'a hardware address of a wrong length');
  return {
    index: indexAt(view, start + 4),
    name: fields.name,
    type: view.getUint16(start + 2, hostIsLittleEndian),
    flags: view.getUint32(start + 8, hostIsLittleEndian),
    hardwareAddress,
    forwardsIpv6: isSet(fields.byFamily?.inet6?.settings),
  };
}

/** DEVCONF_FORWARDING is the first number of the list (linux/ipv6.h). */
function isSet(settings: Uint8Array | undefined): boolean {
  return settings?.subarray(0, 4).some((byte) => byte !== 0) ?? false;
}

/** A dump of the addresses of all interfaces and families. */
export const dumpAddressesRequest: Request = {
  type: RTM_GETADDR,
  write(writer) {
    writer.reserve(ADDRESS_HEADER_BYTES);
  },
};

/** Undefined for an address that is neither IPv4 nor IPv6. Throws REPLY_MALFORMED. */
export function readAddress({ type, view, start, end }: Message): LinkAddress | undefined {
  if (type !== RTM_NEWADDR) throw malformed(start, `message ${type} is no address`);
  if (end - start < ADDRESS_HEADER_BYTES) throw malformed(start, 'the header of an address is cut off');
  const family = view.getUint8(start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const fields = decodeFields(new Reader(view, start + ADDRESS_HEADER_BYTES, end), addressFields);
  const bytes = fields.local ?? fields.address;
  if (bytes?.length !== (family === AF_INET ? 4 : 16)) throw malformed(start, 'an address of a wrong length');
  const prefixLength = view.getUint8(start + 1);
  if (prefixLength > 8 * bytes.length) throw malformed(start + 1, `a prefix length of ${prefixLength}`);
  const flags = fields.flags ?? view.getUint8(start + 2);
  return {
    index: indexAt(view, start + 4),
    bytes,
    prefixLength,
    ...(family === AF_INET && (flags & IFA_F_SECONDARY) !== 0 && { isSecondary: true as const }),
    ...(fields.lifetime && { lifetime: shownLifetime(fields.lifetime, flags) }),
  };
}

/** Of an IPv4 address that stays for ever, the kernel shows no preferred lifetime but the flag. */
function shownLifetime(lifetime: AddressLifetime, flags: number): AddressLifetime {
  return (flags & IFA_F_DEPRECATED) === 0 ? lifetime : { ...lifetime, preferredSeconds: 0 };
}

/** A dump of the routes of all tables and families. */
export const dumpRoutesRequest: Request = {
  type: RTM_GETROUTE,
  write(writer) {
    writer.reserve(ROUTE_HEADER_BYTES);
  },
};

/** Undefined for a route that is not unicast, or neither IPv4 nor IPv6. Throws REPLY_MALFORMED. */
export function readRoute({ type, view, start, end }: Message): LinkRoute | undefined {
  if (type !== RTM_NEWROUTE) throw malformed(start, `message ${type} is no route`);
  if (end - start < ROUTE_HEADER_BYTES) throw malformed(start, 'the header of a route is cut off');
  const family = view.getUint8(start);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const isCached = (view.getUint32(start + 8, hostIsLittleEndian) & RTM_F_CLONED) !== 0;
  if (view.getUint8(start + 7) !== RTN_UNICAST || isCached) return undefined;
  const unknown: UnknownAttribute[] = [];
  const fields = decodeFields(new Reader(view, start + ROUTE_HEADER_BYTES, end), routeFields, { unknown });
  const { destination = new Uint8Array(), gateway, source, index, expires = 0, metrics, priority } = fields;
  const { table = view.getUint8(start + 4), preference = 0 } = fields;
  const isUnderstood = unknown.length === 0 && !metrics?.unknown && expires === 0 && view.getUint8(start + 2) === 0;
  const length = family === AF_INET ? 4 : 16;
  const prefixLength = view.getUint8(start + 1);
  const wrong = [gateway, source].some((each) => each !== undefined && each.length !== length);
  const isDefault = prefixLength === 0 && destination.length === 0;
  if (wrong || (destination.length !== length && !isDefault)) throw malformed(start, 'an address of a wrong length');
  if (prefixLength > 8 * length) throw malformed(start + 1, `a prefix length of ${prefixLength}`);
  return {
    family: family === AF_INET ? 'inet' : 'inet6',
    destination,
    prefixLength,
    isKernels: view.getUint8(start + 5) === RTPROT_KERNEL,
    ...(isUnderstood && {
      settings: {
        table,
        protocol: view.getUint8(start + 5),
        scope: view.getUint8(start + 6),
        tos: view.getUint8(start + 3),
        flags: view.getUint32(start + 8, hostIsLittleEndian) & SETTABLE_FLAGS,
        ...(priority !== undefined && { priority }),
        ...(metrics && { metrics }),
        ...(preference !== 0 && { preference }),
      },
    }),
    ...(index !== undefined && { index }),
    ...(gateway && { gateway }),
    ...(source && { source }),
  };
}

/**
 * EEXIST where another route to there has the same metric; with `replaces` it takes the place of that one (of IPv6: of the
 * first, or of all where they are next hops of one route).
 */
export function addRouteRequest(
  route: LinkRoute & { readonly settings: RouteSettings },
  { replaces = false }: { readonly replaces?: boolean } = {},
): Request {
  const { family, destination, prefixLength, index, gateway, source, settings } = route;
  const { table, protocol, scope, tos, flags, priority, metrics, preference } = settings;
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | (replaces ? NLM_F_REPLACE : NLM_F_EXCL),
    write(writer) {
      const start = writer.reserve(ROUTE_HEADER_BYTES);
      const short = table < 256 ? table : COMPATIBLE_TABLE;
      const header = [
        family === 'inet6' ? AF_INET6 : AF_INET,
        prefixLength,
        0,
        tos,
        short,
        protocol,
        scope,
        RTN_UNICAST,
      ];
      writer.bytes.set(header, start);
      writer.setU32(start + 8, flags);
      const whither = destination.length === 0 ? undefined : destination;
      const fields = { destination: whither, index, gateway, priority, source, metrics, table, preference };
      encodeFields(writer, routeFields, fields);
    },
  };
}

/** Of an interface: an int of the kernel's, from 1. */
function indexAt(view: DataView, at: number): number {
  const index = view.getInt32(at, hostIsLittleEndian);
  if (index > 0) return index;
  throw malformed(at, `an interface of the index ${index}`);
}

/**
 * EEXIST where the interface has it (NLM_F_REPLACE is not set, so NLM_F_CREATE and NLM_F_EXCL say nothing more): IPv4 with
 * this prefix length, IPv6 with any.
 */
export function addAddressRequest(address: LinkAddress): Request {
  return addressRequest(RTM_NEWADDR, address);
}

/** EADDRNOTAVAIL where the interface does not have it with this prefix length. */
export function deleteAddressRequest(address: LinkAddress): Request {
  return addressRequest(RTM_DELADDR, address);
}

function addressRequest(type: number, { index, bytes, prefixLength, lifetime }: LinkAddress): Request {
  const isIpv6 = bytes.length === 16;
  const isAdded = type === RTM_NEWADDR;
  const flags = isIpv6 && isAdded ? IFA_F_NODAD : undefined;
  return {
    type,
    write(writer) {
      const start = writer.reserve(ADDRESS_HEADER_BYTES);
      writer.bytes[start] = isIpv6 ? AF_INET6 : AF_INET;
      writer.bytes[start + 1] = prefixLength;
      writer.setU32(start + 4, index);
      encodeFields(writer, addressFields, {
        address: bytes,
        local: bytes,
        lifetime: isAdded ? lifetime : undefined,
        flags,
      });
    },
  };
}
