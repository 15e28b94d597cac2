/** What can be read of a table, as each way into the kernel shows it. */
import { parseDestinationAddress, parseServiceAddress } from '../../net/address.ts';
import type { KernelTransport, ReadOptions, SnapshotOptions } from '../backend.ts';
import type { DestinationState } from '../destination.ts';
import type { Info } from '../netlink/wire.ts';
import { LEFT_OUT, type VirtualServiceState } from '../service.ts';
import { lacks } from '../sockopt/wire.ts';
import type { Counters, Statistics } from '../statistics.ts';
import { type SyncDaemon, syncStates } from '../sync-daemon.ts';
import type { Totals } from '../totals.ts';
import type { Profile } from './profile.ts';
import {
  mapCounters,
  statisticsOf,
  type Table,
  type TableDestination,
  type TableService,
  type TableStatistics,
} from './table.ts';

/** The socket options leave out those of IPv6. */
export function visibleServices({ services }: Table, transport: KernelTransport): readonly TableService[] {
  if (transport === 'netlink') return services;
  return services.filter(({ address }) => parseServiceAddress(address).family === 'inet');
}

/** The socket options do not show the engine. */
export function shownService(
  { address, scheduler, schedulerFlags, persistence, onePacket, statistics }: TableService,
  transport: KernelTransport,
  options: ReadOptions,
): VirtualServiceState {
  return {
    address,
    scheduler,
    schedulerFlags,
    persistence: persistence && transport === 'sockopt' ? { ...persistence, engine: null } : persistence,
    onePacket,
    ...shownStatistics(statistics, transport, options),
  };
}

/** Throws TRANSPORT_LACKS where the socket options would leave out some, unless a part is asked for. */
export function shownDestinations(
  { destinations }: TableService,
  transport: KernelTransport,
  options: SnapshotOptions,
): DestinationState[] {
  const visible = destinations.filter(({ address }) => !leavesOut(transport, address));
  if (visible.length < destinations.length && !options.partial) throw lacks(LEFT_OUT);
  return visible.map((destination) => shownDestination(destination, transport, options));
}

function leavesOut(transport: KernelTransport, address: string): boolean {
  return transport === 'sockopt' && parseDestinationAddress(address).family === 'inet6';
}

/** The socket options show every tunnel as a plain one. */
function shownDestination(
  { statistics, forward, ...destination }: TableDestination,
  transport: KernelTransport,
  options: ReadOptions,
): DestinationState {
  return {
    ...destination,
    forward: typeof forward === 'object' && transport === 'sockopt' ? 'tunnel' : forward,
    ...shownStatistics(statistics, transport, options),
  };
}

function shownStatistics(
  statistics: TableStatistics | undefined,
  transport: KernelTransport,
  options: ReadOptions,
): { statistics?: Statistics } {
  if (!options.statistics) return {};
  const { rates, ...counters } = statisticsOf(statistics);
  return { statistics: { ...widthOf(counters, transport), rates: widthOf(rates, transport) } };
}

/** By the socket options all but the bytes have 32 bits. */
function widthOf(counters: Counters, transport: KernelTransport): Counters {
  if (transport === 'netlink') return counters;
  return mapCounters((name) => (name.startsWith('bytes') ? counters[name] : BigInt.asUintN(32, counters[name])));
}

/** The daemons that run, the master first; the socket options show no more than was said to them, and the id as signed. */
export function shownDaemons({ syncDaemons }: Table, transport: KernelTransport): SyncDaemon[] {
  return syncStates.flatMap((state) => {
    const daemon = syncDaemons[state];
    if (daemon === null) return [];
    return [transport === 'netlink' ? { state, ...daemon } : { state, interface: daemon.interface, id: daemon.id | 0 }];
  });
}

/** IP_VS_VERSION_CODE, for many years. */
const VERSION = '1.2.1';
const FIXED_BUCKETS = 4096;
const LEAST_BUCKETS = 256;

export function shownInfo({ used }: Table, { differences, transport }: Profile): Info {
  const buckets = differences.growingTables ? (used ? LEAST_BUCKETS : 0) : FIXED_BUCKETS;
  const info = { version: VERSION, connectionTableSize: buckets };
  if (transport === 'netlink') return info;
  return { ...info, text: `IP Virtual Server version ${VERSION} (size=${buckets})` };
}

/** The sums over the services. */
export function totalsOfTable({ services }: Table): Totals {
  const all = services.map(({ statistics }) => statisticsOf(statistics));
  const sum = (pick: (statistics: Statistics) => Counters) =>
    mapCounters((name) => all.reduce((total, statistics) => total + pick(statistics)[name], 0n));
  return { total: { ...sum((statistics) => statistics), rates: sum(({ rates }) => rates) }, cpus: [] };
}
