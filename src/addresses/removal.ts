/** The addresses and routes that the kernel removes together with an address. Pure. */
import type { AddressHost } from './address-host.ts';
import { isIpv6, isSame, networkOf, withoutAddress } from './address-list.ts';
import { FOREVER, type HeldAddress, type InterfaceAddress, usualLifetime } from './interface-address.ts';
import type { Route } from './route.ts';

/** The addresses and routes of a host. */
export interface Holdings extends Pick<AddressHost, 'promotesSecondaries'> {
  /** In the kernel's order. */
  readonly addresses: readonly HeldAddress[];
  readonly routes: readonly Route[];
}

export interface Removal {
  /** Other addresses, which were its secondaries. */
  readonly secondaries: readonly HeldAddress[];
  /** Routes to its network. */
  readonly connected: readonly Route[];
  /** Routes with a source that goes: those of IPv4 go with it, those of IPv6 stay and lose it. */
  readonly sourced: readonly Route[];
  /** The IPv4 routes of the interface that go with its last IPv4 address. */
  readonly last: readonly Route[];
  /** Default routes that name no source, and get another one. */
  readonly unsourced: readonly Route[];
  /** The addresses and routes that remain. */
  readonly after: Holdings;
}

export function removalOf(address: InterfaceAddress, before: Holdings): Removal {
  const { addresses, routes } = before;
  const isBeside = (each: InterfaceAddress) => each.interface === address.interface && isIpv6(each) === isIpv6(address);
  const list = addresses.filter(isBeside);
  const promotes = !isIpv6(address) && before.promotesSecondaries(address.interface);
  const left = withoutAddress(list, address, promotes) ?? list;
  const gone = list.filter((each) => !left.some((other) => isSame(each, other)));
  const rest = addresses.flatMap((each) => (isBeside(each) ? (left.find((other) => isSame(each, other)) ?? []) : each));
  const family = isIpv6(address) ? 'inet6' : 'inet';
  const isOver = (route: Route) => route.family === family && route.interface === address.interface;
  const networks = new Set(left.map(networkOf));
  const isSourceGone = (source: string) =>
    gone.some((each) => each.address === source) && !rest.some((each) => each.address === source);
  const lost = new Set(
    gone
      .filter(takesItsRoute)
      .map(networkOf)
      .filter((network) => !networks.has(network)),
  );
  const made = routes.filter((route) => route.isKernels && isOver(route) && lost.has(route.destination));
  const isLast = family === 'inet' && gone.length > 0 && left.length === 0;
  const others = routes.filter((route) => !route.isKernels);
  const sourced = others.filter(({ source }) => source !== undefined && isSourceGone(source));
  const last = others.filter((route) => isLast && isOver(route) && !sourced.includes(route));
  const unsourced = others.filter(
    (route) =>
      isOver(route) &&
      !isLast &&
      route.destination === 'default' &&
      route.source === undefined &&
      gone.some((each) => each === sourceFor(list, route)),
  );
  const removed = new Set([...made, ...last, ...(family === 'inet' ? sourced : [])]);
  const kept = routes.filter((route) => !removed.has(route));
  return {
    secondaries: gone.filter((each) => !isSame(each, address)),
    connected: made.filter((route) => !isOfOne(route)),
    sourced,
    last,
    unsourced,
    after: { ...before, addresses: inOrder(rest, left), routes: kept.map((each) => withoutSource(each, sourced)) },
  };
}

/** A promoted address has another place. */
function inOrder(addresses: readonly HeldAddress[], list: readonly HeldAddress[]): HeldAddress[] {
  let next = 0;
  return addresses.map((each) => (list.includes(each) ? (list[next++] as HeldAddress) : each));
}

/** The route of an IPv6 address that does not stay for ever has a lifetime of its own. */
function takesItsRoute(address: HeldAddress): boolean {
  const { validSeconds } = address.lifetime ?? usualLifetime(address);
  return !isIpv6(address) || validSeconds === FOREVER;
}

/** The route that the kernel makes to an IPv6 address alone in its network. */
function isOfOne({ destination }: Route): boolean {
  return destination.endsWith('/128');
}

function withoutSource(route: Route, sourced: readonly Route[]): Route {
  if (!sourced.includes(route)) return route;
  const { source: _, ...rest } = route;
  return rest;
}

/** inet_select_addr(): the first primary in the gateway's network, or the first of all. IPv6 chooses by other rules. */
function sourceFor(list: readonly HeldAddress[], { family, gateway }: Route): HeldAddress | undefined {
  if (family === 'inet6') return undefined;
  const primaries = list.filter(({ isSecondary }) => !isSecondary);
  const isNear = (each: HeldAddress) =>
    gateway !== undefined && networkOf({ ...each, address: gateway }) === networkOf(each);
  return primaries.find(isNear) ?? primaries[0];
}
