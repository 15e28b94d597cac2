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
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

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
  if (typeof text !== 'string') throw new IpvsError('INVALID_ADDRESS', { detail: quote(text) });
  const quad = quadOf(text);
  if (quad >= 0) return { family: 'inet', text, bytes: Uint8Array.of(quad >>> 24, quad >>> 16, quad >>> 8, quad) };
  // ipaddr.js would read 010.0.0.1 as octal; the platform's parser refuses it.
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) throw new IpvsError('INVALID_ADDRESS', { detail: quote(text) });
  return ipOf(Uint8Array.from(ipaddr.parse(version === 6 ? withoutDots(text) : text).toByteArray()));
}

/**
 * The number that an IPv4 address is, or -1 if the text is none. As strict as the platform's isIPv4(), which takes
 * canonical text alone; by hand, because every change of the table parses several.
 */
export function quadOf(text: string, start = 0, end: number = text.length): number {
  let quad = 0;
  let part = -1;
  let dots = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (part < 0 || ++dots > 3) return -1;
      quad = (quad << 8) | part;
      part = -1;
    } else {
      const digit = code - ZERO;
      // A part that is 0 already would have a leading zero.
      if (digit < 0 || digit > 9 || part === 0) return -1;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return -1;
    }
  }
  return dots === 3 && part >= 0 ? ((quad << 8) | part) >>> 0 : -1;
}

const DOT = 0x2e;
const ZERO = 0x30;

/** The inverse of `quadOf`. */
export function quadText(quad: number): string {
  return octet(quad >>> 24) + octet((quad >>> 16) & 255) + octet((quad >>> 8) & 255) + (quad & 255);
}

/** "10." for 10: a large dump says thousands of addresses, and every part of each would be a string of its own. */
const octets = Array.from({ length: 256 }, (_, number) => `${number}.`);
const octet = (number: number) => octets[number] as string;

/** ::192.0.2.1 as ::c000:201, because ipaddr.js takes it for ::ffff:192.0.2.1. */
function withoutDots(text: string): string {
  return text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}

/**
 * Whether the kernel can take it for a destination, as far as the address itself says (inet_addr_type(), ipv6_addr_type()).
 * A link-local address would need a zone, for which its table has no place; an IPv4 address in an IPv6 one is none of a host.
 */
export function isUnicast({ family, ip }: Pick<DestinationAddress, 'family' | 'ip'>): boolean {
  if (family === 'inet6') return ip !== '::' && !/^(?:ff[0-9a-f]{2}:|fe[89ab][0-9a-f]:|::ffff:)/.test(ip);
  const quad = quadOf(ip);
  return quad !== 0 && quad !== 0xffff_ffff && quad >>> 28 !== 0xe;
}

/** 4 or 16 bytes in network order. */
export function ipOf(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) {
    const text = octet(bytes[0] as number) + octet(bytes[1] as number) + octet(bytes[2] as number) + bytes[3];
    return { family: 'inet', text, bytes };
  }
  const address = new ipaddr.IPv6([...bytes]);
  // RFC 5952, section 5: an IPv4 address inside of it stays readable.
  const text = address.isIPv4MappedAddress() ? `::ffff:${bytes.slice(12).join('.')}` : address.toRFC5952String();
  return { family: 'inet6', text, bytes };
}

const BRACKETS = 'an IPv6 address with a port stands in brackets: [2001:db8::1]:80';

/** Accepts text or the parsed object; throws INVALID_ADDRESS, INVALID_PROTOCOL, INVALID_PORT, INVALID_FWMARK. */
export function parseServiceAddress(input: string | ServiceAddress): ServiceAddress {
  if (typeof input !== 'string') return sameFamily(input, parseServiceAddress(formatServiceAddress(asObject(input))));
  if (input.startsWith('fwmark:')) {
    const [, mark = '', family = 'inet'] = /^fwmark:(.*?)(?:\/(inet6?))?$/s.exec(input) ?? [];
    return { fwmark: parseMark(mark), family: family as Family };
  }
  const end = input.indexOf('://');
  const protocol = end < 0 ? undefined : (knownProtocol(input) ?? parseProtocol(input.slice(0, end)));
  if (protocol === undefined) {
    throw new IpvsError('INVALID_ADDRESS', {
      detail: quote(input),
      hint: 'a service is written tcp://192.0.2.1:80, udp://[2001:db8::1]:53 or fwmark:5',
    });
  }
  const { ip, family, port } = parseEndpoint(input, end + 3);
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
  if (typeof input !== 'string') return formatServiceAddress(parseServiceAddress(input));
  const address = knownService(input);
  // Text of IPv4 has no other form; a protocol may have come as a number.
  if (address.family === 'inet' && 'protocol' in address && input.startsWith(address.protocol)) return input;
  return formatServiceAddress(address);
}

let lastText: string | undefined;
let lastService: ServiceAddress | undefined;

/**
 * As `parseServiceAddress`, and free for the text that came last: every destination names its service again. The object
 * is shared, so it does not leave this package.
 */
