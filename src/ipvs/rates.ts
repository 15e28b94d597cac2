/** Fresh rates from two snapshots with counters. The kernel's own are averages that lag some ten seconds behind. */
import { IpvsError } from '../base/errors.ts';
import type { VirtualServiceWithDestinations } from './service.ts';
import { type Counters, counterNames } from './statistics.ts';

/** Per second, with fractions. */
export type Rates = { readonly [Name in keyof Counters]: number };

export interface ServiceRates {
  readonly address: string;
  /** Null where there is nothing to compare with: it is new, or its counters were set back. */
  readonly rates: Rates | null;
  readonly destinations: readonly { readonly address: string; readonly rates: Rates | null }[];
}

interface CountedSnapshot {
  readonly services: readonly VirtualServiceWithDestinations[];
  readonly readAtMs?: number;
}

/**
 * What happened per second between two snapshots, for everything in the later one. They should be 2 seconds or a
 * multiple apart, since the kernel publishes counters that often. Throws INVALID_OPTION where one has no counters, or they are not in order.
 */
export function ratesBetween(before: CountedSnapshot, after: CountedSnapshot): ServiceRates[] {
  if (before?.readAtMs === undefined || after?.readAtMs === undefined)
    throw new IpvsError('INVALID_OPTION', { detail: 'rates need two snapshots with { statistics: true }' });
  const seconds = (after.readAtMs - before.readAtMs) / 1000;
  if (!(seconds > 0)) throw new IpvsError('INVALID_OPTION', { detail: 'the later snapshot comes second' });
  const earlier = new Map(before.services.map((service) => [service.address, service]));
  return after.services.map((service) => {
    const old = earlier.get(service.address);
    const oldDestinations = new Map(old?.destinations.map((destination) => [destination.address, destination]));
    return {
      address: service.address,
      rates: perSecond(old?.statistics, service.statistics, seconds),
      destinations: service.destinations.map(({ address, statistics }) => ({
        address,
        rates: perSecond(oldDestinations.get(address)?.statistics, statistics, seconds),
      })),
    };
  });
}

/** Null where one is missing, or a counter went backwards. */
export function perSecond(before: Counters | undefined, after: Counters | undefined, seconds: number): Rates | null {
  if (before === undefined || after === undefined) return null;
  if (counterNames.some((name) => after[name] < before[name])) return null;
  const rate = (name: keyof Counters) => Number(after[name] - before[name]) / seconds;
  return {
    connections: rate('connections'),
    packetsIn: rate('packetsIn'),
    packetsOut: rate('packetsOut'),
    bytesIn: rate('bytesIn'),
    bytesOut: rate('bytesOut'),
  };
}
