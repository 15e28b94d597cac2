/**
 * The addresses of one family on one interface, as the kernel keeps them: a model of __inet_insert_ifa() and
 * __inet_del_ifa() of devinet.c, and of ipv6_add_addr() and inet6_addr_del() of addrconf.c. Pure.
 */
import { ipOf, parseIp } from '../net/address.ts';
import { masked } from '../net/network.ts';
import type { HeldAddress, InterfaceAddress } from './interface-address.ts';

/** Undefined where the kernel refuses it, because it is there. */
export function withAddress(
  list: readonly HeldAddress[],
  { isSecondary: _, ...address }: HeldAddress,
): HeldAddress[] | undefined {
  // The newest of IPv6 stands first, and an address is there once, whatever its prefix length.
  if (isIpv6(address)) return list.some((each) => each.address === address.address) ? undefined : [address, ...list];
  if (list.some((each) => isSame(each, address))) return undefined;
  if (list.some((each) => networkOf(each) === networkOf(address))) return [...list, { ...address, isSecondary: true }];
  const at = list.findLastIndex((each) => !each.isSecondary) + 1;
  return list.toSpliced(at, 0, address);
}

/** `promotes`: net.ipv4.conf.*.promote_secondaries. Undefined where the kernel refuses it, because it is not there. */
export function withoutAddress(
  list: readonly HeldAddress[],
  address: InterfaceAddress,
  promotes: boolean,
): HeldAddress[] | undefined {
  const at = list.findIndex((each) => isSame(each, address));
  const held = list[at];
  if (held === undefined) return undefined;
  const rest = list.toSpliced(at, 1);
  if (held.isSecondary || isIpv6(held)) return rest;
  const isSecondaryOfIt = (each: HeldAddress) => each.isSecondary && networkOf(each) === networkOf(held);
  if (!promotes) return rest.filter((each) => !isSecondaryOfIt(each));
  const first = rest.find(isSecondaryOfIt);
  if (first === undefined) return rest;
  const { isSecondary: _, ...promoted } = first;
  const others = rest.filter((each) => each !== first);
  return others.toSpliced(others.findLastIndex((each) => !each.isSecondary) + 1, 0, promoted);
}

/** "192.0.2.0/24" */
export function networkOf({ address, prefixLength }: InterfaceAddress): string {
  return `${ipOf(masked(parseIp(address).bytes, prefixLength)).text}/${prefixLength}`;
}

export function isIpv6({ address }: InterfaceAddress): boolean {
  return address.includes(':');
}

export function isSame(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.interface === b.interface && a.address === b.address && a.prefixLength === b.prefixLength;
}
