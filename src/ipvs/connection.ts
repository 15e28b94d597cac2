/**
 * The connections that the kernel balances, as /proc/net/ip_vs_conn shows them (ip_vs_conn.c, ip_vs_conn_seq_show): the
 * only place where it shows them at all. One line for each, addresses and ports in hexadecimal:
 *
 *   Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
 *   TCP C0000207 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     899
 *
 * IPv6 addresses stand in full. A connection of IPv4 may have a destination of IPv6, and the reverse.
 */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { formatDestinationAddress, formatServiceAddress, ipOf, type ServiceAddress } from '../net/address.ts';
import type { Timeouts } from './timeouts.ts';

export interface Connection {
  /** `template`: a client that persistence pins to a destination, with or without connections. */
  readonly kind: 'connection' | 'template';
  /** `198.51.100.7:41234`; of a template the address alone: that of the client's network. */
  readonly client: string;
  /**
   * What the client connected to, which for a service by firewall mark is not the service's own address; a
   * template shows the mark: `fwmark:7`.
   */
  readonly service: string;
  readonly destination: string;
  /** The kernel's word: `ESTABLISHED`, `SYN_RECV`, `UDP`; of a template `ASSURED` or `NONE`. */
  readonly state: string;
  /** Until it is forgotten, if no packet comes. */
  readonly expiresSeconds: number;
  /** The persistence engine, and what it found in the packet (the Call-ID of "sip"); null without one. */
  readonly engine: string | null;
  readonly engineData: string | null;
}

const protocols: Readonly<Record<string, 'tcp' | 'udp' | 'sctp' | 'ip-50' | 'ip-51'>> = {
  TCP: 'tcp',
  UDP: 'udp',
  SCTP: 'sctp',
  ESP: 'ip-50',
  AH: 'ip-51',
};

/** As the kernel names them: of TCP, UDP, SCTP (ip_vs_proto_*.c) and templates. */
export const connectionStates: readonly string[] = [
  ...['ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN'],
  ...['SYNACK', 'UDP', 'NONE', 'ASSURED'],
  ...['INIT1', 'INIT', 'C-SENT', 'C-REPLIED', 'C-WAIT', 'COOKIE', 'C-ECHOED'],
  ...['S-SENT', 'S-RECEIVED', 'S-ACK-SENT', 'REJECTED', 'CLOSED'],
];

/** A timer that has run out and was not yet seen to: the kernel prints the difference as a large number. */
const OVERDUE_SECONDS = 0x7fff_ffff;

const IP = '([0-9A-F]{8}|(?:[0-9a-f]{4}:){7}[0-9a-f]{4})';
const PORT = '([0-9A-F]{4})';
/** State and seconds have columns of 11 and 7: a line that is cut off among the digits falls short of them. */
const pattern = new RegExp(
  `^(\\S+) +${IP} ${PORT} ${IP} ${PORT} ${IP} ${PORT} (?=.{19})(\\S+) +(\\d{1,20})(?: (\\S+) (.*))?$`,
  's',
);

/** The connection of a line; undefined for the heading. Throws REPLY_MALFORMED. */
export function connectionOf(line: string): Connection | undefined {
  const parts = pattern.exec(line);
  if (parts === null) {
    if (line.startsWith('Pro FromIP') || line === '') return undefined;
    throw malformed(line);
  }
  const [, protocol = '', from = '', fromPort = '', to = '', toPort = '', dest = '', destPort = '', state = ''] = parts;
  const clientPort = Number.parseInt(fromPort, 16);
  const expires = Number(parts[9]);
  // A connection that a helper expects (LISTEN) does not know its client's port yet.
  const template = clientPort === 0 && (state === 'NONE' || state === 'ASSURED');
  const client = ip(from);
  return {
    kind: template ? 'template' : 'connection',
    client: template ? client.text : formatDestinationAddress({ ...address(client), port: clientPort }),
    service: formatServiceAddress(serviceOf(protocol, to, toPort)),
    destination: formatDestinationAddress({ ...address(ip(dest)), port: Number.parseInt(destPort, 16) }),
    state,
    expiresSeconds: expires > OVERDUE_SECONDS ? 0 : expires,
    engine: parts[10] ?? null,
    engineData: parts[11] ?? null,
  };
}

function serviceOf(protocol: string, to: string, port: string): ServiceAddress {
  const virtual = ip(to);
  // Templates of a firewall mark have the protocol "IP" and the mark for an address (ip_vs_core.c, ip_vs_sched_persist).
  if (protocol === 'IP') {
    const fwmark = new DataView(virtual.bytes.buffer).getUint32(virtual.bytes.length - 4);
    if (fwmark === 0) throw malformed('the mark 0');
    return { family: virtual.family, fwmark };
  }
  const known = protocols[protocol];
  if (known === undefined) throw malformed(`protocol ${protocol}`);
  return { protocol: known, ...address(virtual), port: Number.parseInt(port, 16) };
}

function address({ family, text }: ReturnType<typeof ipOf>): { family: 'inet' | 'inet6'; ip: string } {
  return { family, ip: text };
}

/** C000020A, or 2001:0db8:0000:… in full. */
function ip(text: string): ReturnType<typeof ipOf> {
  return ipOf(Uint8Array.from(Buffer.from(text.replaceAll(':', ''), 'hex')));
}

function malformed(detail: string): IpvsError {
  return new IpvsError('REPLY_MALFORMED', { subject: '/proc/net/ip_vs_conn', detail: quote(detail) });
}

/** The client without its port, which a template does not have. */
export function clientHost({ client }: Pick<Connection, 'client'>): string {
  if (client.startsWith('[')) return client.slice(1, client.indexOf(']'));
  const end = client.indexOf(':');
  return end < 0 || client.includes(':', end + 1) ? client : client.slice(0, end);
}

/** ip_vs_proto_tcp.c, tcp_timeouts: those that cannot be set. */
const tcpStateSeconds: Readonly<Record<string, number>> = {
  NONE: 2,
  SYN_SENT: 120,
  SYN_RECV: 60,
  TIME_WAIT: 120,
  CLOSE: 10,
  CLOSE_WAIT: 60,
  LAST_ACK: 30,
  LISTEN: 120,
  SYNACK: 120,
};

/**
 * How long no packet came: every packet sets the timer to the timeout of the connection's state anew. Undefined
 * where that timeout is not known: templates, and protocols whose timeouts the kernel does not show. (It keeps no
 * record of when a connection began.)
 */
export function idleSeconds(
  { kind, service, state, expiresSeconds }: Connection,
  timeouts: Timeouts,
): number | undefined {
  if (kind === 'template') return undefined;
  const timeout = timeoutOf(service, state, timeouts);
  return timeout === undefined ? undefined : Math.max(0, timeout - expiresSeconds);
}

function timeoutOf(
  service: string,
  state: string,
  { tcpSeconds, tcpFinSeconds, udpSeconds }: Timeouts,
): number | undefined {
  if (service.startsWith('udp:')) return udpSeconds;
  if (!service.startsWith('tcp:')) return undefined;
  if (state === 'ESTABLISHED') return tcpSeconds;
  return state === 'FIN_WAIT' ? tcpFinSeconds : tcpStateSeconds[state];
}
