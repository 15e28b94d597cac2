/**
 * Addresses as text, the same everywhere (CLI, files, API, logs):
 *
 *   service      tcp://192.0.2.1:80   udp://[2001:db8::1]:53   fwmark:5   fwmark:5/inet6
 *   destination  10.0.0.11:8080       [2001:db8::11]:8080
 *
 * Canonical text (RFC 5952 for IPv6) is the identity of an object: parse, then format, and it is the same.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { IpvsError } from '../errors.ts';
import { quote } from './quote.ts';

export type Family = 'inet' | 'inet6';
export type Protocol = 'tcp' | 'udp' | 'sctp';

export interface IpAddress {
  readonly family: Family;
  /** Canonical text. */
  readonly text: string;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
}

/** A service by address: what clients connect to. Port 0 stands for every port. */
export interface AddressedService {
  readonly protocol: Protocol | OtherProtocol;
  readonly family: Family;
  readonly ip: string;
  readonly port: number;
}

/** A service by firewall mark: whatever packets carry it. */
export interface MarkedService {
  readonly fwmark: number;
  readonly family: Family;
}

/** The kernel stores any protocol number (ip_vs_ctl.c does not check it), so other tools may have made such a service. */
export type OtherProtocol = `ip-${number}`;

export type ServiceAddress = AddressedService | MarkedService;

export interface DestinationAddress {
  readonly family: Family;
  readonly ip: string;
  readonly port: number;
}

/** Throws INVALID_ADDRESS. A zone ("%eth0") is refused: the kernel's table has no place for it. */
export function parseIp(text: string): IpAddress {
  // ipaddr.js would read 010.0.0.1 as octal; the platform's parser refuses it.
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) throw new IpvsError('INVALID_ADDRESS', { detail: quote(text) });
  return ipOf(Uint8Array.from(ipaddr.parse(version === 6 ? withoutDots(text) : text).toByteArray()));
}

/** ::192.0.2.1 as ::c000:201, because ipaddr.js takes it for ::ffff:192.0.2.1. */
function withoutDots(text: string): string {
  return text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}

/**
 * Whether the kernel can take it for a destination, as far as the address itself says (inet_addr_type(), ipv6_addr_type()).
 * A link-local address would need a zone, for which its table has no place.
 */
export function isUnicast({ family, bytes }: IpAddress): boolean {
  const [first = 0, second = 0] = bytes;
  const all = (value: number) => bytes.every((byte) => byte === value);
  if (family === 'inet') return !all(0) && !all(255) && (first & 0xf0) !== 0xe0;
  return !all(0) && first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80);
}

/** 4 or 16 bytes in network order. */
export function ipOf(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return { family: 'inet', text: bytes.join('.'), bytes };
  const address = new ipaddr.IPv6([...bytes]);
  // RFC 5952, section 5: an IPv4 address inside of it stays readable.
  const text = address.isIPv4MappedAddress() ? `::ffff:${bytes.slice(12).join('.')}` : address.toRFC5952String();
  return { family: 'inet6', text, bytes };
}

const BRACKETS = 'an IPv6 address with a port stands in brackets: [2001:db8::1]:80';

/** Accepts text or the parsed object; throws INVALID_ADDRESS, INVALID_PROTOCOL, INVALID_PORT, INVALID_FWMARK. */
export function parseServiceAddress(input: string | ServiceAddress): ServiceAddress {
  if (typeof input !== 'string') return sameFamily(input, parseServiceAddress(formatServiceAddress(asObject(input))));
  const mark = /^fwmark:(.*?)(?:\/(inet6?))?$/s.exec(input);
  if (mark) return { fwmark: parseMark(mark[1] as string), family: (mark[2] ?? 'inet') as Family };
  const parts = /^([a-z0-9-]+):\/\/(.*)$/s.exec(input);
  if (!parts) {
    throw new IpvsError('INVALID_ADDRESS', {
      detail: quote(input),
      hint: 'a service is written tcp://192.0.2.1:80, udp://[2001:db8::1]:53 or fwmark:5',
    });
  }
  const protocol = parseProtocol(parts[1] as string);
  const { ip, family, port } = parseEndpoint(parts[2] as string);
  if (port === undefined) {
    const hint = family === 'inet6' ? BRACKETS : 'write it behind a colon, or 0 for every port';
    throw new IpvsError('INVALID_PORT', { detail: `${quote(input)} has none`, hint });
  }
  return { protocol, family, ip, port };
}

