/** The addresses of a host's interfaces, and its routes: what the kernel and its model have in common. */
import type { HeldAddress, InterfaceAddress } from './interface-address.ts';
import type { AddressOperation, AddressResult } from './operation.ts';
import type { Route, RouteResult } from './route.ts';

export interface AddressHost {
  /** Lists the addresses of all interfaces in the kernel's order: IPv4 first, each primary before its secondaries. */
  list(): Promise<HeldAddress[]>;
  /** Unicast routes outside of the table "local". */
  routes(): Promise<Route[]>;
  /**
   * Adds them again, in order; a refusal does not stop those after it. One of IPv6 that is there without its source gets
   * that back.
   */
  addRoutes(routes: readonly Route[]): Promise<RouteResult[]>;
  /** Whether the kernel keeps the secondaries of an IPv4 address that is deleted. */
  promotesSecondaries(interfaceName: string): boolean;
  /** In order; a refusal does not stop those after it. */
  execute(operations: readonly AddressOperation[]): Promise<AddressResult[]>;
  /** Tells the neighbours of the interface that the address is here. */
  announce(address: InterfaceAddress): Promise<void>;
  close(): Promise<void>;
}
