/** The addresses of a host's interfaces, and its routes: what the kernel and its model have in common. */
import type { HeldAddress, InterfaceAddress } from './interface-address.ts';
import type { AddressOperation, AddressResult } from './operation.ts';

export interface AddressHost {
  /** Of all interfaces, in the kernel's order: IPv4 first, and a primary before its secondaries. */
  list(): Promise<HeldAddress[]>;
  /** Unicast routes outside of the table "local". */
  routes(): Promise<Route[]>;
  /** Whether the kernel keeps the secondaries of an IPv4 address that is deleted. */
  promotesSecondaries(interfaceName: string): boolean;
  /** In order; a refusal does not stop those after it. */
  execute(operations: readonly AddressOperation[]): Promise<AddressResult[]>;
  /** Tells the neighbours of the interface that the address is here. */
  announce(address: InterfaceAddress): Promise<void>;
  close(): Promise<void>;
}

export interface Route {
  readonly family: 'inet' | 'inet6';
  /** "10.0.0.0/8", or "default". */
  readonly destination: string;
  /** Absent for a route over several, or over none. */
  readonly interface?: string;
  readonly gateway?: string;
  /** The source address of what this host sends there. */
  readonly source?: string;
  /** The kernel made it with an address: a connected route. */
  readonly isKernels?: true;
}

/** "default via 192.0.2.1 on eth0" */
export function formatRoute({ destination, gateway, interface: name }: Route): string {
  return `${destination}${gateway === undefined ? '' : ` via ${gateway}`}${name === undefined ? '' : ` on ${name}`}`;
}