/** Canonical text. */
export function formatServiceAddress(address: ServiceAddress): string {
  if ('fwmark' in address) return `fwmark:${address.fwmark}${address.family === 'inet6' ? '/inet6' : ''}`;
  return `${address.protocol}://${formatDestinationAddress(address)}`;
}

/** Canonical text of a service's address, given as text or as an object. */
export function serviceKey(input: string | ServiceAddress): string {
  return formatServiceAddress(parseServiceAddress(input));
}

/** The port is `defaultPort` where the text has none. Throws INVALID_ADDRESS, INVALID_PORT. */
export function parseDestinationAddress(input: string | DestinationAddress, defaultPort?: number): DestinationAddress {
  if (typeof input !== 'string')
    return sameFamily(input, parseDestinationAddress(formatDestinationAddress(asObject(input))));
  const { ip, family, port = defaultPort } = parseEndpoint(input);
  if (port === undefined) throw new IpvsError('INVALID_PORT', { detail: `${quote(input)} has none` });
  return { family, ip, port };
}

/** Canonical text. */
export function formatDestinationAddress({ family, ip, port }: DestinationAddress): string {
  return family === 'inet6' ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function parseEndpoint(text: string): { ip: string; family: Family; port: number | undefined } {
  if (isIP(text) !== 0) return { ...pick(parseIp(text)), port: undefined };
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) {
    throw new IpvsError('INVALID_ADDRESS', {
      detail: quote(text),
      hint: BRACKETS,
    });
  }
  const ip = parseIp(host);
  if ((ip.family === 'inet6') !== (parts?.[1] !== undefined)) {
    throw new IpvsError('INVALID_ADDRESS', { detail: quote(text), hint: 'brackets are for IPv6' });
  }
  return { ...pick(ip), port: parts?.[3] === undefined ? undefined : parsePort(parts[3]) };
}

function asObject<T extends object>(input: T): T {
  if (typeof input === 'object' && input !== null) return input;
  throw new IpvsError('INVALID_ADDRESS', { detail: quote(input) });
}

function sameFamily<T extends { readonly family: Family }>(input: { readonly family: Family }, parsed: T): T {
  if (input.family === parsed.family) return parsed;
  throw new IpvsError('INVALID_ADDRESS', { detail: `family ${quote(input.family)} is not that of the address` });
}

function pick({ text, family }: IpAddress): { ip: string; family: Family } {
  return { ip: text, family };
}

/** Numbers of the protocols that IPVS balances (linux/in.h). */
const protocolNumbers: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);
const protocolNames = new Map(Array.from(protocolNumbers, ([name, number]) => [number, name as Protocol]));

export function protocolNumber(protocol: Protocol | OtherProtocol): number {
  return protocolNumbers.get(protocol) ?? Number(protocol.slice('ip-'.length));
}

export function protocolOf(number: number): Protocol | OtherProtocol {
  return protocolNames.get(number) ?? `ip-${number}`;
}

function parseProtocol(text: string): Protocol | OtherProtocol {
  const number = protocolNumbers.get(text) ?? Number(/^ip-(0|[1-9]\d{0,4})$/.exec(text)?.[1] ?? Number.NaN);
  if (number <= 0xffff) return protocolOf(number);
  throw new IpvsError('INVALID_PROTOCOL', { detail: quote(text) });
}

/** Throws INVALID_PORT. */
function parsePort(text: string): number {
  const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 0xffff) {
    throw new IpvsError('INVALID_PORT', {
      detail: quote(text),
      hint: 'a port is a number from 1 to 65535, or 0 for every port',
    });
  }
  return port;
}

function parseMark(text: string): number {
  const mark = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
  // The kernel takes mark 0 and makes it the service tcp 0.0.0.0:0.
  if (mark < 1 || mark > 0xffff_ffff) throw new IpvsError('INVALID_FWMARK', { detail: quote(text) });
  return mark;
}
