/**
 * What the kernel's NAT made of a connection that began inside: the classic entry of address masquerading, with its three
 * pairs of address and port. Inner is where it began, outer whom it talks to, mapped what outer sees of inner. Pure.
 */
import { ipOf } from '../net/address.ts';
import { connectionStatus, type TrackedConnection, type TrackedCounters, type Tuple } from '../netlink/conntrack.ts';

export interface Mapping {
  /** `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, or `ip-47`. */
  readonly protocol: string;
  /** `10.0.0.5:41234`, `[fd00::5]:41234`; of ICMP and protocols without ports the address alone. */
  readonly inner: string;
  readonly outer: string;
  readonly mapped: string;
  /** Where the packets go, if that is not `outer`: the connection has another destination too (a balanced service). */
  readonly server?: string;
  /** Of TCP, in the kernel's words. */
  readonly state: string | null;
  /** An answer came. */
  readonly replied: boolean;
  /** It is not thrown out early when the table is full. */
  readonly assured: boolean;
  readonly expiresSeconds: number;
  readonly mark: number;
  /** The same for as long as the connection lasts. */
  readonly id: number;
  /** The helper that follows it ("ftp"), or null. */
  readonly helper: string | null;
  /** Of a connection that a helper expected: the one that it belongs to, inner and outer. */
  readonly control?: { readonly inner: string; readonly outer: string };
  /** Where net.netfilter.nf_conntrack_acct was on when it began. */
  readonly counters?: { readonly out: TrackedCounters; readonly in: TrackedCounters };
}

const protocols: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' };

/** IPPROTO_* of a protocol's name; undefined for what is none. */
export function protocolNumber(name: string): number | undefined {
  const known = Object.entries(protocols).find(([, each]) => each === name)?.[0];
  const [, other] = /^ip-(\d{1,3})$/.exec(name) ?? [];
  const number = Number(known ?? other ?? Number.NaN);
  return number >= 1 && number <= 255 ? number : undefined;
}

/** enum tcp_conntrack */
const tcpStates = [
  ...['NONE', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT'],
  ...['CLOSE_WAIT', 'LAST_ACK', 'TIME_WAIT', 'CLOSE', 'SYN_SENT2'],
];

export function mappingOf(connection: TrackedConnection): Mapping {
  const { original, reply, status, tcpState, timeoutSeconds, mark, id, helper = null, master } = connection;
  const { originalCounters, replyCounters } = connection;
  const [outer, server] = [destinationText(original), sourceText(reply)];
  // Step by step: of a whole table there may be a million.
  const mapping: { -readonly [Name in keyof Mapping]: Mapping[Name] } = {
    protocol: protocols[original.protocol] ?? `ip-${original.protocol}`,
    inner: sourceText(original),
    outer,
    mapped: destinationText(reply),
    state: tcpState === undefined ? null : (tcpStates[tcpState] ?? String(tcpState)),
    replied: (status & connectionStatus.SEEN_REPLY) !== 0,
    assured: (status & connectionStatus.ASSURED) !== 0,
    expiresSeconds: timeoutSeconds,
    mark,
    id,
    helper,
  };
  if (server !== outer) mapping.server = server;
  if (master) mapping.control = { inner: sourceText(master), outer: destinationText(master) };
  if (originalCounters && replyCounters) mapping.counters = { out: originalCounters, in: replyCounters };
  return mapping;
}

function sourceText({ source, sourcePort }: Tuple): string {
  return placeText(source, sourcePort);
}

function destinationText({ destination, destinationPort }: Tuple): string {
  return placeText(destination, destinationPort);
}

function placeText(bytes: Uint8Array, port: number | undefined): string {
  const { text } = ipOf(bytes);
  if (port === undefined) return text;
  return bytes.length === 16 ? `[${text}]:${port}` : `${text}:${port}`;
}
