/** What every way into the kernel's table can do. The `Ipvs` class is written against this alone. */
import type { IpvsError } from '../base/errors.ts';
import type { Application } from './application.ts';
import type { Connection } from './connection.ts';
import type { DestinationState } from './destination.ts';
import type { Info } from './netlink/wire.ts';
import type { Operation, OperationResult } from './operation.ts';
import type { VirtualService, VirtualServiceState, VirtualServiceWithDestinations } from './service.ts';
import type { SyncDaemon } from './sync-daemon.ts';
import type { TableStatus } from './table-status.ts';
import type { Timeouts } from './timeouts.ts';
import type { Totals } from './totals.ts';

/** The ways into the kernel's table. */
export type KernelTransport = 'netlink' | 'sockopt';
/** `memory`: no kernel, a model of its table. */
export type Transport = KernelTransport | 'memory';

export interface ReadOptions {
  /** Also read the counters. Default: false. */
  readonly statistics?: boolean;
  /** The width that counters must have; 64 is refused by the socket options, whose counters wrap. Default: 32. */
  readonly counterBits?: 32 | 64;
}

export interface SnapshotOptions extends ReadOptions {
  /**
   * Of a service whose destinations cannot all be read, return those that can, and mark it `incomplete`. Without
   * it such a service is an error, because a plan made from a part would be wrong. Default: false.
   */
  readonly partial?: boolean;
}

/** What can only be looked at: no request of either interface asks for it. Needs no privilege. */
export interface KernelView {
  /** Whether there is a table: where the module is not loaded, asking for it by name would load it. */
  isLoaded(): boolean;
  /** One by one, as the kernel walks its table: of what changes meanwhile some may be missed, or come twice. */
  connections(): AsyncGenerator<Connection>;
  totals(): Promise<Totals>;
  applications(): Promise<Application[]>;
  /** Undefined where the kernel does not tell, or not this user. */
  tableStatus(): Promise<TableStatus | undefined>;
}

/**
 * Nouns go in and come out canonical; errors are `IpvsError`. Calls do not overlap: the caller waits
 * for one before it makes the next.
 */
export interface Backend {
  /** Undefined while it is not decided, which the first call does. */
  readonly transport: Transport | undefined;
  /** Whether what is there is shown whole. Where it is not, an edit would lose what is not shown. */
  readonly showsAll: boolean;
  readonly view: KernelView;
  info(): Promise<Info>;
  services(options: ReadOptions): Promise<VirtualServiceState[]>;
  /** Undefined if there is none. */
  service(address: string, options: ReadOptions): Promise<VirtualServiceState | undefined>;
  /** In the kernel's order, the newest first; empty if there is no such service. */
  destinations(service: string, options: ReadOptions): Promise<DestinationState[]>;
  /** Services with their destinations, by whatever road is the fastest to a true answer. */
  snapshot(options: SnapshotOptions): Promise<VirtualServiceWithDestinations[]>;
  timeouts(): Promise<Timeouts>;
  /** Those that run: none, a master, a backup, or both. */
  syncDaemons(): Promise<SyncDaemon[]>;
  /** The refusal, of nothing in particular, that adding it would be because the kernel lacks a module, as far as that can be asked; changes nothing. */
  moduleRefusal(service: VirtualService): Promise<IpvsError | undefined>;
  /** Carries out all of them in order; a refusal does not stop the rest. */
  execute(operations: readonly Operation[]): Promise<OperationResult[]>;
  close(): void;
}
