/** An address on a network interface, such as the virtual address of a service. */

import { at, interfaceName, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { isUnicast, parseIp } from '../net/address.ts';

/**
 * A virtual address is best alone in its network (32, or 128): it then makes no route, and no other address goes with it
 * when it is deleted, as all others of its network do with the first of IPv4 (net.ipv4.conf.*.promote_secondaries).
 */
export interface InterfaceAddress {
  readonly interface: string;
  /** Canonical text, IPv4 or IPv6. */
  readonly address: string;
  /** 1 to 32, or 128; 0 is seen only where other software set it. */
  readonly prefixLength: number;
  /** Absent where it is the usual one, which an address gets when it is added: see `usualLifetime`. */
  readonly lifetime?: Lifetime;
}

/** In seconds: how long an address may be the source of new connections, and how long it stays. */
export interface Lifetime {
  readonly preferredSeconds: number;
  readonly validSeconds: number;
}

/** INFINITY_LIFE_TIME of the kernel. */
export const FOREVER = 0xffff_ffff;

/**
 * An IPv6 address alone in its network is a virtual one, and not for this host to call others from (RFC 6724, rule 3): by
 * the longest match (rule 8) it would be the source of everything that goes to its network, tunnels to real servers
 * included, which have the address too and drop what comes from it. So it is deprecated from the start.
 */
export function usualLifetime({ address, prefixLength }: Pick<InterfaceAddress, 'address' | 'prefixLength'>): Lifetime {
  const isVirtual = prefixLength === 128 && address.includes(':');
  return { preferredSeconds: isVirtual ? 0 : FOREVER, validSeconds: FOREVER };
}

export function unlessUsual(address: InterfaceAddress, lifetime: Lifetime): Lifetime | undefined {
  const { preferredSeconds, validSeconds } = usualLifetime(address);
  const isUsual = lifetime.preferredSeconds === preferredSeconds && lifetime.validSeconds === validSeconds;
  return isUsual ? undefined : lifetime;
}

/** An address as the kernel holds it. */
export interface HeldAddress extends InterfaceAddress {
  /** True for an IPv4 address whose interface already had an address in the same network (the primary). */
  readonly isSecondary?: true;
}

/**
 * Checks it, and makes it canonical. Throws INVALID_OPTION, INVALID_ADDRESS, INVALID_NETMASK, and NOT_A_HOST for what is
 * nobody's to have, or the kernel's own (link-local).
 */
export function normalizeInterfaceAddress(input: InterfaceAddress): InterfaceAddress {
  refuseUnknownKeys(input, 'virtual address', ['interface', 'address', 'prefixLength', 'lifetime']);
  const name = interfaceName(input.interface, 'INVALID_OPTION', ['interface']);
  const { family, text } = at(['address'], parseHost, input.address);
  const most = family === 'inet' ? 32 : 128;
  const prefixLength = wholeNumber(input.prefixLength, 1, most, 'INVALID_NETMASK', ['prefixLength']);
  const address = { interface: name, address: text, prefixLength };
  const lifetime = input.lifetime && unlessUsual(address, normalizeLifetime(input.lifetime));
  return { ...address, ...(lifetime && { lifetime }) };
}

/** The kernel refuses a preferred lifetime that is longer than the valid one. */
function normalizeLifetime(input: Lifetime): Lifetime {
  refuseUnknownKeys(input, 'lifetime', ['preferredSeconds', 'validSeconds']);
  const place = (name: keyof Lifetime) => ['lifetime', name];
  const validSeconds = wholeNumber(input.validSeconds, 1, FOREVER, 'INVALID_OPTION', place('validSeconds'));
  const preferred = place('preferredSeconds');
  return {
    preferredSeconds: wholeNumber(input.preferredSeconds, 0, validSeconds, 'INVALID_OPTION', preferred),
    validSeconds,
  };
}

function parseHost(text: unknown) {
  if (typeof text !== 'string') throw new IpvsError('INVALID_ADDRESS', { detail: quote(text) });
  const ip = parseIp(text);
  if (isUnicast({ family: ip.family, ip: ip.text })) return ip;
  throw new IpvsError('NOT_A_HOST', {
    detail: quote(text),
    hint: 'a virtual address is one of a host: not unspecified, multicast, broadcast or link-local',
  });
}

/** "192.0.2.10/32 on eth0" */
export function formatInterfaceAddress({ interface: name, address, prefixLength }: InterfaceAddress): string {
  return `${address}/${prefixLength} on ${name}`;
}
