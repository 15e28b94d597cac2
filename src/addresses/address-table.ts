/** The addresses of this host's interfaces: read, added, deleted and announced to the neighbours. */
import { errno, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { Turns } from '../base/turns.ts';
import type { Native } from '../kernel/native.ts';
import { ipOf, parseIp } from '../net/address.ts';
import { announcements } from '../netlink/announcement.ts';
import { NetlinkConnection, type Request } from '../netlink/connection.ts';
import type { Message } from '../netlink/message.ts';
import {
  addAddressRequest,
  addRouteRequest,
  deleteAddressRequest,
  dumpAddressesRequest,
  dumpLinksRequest,
  dumpRoutesRequest,
  type Link,
  linkRequest,
  NETLINK_ROUTE,
  readAddress,
  readLink,
  readRoute,
} from '../netlink/rtnetlink.ts';
import { KernelSysctls } from '../sysctl/sysctls.ts';
import type { AddressHost } from './address-host.ts';
import {
  formatInterfaceAddress,
  type HeldAddress,
  type InterfaceAddress,
  normalizeInterfaceAddress,
  unlessUsual,
  usualLifetime,
} from './interface-address.ts';
import {
  type AddressOperation,
  type AddressResult,
  addressRefusal,
  describeAddressOperation,
  normalizeAddressOperation,
} from './operation.ts';
import { differsInSource, type Route, type RouteResult, routeRefusal } from './route.ts';

/** How often a dump is repeated that the kernel calls disturbed. */
const DUMP_TRIES = 8;

export interface AddressTableOptions {
  readonly native: Native;
  /** Path of the network namespace, good until `close`; empty for the current one. */
  readonly namespacePath?: string;
}

/** Calls may overlap; they are carried out one after the other, in the order of the calls. */
export class AddressTable implements AddressHost {
  readonly #native: Native;
  readonly #namespacePath: string;
  readonly #connection: NetlinkConnection;
  readonly #turns = new Turns();
  /** Of the socket that announces, once it is needed. */
  #packets: number | undefined;
  /** Ends when every call made so far has ended. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(native: Native, namespacePath: string, connection: NetlinkConnection) {
    this.#native = native;
    this.#namespacePath = namespacePath;
    this.#connection = connection;
  }

  /** Throws SOCKET_FAILED, NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
  static open({ native, namespacePath = '' }: AddressTableOptions): AddressTable {
    const connection = NetlinkConnection.open({ native, namespacePath, protocol: NETLINK_ROUTE });
    return new AddressTable(native, namespacePath, connection);
  }

  /** Lists the addresses of all interfaces in the kernel's order. Throws TABLE_CHANGING, REPLY_LOST, REPLY_MALFORMED, CLOSED. */
  list(): Promise<HeldAddress[]> {
    return this.#exclusive(async () => {
      const addresses = await this.#dump('addresses', dumpAddressesRequest, readAddress);
      // Read later: an address of an interface that is not among them went with it.
      const names = await this.#linkNames();
      return addresses.flatMap((each) => {
        const name = each && names.get(each.index);
        if (each === undefined || name === undefined) return [];
        const address = { interface: name, address: ipOf(each.bytes).text, prefixLength: each.prefixLength };
        const lifetime = each.lifetime && unlessUsual(address, each.lifetime);
        return [{ ...address, ...(lifetime && { lifetime }), ...(each.isSecondary && { isSecondary: true as const }) }];
      });
    });
  }

  /** Lists the routes of all routing tables. Throws what `list` throws. */
  routes(): Promise<Route[]> {
    return this.#exclusive(() => this.#routes());
  }

  /** Throws SOCKET_FAILED, REPLY_LOST, REPLY_MALFORMED, CLOSED. */
  addRoutes(routes: readonly Route[]): Promise<RouteResult[]> {
    return this.#exclusive(async () => {
      const present = routes.some(({ family }) => family === 'inet6') ? await this.#routes() : [];
      return routes.map((route) => {
        // The kernel removes an IPv4 route together with its source address. Without the source it is another route.
        const replaces = route.family === 'inet6' && present.some((each) => differsInSource(each, route));
        try {
          return this.#addRoute(route, replaces);
        } catch (error) {
          if (!(error instanceof IpvsError) || error.kind !== 'kernel') throw error;
          return { error: routeRefusal(route, { detail: error.message }) };
        }
      });
    });
  }

  /** The kernel goes by the setting of the interface or that of "all". Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED. */
  promotesSecondaries(interfaceName: string): boolean {
    const sysctls = new KernelSysctls(this.#native, this.#namespacePath);
    return ['all', interfaceName].some((name) => sysctls.read(`net/ipv4/conf/${name}/promote_secondaries`) !== '0');
  }

  /**
   * In order; a refusal does not stop those after it. What is added is announced once, as `announce` does. Throws what
   * `normalizeAddressOperation` does before anything is done, and SOCKET_FAILED, REPLY_LOST, REPLY_MALFORMED, CLOSED, after
   * which the list says how far it came.
   */
  async execute(operations: readonly AddressOperation[]): Promise<AddressResult[]> {
    const normalized = operations.map(normalizeAddressOperation);
    return this.#exclusive(async () => {
      const results: AddressResult[] = [];
      for (const operation of normalized) {
        if (this.#turns.due()) await this.#turns.give();
        results.push(this.#execute(operation));
      }
      return results;
    });
  }

  /**
   * Tells the neighbours of the interface that the address is here: ARP or a neighbour advertisement, once. On an
   * interface that is down, not Ethernet or without ARP nothing is sent. Throws INTERFACE_NOT_FOUND, PERMISSION_DENIED
   * (without CAP_NET_RAW), SOCKET_FAILED and those of `normalizeInterfaceAddress`.
   */
  async announce(address: InterfaceAddress): Promise<void> {
    const normalized = normalizeInterfaceAddress(address);
    const about = { operation: 'announce', subject: formatInterfaceAddress(normalized) };
    return this.#exclusive(async () => {
      try {
        this.#announce(this.#link(normalized.interface), normalized);
      } catch (error) {
        throw error instanceof IpvsError ? error.with(about) : error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#exclusive(async () => {
      this.#connection.close();
      if (this.#packets !== undefined) this.#native.close(this.#packets);
      this.#packets = undefined;
    });
  }

  #execute(operation: AddressOperation): AddressResult {
    const { verb, subject } = describeAddressOperation(operation);
    let link: Link;
    try {
      link = this.#link(operation.address.interface);
      this.#change(link, operation);
    } catch (error) {
      if (!(error instanceof IpvsError) || error.kind !== 'kernel') throw error;
      return { operation, error: error.with({ operation: verb, subject }) };
    }
    if (operation.type === 'address.delete') return { operation };
    try {
      this.#announce(link, operation.address);
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      return { operation, announcementError: error.with({ operation: 'announce', subject }) };
    }
    return { operation };
  }

  async #routes(): Promise<Route[]> {
    const routes = await this.#dump('routes', dumpRoutesRequest, readRoute);
    const names = await this.#linkNames();
    return routes.flatMap((route) => {
      if (route === undefined) return [];
      const { family, destination, prefixLength, gateway, source, isKernels, settings } = route;
      const name = route.index === undefined ? undefined : names.get(route.index);
      return {
        family,
        destination: prefixLength === 0 ? 'default' : `${ipOf(destination).text}/${prefixLength}`,
        ...(name !== undefined && { interface: name }),
        ...(gateway && { gateway: ipOf(gateway).text }),
        ...(source && { source: ipOf(source).text }),
        ...(isKernels && { isKernels }),
        ...(settings && { settings }),
      };
    });
  }

  #addRoute(route: Route, replaces: boolean): RouteResult {
    const { family, destination, gateway, source, settings, interface: name } = route;
    if (settings === undefined) return { error: routeRefusal(route) };
    const [network = '', length = 0] = destination === 'default' ? [] : destination.split('/');
    const index = name === undefined ? undefined : this.#link(name).index;
    const request = {
      family,
      destination: network === '' ? new Uint8Array() : parseIp(network).bytes,
      prefixLength: Number(length),
      isKernels: false,
      settings,
      ...(index !== undefined && { index }),
      ...(gateway !== undefined && { gateway: parseIp(gateway).bytes }),
      ...(source !== undefined && { source: parseIp(source).bytes }),
    };
    const { outcome } = this.#connection.request(addRouteRequest(request, { replaces }), () => undefined);
    if (outcome.errno === 0) return {};
    const { errno: code, text } = outcome;
    return { error: routeRefusal(route, { errno: code, ...(text !== undefined && { detail: text }) }) };
  }

  /** Throws the refusal. */
  #change({ index }: Link, operation: AddressOperation): void {
    const { address, prefixLength, lifetime = usualLifetime(operation.address) } = operation.address;
    const target = { index, bytes: parseIp(address).bytes, prefixLength, lifetime };
    const request = operation.type === 'address.add' ? addAddressRequest(target) : deleteAddressRequest(target);
    const { outcome } = this.#connection.request(request, () => undefined);
    if (outcome.errno !== 0) throw addressRefusal(operation, outcome);
  }

  #link(name: string): Link {
    const { outcome, replies } = this.#connection.request(linkRequest(name), readLink);
    const [link] = replies;
    if (outcome.errno !== 0) throw new IpvsError('INTERFACE_NOT_FOUND', { detail: quote(name), errno: outcome.errno });
    if (link === undefined) throw new IpvsError('REPLY_MALFORMED', { detail: 'no interface in it' });
    if (link.name === name) return link;
    const hint = `it is an alternative name: write ${quote(link.name)}`; // which is what the list has
    throw new IpvsError('INTERFACE_NOT_FOUND', { detail: quote(name), hint });
  }

  #announce(link: Link, { address }: InterfaceAddress): void {
    for (const frame of announcements(link, parseIp(address).bytes)) {
      const sent = this.#native.sendPacket(this.#packetSocket(), link.index, frame);
      if (sent < 0) throw new IpvsError('SOCKET_FAILED', { errno: -sent });
    }
  }

  #packetSocket(): number {
    if (this.#packets !== undefined) return this.#packets;
    const fd = this.#native.openPacket(this.#namespacePath);
    if (fd === -errno.EPERM) {
      // Of the socket: the namespace was entered before.
      throw new IpvsError('PERMISSION_DENIED', { errno: -fd, hint: 'announcing needs CAP_NET_RAW: run it as root' });
    }
    if (fd < 0) throw new IpvsError('SOCKET_FAILED', { errno: -fd });
    this.#packets = fd;
    return fd;
  }

  async #linkNames(): Promise<ReadonlyMap<number, string>> {
    const links = await this.#dump('addresses', dumpLinksRequest, readLink);
    return new Map(links.map(({ index, name }) => [index, name]));
  }

  async #dump<T>(subject: string, request: Request, read: (message: Message) => T): Promise<T[]> {
    const about = { operation: 'read', subject };
    for (let attempt = 1; attempt <= DUMP_TRIES; attempt++) {
      const { errno: code, items, interrupted } = await this.#connection.dump(request, read);
      if (code !== 0) throw new IpvsError('KERNEL_REFUSED', { ...about, errno: code });
      if (!interrupted) return items;
    }
    throw new IpvsError('TABLE_CHANGING', about);
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
