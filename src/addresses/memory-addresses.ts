/** A model of the addresses and routes of a host: no kernel, nothing on disk. */
import { errno, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import type { AddressHost } from './address-host.ts';
import { isIpv6, isSame, networkOf, withAddress } from './address-list.ts';
import {
  formatInterfaceAddress,
  type HeldAddress,
  type InterfaceAddress,
  normalizeInterfaceAddress,
} from './interface-address.ts';
import {
  type AddressOperation,
  type AddressResult,
  addressRefusal,
  describeAddressOperation,
  normalizeAddressOperation,
} from './operation.ts';
import { type Holdings, removalOf } from './removal.ts';
import { differsInSource, type Route, type RouteResult, routeRefusal } from './route.ts';

export interface MemoryInterface {
  readonly promotesSecondaries?: boolean;
}

/** Interfaces are up and have no addresses of their own, neither of loopback nor link-local. */
export class MemoryAddresses implements AddressHost {
  readonly #interfaces: ReadonlyMap<string, MemoryInterface>;
  #held: Holdings;

  /** In the order of their indices; `routes` are those that no address brings. */
  constructor(interfaces: Readonly<Record<string, MemoryInterface>>, routes: readonly Route[] = []) {
    this.#interfaces = new Map(Object.entries(interfaces));
    const promotesSecondaries = (name: string) => this.promotesSecondaries(name);
    this.#held = { addresses: [], routes, promotesSecondaries };
  }

  /** A second host that holds the same, and goes its own way from then on. */
  copy(): MemoryAddresses {
    const copy = new MemoryAddresses(Object.fromEntries(this.#interfaces));
    copy.#held = { ...this.#held, promotesSecondaries: (name) => copy.promotesSecondaries(name) };
    return copy;
  }

  async list(): Promise<HeldAddress[]> {
    return [...this.#held.addresses];
  }

  async routes(): Promise<Route[]> {
    return [...this.#held.routes];
  }

  promotesSecondaries(interfaceName: string): boolean {
    return this.#interfaces.get(interfaceName)?.promotesSecondaries ?? false;
  }

  async addRoutes(routes: readonly Route[]): Promise<RouteResult[]> {
    return routes.map((route) => {
      const code = route.settings ? this.#addAgain(route) : errno.EINVAL;
      return code === 0 ? {} : { error: routeRefusal(route, { errno: code }) };
    });
  }

  /** Adds a route after the kernel's main checks: interface, source and destination. Returns 0 or the errno. */
  #addAgain(route: Route): number {
    const { addresses, routes } = this.#held;
    const { source, destination, interface: name = '', settings } = route;
    if (!this.#interfaces.has(name)) return errno.ENODEV;
    if (source !== undefined && !addresses.some(({ address }) => address === source)) return errno.EINVAL;
    const others = routes.filter((each) => route.family === 'inet' || !differsInSource(each, route));
    const isThere = (each: Route) =>
      each.family === route.family &&
      each.destination === destination &&
      each.settings?.table === settings?.table &&
      each.settings?.priority === settings?.priority;
    if (others.some(isThere)) return errno.EEXIST;
    this.#held = { ...this.#held, routes: [...others, route] };
    return 0;
  }

  addRoute(route: Route): void {
    this.#held = { ...this.#held, routes: [...this.#held.routes, route] };
  }

  async execute(operations: readonly AddressOperation[]): Promise<AddressResult[]> {
    return operations.map(normalizeAddressOperation).map((operation) => {
      const { verb, subject } = describeAddressOperation(operation);
      const code = this.#execute(operation);
      if (code === 0) return { operation };
      return {
        operation,
        error: addressRefusal(operation, { errno: code, text: undefined }).with({ operation: verb, subject }),
      };
    });
  }

  async announce(address: InterfaceAddress): Promise<void> {
    const normalized = normalizeInterfaceAddress(address);
    if (this.#interfaces.has(normalized.interface)) return;
    const about = { operation: 'announce', subject: formatInterfaceAddress(normalized) };
    throw new IpvsError('INTERFACE_NOT_FOUND', { ...about, detail: quote(normalized.interface), errno: errno.ENODEV });
  }

  async close(): Promise<void> {}

  /** Returns 0, or the errno of the refusal. */
  #execute({ type, address }: AddressOperation): number {
    if (!this.#interfaces.has(address.interface)) return errno.ENODEV;
    if (type === 'address.add') return this.#add(address);
    if (!this.#held.addresses.some((each) => isSame(each, address))) return errno.EADDRNOTAVAIL;
    this.#held = removalOf(address, this.#held).after;
    return 0;
  }

  #add(address: InterfaceAddress): number {
    const { addresses, routes } = this.#held;
    const isBeside = (each: InterfaceAddress) =>
      each.interface === address.interface && isIpv6(each) === isIpv6(address);
    const list = withAddress(addresses.filter(isBeside), address);
    if (list === undefined) return errno.EEXIST;
    const others = addresses.filter((each) => !isBeside(each));
    const position = (each: InterfaceAddress) =>
      [...this.#interfaces.keys()].indexOf(each.interface) + (isIpv6(each) ? this.#interfaces.size : 0);
    this.#held = {
      ...this.#held,
      addresses: [...others, ...list].toSorted((a, b) => position(a) - position(b)),
      routes: [...routes, ...connectedBy(address, routes)],
    };
    return 0;
  }
}

/** A network has one route to it on each interface; IPv4 makes none for an address alone in its network. */
function connectedBy(address: InterfaceAddress, routes: readonly Route[]): Route[] {
  const family = isIpv6(address) ? 'inet6' : 'inet';
  if (family === 'inet' && address.prefixLength === 32) return [];
  const route: Route = { family, destination: networkOf(address), interface: address.interface, isKernels: true };
  const isThere = routes.some(
    (each) => each.isKernels && each.interface === route.interface && each.destination === route.destination,
  );
  return isThere ? [] : [route];
}
