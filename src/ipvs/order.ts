/** The order in which people look for services and destinations. */
import {
  type DestinationAddress,
  parseDestinationAddress,
  parseIp,
  parseServiceAddress,
  quadOf,
  type ServiceAddress,
} from '../net/address.ts';

interface Addressed {
  readonly address: string;
}

/** IPv4, IPv6, marks; then by address, port, protocol. */
export function inServiceOrder<T extends Addressed>(services: readonly T[]): T[] {
  return sorted(services, ({ address }) => sortKey(parseServiceAddress(address)));
}

/** IPv4 before IPv6, then by address and port. */
export function inDestinationOrder<T extends Addressed>(destinations: readonly T[]): T[] {
  return sorted(destinations, ({ address }) => sortKey(parseDestinationAddress(address)));
}

/** Every key is made once: tables have thousands of rows. */
function sorted<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  if (items.length < 2) return [...items];
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ item }) => item);
}

/** Text that sorts as the address does: numbers have a fixed width. */
function sortKey(address: ServiceAddress | DestinationAddress): string {
  const family = address.family === 'inet6' ? '1' : '0';
  if ('fwmark' in address) return `2${String(address.fwmark).padStart(10, '0')}${family}`;
  const digits =
    address.family === 'inet'
      ? quadOf(address.ip).toString(16).padStart(8, '0')
      : Buffer.from(parseIp(address.ip).bytes).toString('hex');
  return `${family}${digits}${String(address.port).padStart(5, '0')}${'protocol' in address ? address.protocol : ''}`;
}
