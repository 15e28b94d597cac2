/** Networks as text: an address with a prefix length, canonical. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { type Family, ipOf, parseIp } from './address.ts';

export interface Network {
  readonly family: Family;
  /** `10.0.0.0/24` */
  readonly text: string;
  /** 4 or 16 bytes in network order; those behind the prefix are zero. */
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
}

/** An address alone is a network of one. Throws INVALID_ADDRESS, also where bits behind the prefix are set. */
export function parseNetwork(text: unknown): Network {
  const [, address, length] = (typeof text === 'string' && /^([^/]+)(?:\/(\d{1,3}))?$/s.exec(text)) || [];
  if (address === undefined) throw notANetwork(text);
  const { family, bytes } = parseIp(address);
  const prefixLength = length === undefined ? bytes.length * 8 : Number(length);
  if (prefixLength > bytes.length * 8) throw notANetwork(text);
  const network = masked(bytes, prefixLength);
  const canonical = `${ipOf(network).text}/${prefixLength}`;
  if (bytes.some((byte, i) => byte !== network[i]))
    throw new IpvsError('INVALID_ADDRESS', {
      detail: `${quote(text)} has bits behind its prefix`,
      hint: `the network is ${canonical}`,
    });
  return { family, text: canonical, bytes, prefixLength };
}

/** Of two networks either one contains the other, or they have nothing in common. */
export function overlap(a: Network, b: Network): boolean {
  if (a.family !== b.family) return false;
  const common = Math.min(a.prefixLength, b.prefixLength);
  const [first, second] = [masked(a.bytes, common), masked(b.bytes, common)];
  return first.every((byte, i) => byte === second[i]);
}

/** The bits behind the prefix are zero. */
export function masked(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(Math.max(prefixLength - i * 8, 0), 8)) & 0xff);
}

function notANetwork(text: unknown): IpvsError {
  return new IpvsError('INVALID_ADDRESS', { detail: quote(text), hint: 'a network is written 10.0.0.0/24' });
}
