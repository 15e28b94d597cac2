/** An address on a network interface, such as the virtual address of a service. */
import { IpvsError } from '../errors.ts';
import { isUnicast, parseIp } from '../ipvs/address.ts';
import { at, interfaceName, refuseUnknownKeys, wholeNumber } from '../ipvs/check.ts';
import { quote } from '../ipvs/quote.ts';

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
}

/**
 * Checks it, and makes it canonical. Throws INVALID_OPTION, INVALID_ADDRESS, INVALID_NETMASK, and NOT_A_HOST for what is
 * nobody's to have, or the kernel's own (link-local).
 */
export function normalizeInterfaceAddress(input: InterfaceAddress): InterfaceAddress {
  refuseUnknownKeys(input, 'virtual address', ['interface', 'address', 'prefixLength']);
  const name = interfaceName(input.interface, 'INVALID_OPTION', ['interface']);
  const { family, text } = at(['address'], parseHost, input.address);
  const most = family === 'inet' ? 32 : 128;
  const prefixLength = wholeNumber(input.prefixLength, 1, most, 'INVALID_NETMASK', ['prefixLength']);
  return { interface: name, address: text, prefixLength };
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
