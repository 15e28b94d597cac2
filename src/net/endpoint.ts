/** One end of a connection, as people name it: an address or a network, with or without a port. */
import ipaddr from 'ipaddr.js';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { parseIp } from './address.ts';

/** A test of `address:port` texts, canonical ones. Throws INVALID_ADDRESS, INVALID_PORT. */
export function endpointTest(wanted: string): (endpoint: string) => boolean {
  const { ip, prefix, port, isWhole: whole } = parseEndpoint(wanted);
  const network = ipaddr.parse(ip);
  return (endpoint) => {
    const [host, hostPort] = splitEndpoint(endpoint);
    if (port !== undefined && hostPort !== port) return false;
    if (whole) return host === ip;
    const address = ipaddr.parse(host);
    return address.kind() === network.kind() && address.match(network, prefix);
  };
}

/** `10.0.0.11:8080` or `[2001:db8::11]:8080`, canonical; a template's client has no port. */
export function splitEndpoint(endpoint: string): [host: string, port: string | undefined] {
  const end = endpoint.lastIndexOf(':');
  if (endpoint.startsWith('[')) return [endpoint.slice(1, end - 1), endpoint.slice(end + 1)];
  return end < 0 || endpoint.indexOf(':') !== end
    ? [endpoint, undefined]
    : [endpoint.slice(0, end), endpoint.slice(end + 1)];
}

export interface EndpointPattern {
  readonly ip: string;
  readonly prefix: number;
  readonly port: string | undefined;
  /** One address, and no network of several. */
  readonly isWhole: boolean;
}

/** Throws INVALID_ADDRESS. */
export function parseEndpoint(text: unknown): EndpointPattern {
  const parts =
    typeof text === 'string' ? /^(?:\[([^\]]+)\]|([^/]+?))(?:\/(\d{1,3}))?(?::(\d{1,5}))?$/s.exec(text) : null;
  if (parts === null) throw badPattern(text);
  // Without brackets, colons belong to an IPv6 address.
  const bare = parts[1] === undefined && (parts[2]?.includes(':') ?? false);
  const { text: ip, family } = parseIp(
    bare && parts[4] !== undefined ? `${parts[2]}:${parts[4]}` : ((parts[1] ?? parts[2]) as string),
  );
  const longest = family === 'inet' ? 32 : 128;
  const prefix = parts[3] === undefined ? longest : Number(parts[3]);
  const port = bare ? undefined : parts[4];
  if (prefix > longest || Number(port ?? 0) > 0xffff) throw badPattern(text);
  return { ip, prefix, port, isWhole: prefix === longest };
}

function badPattern(text: unknown): IpvsError {
  return new IpvsError('INVALID_ADDRESS', {
    detail: quote(text),
    hint: 'an address or a network, with a port behind a colon: 10.0.0.11, 10.0.0.0/24, 10.0.0.11:80, [2001:db8::1]:80',
  });
}