export function knownService(text: string): ServiceAddress {
  if (lastService === undefined || text !== lastText) {
    lastService = parseServiceAddress(text);
    lastText = text;
  }
  return lastService;
}

/** The port is `defaultPort` where the text has none. Throws INVALID_ADDRESS, INVALID_PORT. */
export function parseDestinationAddress(input: string | DestinationAddress, defaultPort?: number): DestinationAddress {
  if (typeof input !== 'string')
    return sameFamily(input, parseDestinationAddress(formatDestinationAddress(asObject(input))));
  const endpoint = parseEndpoint(input, 0, defaultPort);
  if (hasPort(endpoint)) return endpoint;
  throw new IpvsError('INVALID_PORT', { detail: `${quote(input)} has none` });
}

/** Canonical text of what was parsed: the same, where it is canonical, as any text of IPv4 with a port is. */
export function canonicalDestination(input: string | DestinationAddress, address: DestinationAddress): string {
  if (typeof input === 'string' && address.family === 'inet' && input.length > address.ip.length) return input;
  return formatDestinationAddress(address);
}

/** Canonical text. */
export function formatDestinationAddress({ family, ip, port }: DestinationAddress): string {
  return family === 'inet6' ? `[${ip}]:${port}` : `${ip}:${port}`;
}

interface Endpoint {
  readonly family: Family;
  readonly ip: string;
  readonly port: number | undefined;
}

function hasPort(endpoint: Endpoint): endpoint is DestinationAddress {
  return endpoint.port !== undefined;
}

/** What is written from `start` to the end of the input. */
function parseEndpoint(input: string, start: number, defaultPort?: number): Endpoint {
  const colon = input.indexOf(':', start);
  const end = colon < 0 ? input.length : colon;
  if (quadOf(input, start, end) >= 0) {
    const port = colon < 0 ? defaultPort : parsePort(input, colon + 1);
    return { family: 'inet', ip: input.slice(start, end), port };
  }
  const text = input.slice(start);
  if (isIP(text) !== 0) return { family: 'inet6', ip: parseIp(text).text, port: defaultPort };
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
  return { family: ip.family, ip: ip.text, port: parts?.[3] === undefined ? defaultPort : parsePort(parts[3], 0) };
}

/** Its parts are what can be made text of. */
function asObject<T extends object>(input: T): T {
  if (typeof input === 'object' && input !== null) {
    const { family, protocol, ip, port, fwmark }: { readonly [Name in AddressPart]?: unknown } = input;
    const parts = [family, protocol, ip, port, fwmark];
    if (parts.every((part) => part === null || partTypes.includes(typeof part))) return input;
  }
  throw new IpvsError('INVALID_ADDRESS', { detail: quote(input) });
}

type AddressPart = keyof AddressedService | keyof MarkedService;
const partTypes = ['string', 'number', 'undefined'];

function sameFamily<T extends { readonly family: Family }>(input: { readonly family: Family }, parsed: T): T {
  if (input.family === parsed.family) return parsed;
  throw new IpvsError('INVALID_ADDRESS', { detail: `family ${quote(input.family)} is not that of the address` });
}

/** Numbers of the protocols that IPVS balances (linux/in.h). */
const protocolNumbers: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);
const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
const protocolNames = new Map(Array.from(protocolNumbers, ([name, number]) => [number, name as Protocol]));

export function protocolNumber(protocol: Protocol | OtherProtocol): number {
  return protocolNumbers.get(protocol) ?? Number(protocol.slice('ip-'.length));
}

export function protocolOf(number: number): Protocol | OtherProtocol {
  return protocolNames.get(number) ?? `ip-${number}`;
}

/** The protocol that the text of a service begins with, if it is one of those. */
function knownProtocol(text: string): Protocol | undefined {
  for (const protocol of protocols) {
    if (text.startsWith(protocol) && text.startsWith('://', protocol.length)) return protocol;
  }
  return undefined;
}

/** Undefined for what is no name at all. */
function parseProtocol(text: string): Protocol | OtherProtocol | undefined {
  const number = protocolNumbers.get(text) ?? Number(/^ip-(0|[1-9]\d{0,4})$/.exec(text)?.[1] ?? Number.NaN);
  if (number <= 0xffff) return protocolOf(number);
  if (!/^[a-z0-9-]+$/.test(text)) return undefined;
  throw new IpvsError('INVALID_PROTOCOL', { detail: quote(text) });
}

/** The port from `start` to the end of the text. Throws INVALID_PORT. */
function parsePort(text: string, start: number): number {
  let port = start < text.length ? 0 : -1;
  for (let i = start; i < text.length && port >= 0 && port <= 0xffff; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    port = digit >= 0 && digit <= 9 && (port > 0 || i === start) ? port * 10 + digit : -1;
  }
  if (port < 0 || port > 0xffff) {
    throw new IpvsError('INVALID_PORT', {
      detail: quote(text.slice(start)),
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
