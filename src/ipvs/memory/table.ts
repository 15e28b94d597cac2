/** A table of IPVS as plain data, which JSON can hold: what the kernel keeps of one network namespace. */
import type { Destination } from '../destination.ts';
import type { VirtualService } from '../service.ts';
import { type Counters, counterNames, type Statistics } from '../statistics.ts';
import type { SyncDaemon, SyncState } from '../sync-daemon.ts';
import type { Timeouts } from '../timeouts.ts';

export interface Table {
  /** In the order in which they came. */
  readonly services: readonly TableService[];
  /** Deleted destinations, the newest first: the kernel remembers them for a while. */
  readonly trash: readonly TrashedDestination[];
  /** When the trash is looked through next. */
  readonly sweepAtMs: number | null;
  readonly timeouts: Timeouts;
  readonly syncDaemons: { readonly [State in SyncState]: TableDaemon | null };
  /** Whether there ever was a service or a backup daemon. */
  readonly used: boolean;
  /** The number of the service that comes next. */
  readonly nextNumber: number;
}

export interface TableService extends VirtualService {
  /** One that is deleted and added again is another one. */
  readonly number: number;
  readonly statistics?: TableStatistics;
  /** The newest first. */
  readonly destinations: readonly TableDestination[];
}

export interface TableDestination extends Destination {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  readonly statistics?: TableStatistics;
}

export interface TrashedDestination {
  /** What it was of: the address of the service; a firewall mark without its family. */
  readonly of: string;
  /** The number of that service. */
  readonly serviceNumber: number;
  /** Since when nothing refers to it; null before it was looked at, or while connections do. */
  readonly idleSinceMs: number | null;
  readonly destination: TableDestination;
}

export type TableDaemon = Required<{
  readonly [Name in keyof Omit<SyncDaemon, 'state'>]: NonNullable<SyncDaemon[Name]>;
}>;

/** Counters are numbers, decimal strings beyond 2^53 - 1; what is missing is 0. */
export type TableCounters = { readonly [Name in keyof Counters]?: number | string };
export type TableStatistics = TableCounters & { readonly rates?: TableCounters };

export const emptyTable: Table = {
  services: [],
  trash: [],
  sweepAtMs: null,
  timeouts: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 },
  syncDaemons: { master: null, backup: null },
  used: false,
  nextNumber: 1,
};

export function statisticsOf({ rates = {}, ...counters }: TableStatistics = {}): Statistics {
  return { ...countersOf(counters), rates: countersOf(rates) };
}

function countersOf(counters: TableCounters): Counters {
  return mapCounters((name) => BigInt(counters[name] ?? 0));
}

export function mapCounters(value: (name: keyof Counters) => bigint): Counters {
  const [connections, packetsIn, packetsOut, bytesIn, bytesOut] = counterNames.map(value) as Five;
  return { connections, packetsIn, packetsOut, bytesIn, bytesOut };
}

type Five = [bigint, bigint, bigint, bigint, bigint];
