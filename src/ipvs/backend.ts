/** What every way into the kernel's table can do. The `Ipvs` class is written against this alone. */
import type { DestinationState } from './destination.ts';
import type { Operation, OperationResult } from './operation.ts';
import type { VirtualServiceState, VirtualServiceWithDestinations } from './service.ts';
import type { SyncDaemon } from './sync-daemon.ts';
import type { Timeouts } from './timeouts.ts';
import type { Info } from './wire.ts';

/** The ways into the kernel's table. */
export type Transport = 'netlink' | 'sockopt';

export interface ReadOptions {
  /** Also read the counters. Default: false. */
  readonly statistics?: boolean;
}

/**
 * Nouns go in and come out canonical; errors are `IpvsError`. Calls do not overlap: the caller waits
 * for one before it makes the next.
 */
export interface Backend {
  /** Undefined while it is not decided, which the first call does. */
  readonly transport: Transport | undefined;
  info(): Promise<Info>;
  services(options: ReadOptions): Promise<VirtualServiceState[]>;
  /** Undefined if there is none. */
  service(address: string, options: ReadOptions): Promise<VirtualServiceState | undefined>;
  /** In the kernel's order, the newest first; empty if there is no such service. */
  destinations(service: string, options: ReadOptions): Promise<DestinationState[]>;
  /** Services with their destinations, by whatever road is the fastest to a true answer. */
  snapshot(options: ReadOptions): Promise<VirtualServiceWithDestinations[]>;
  timeouts(): Promise<Timeouts>;
  /** Those that run: none, a master, a backup, or both. */
  syncDaemons(): Promise<SyncDaemon[]>;
  /** Carries out all of them in order; a refusal does not stop the rest. */
  execute(operations: readonly Operation[]): Promise<OperationResult[]>;
  close(): void;
}
