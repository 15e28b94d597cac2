/** The backend without a kernel: a model of its table, in memory. */
import { errno, IpvsError } from '../../base/errors.ts';
import { parseServiceAddress } from '../../net/address.ts';
import type { Application } from '../application.ts';
import type { Backend, KernelView, ReadOptions, SnapshotOptions } from '../backend.ts';
import type { Connection } from '../connection.ts';
import type { DestinationState } from '../destination.ts';
import type { Info } from '../netlink/wire.ts';
import { describe, type Operation, type OperationResult } from '../operation.ts';
import { refusal, refusalOf } from '../refusal.ts';
import {
  LEFT_OUT,
  type VirtualService,
  type VirtualServiceState,
  type VirtualServiceWithDestinations,
} from '../service.ts';
import { optionError } from '../sockopt/option-table.ts';
import { counted, optionCall, serviceIdOf } from '../sockopt/wire.ts';
import type { SyncDaemon } from '../sync-daemon.ts';
import type { Timeouts } from '../timeouts.ts';
import type { Totals } from '../totals.ts';
import { apply, askForModules, findService } from './model.ts';
import { type Profile, profileOf } from './profile.ts';
import { emptyTable, type Table, type TableService } from './table.ts';
import {
  shownDaemons,
  shownDestinations,
  shownInfo,
  shownService,
  totalsOfTable,
  visibleServices,
} from './table-view.ts';

export interface MemoryBackendOptions {
  /** What is not said is as on a host with everything: netlink on the newest kernel. */
  readonly profile?: Partial<Profile>;
  /** Default: an empty one. */
  readonly table?: Table;
  /** Milliseconds, only ever more. Default: Date.now. */
  readonly clock?: () => number;
  /** What is shown as /proc/net/ip_vs_conn; nothing else follows from them. */
  readonly connections?: readonly Connection[];
}

export class MemoryBackend implements Backend {
  readonly transport = 'memory';
  readonly profile: Profile;
  readonly view: KernelView;
  readonly #clock: () => number;
  #table: Table;

  constructor({ profile, table = emptyTable, clock = Date.now, connections = [] }: MemoryBackendOptions = {}) {
    this.profile = profileOf(profile);
    this.#table = table;
    this.#clock = clock;
    this.view = new MemoryView(() => this.#table, connections);
  }

  /** As it is now: a value that JSON can hold, and that no later operation changes. */
  get table(): Table {
    return this.#table;
  }

  get showsAll(): boolean {
    return !this.#bySockopt;
  }

  close(): void {}

  async info(): Promise<Info> {
    this.#permit(
      this.#bySockopt ? { operation: 'read', subject: 'info' } : { operation: 'read info', subject: 'ip_vs' },
    );
    return shownInfo(this.#table, this.profile);
  }

  async services(options: ReadOptions): Promise<VirtualServiceState[]> {
    this.#permit({ operation: 'read', subject: 'all services' });
    const { transport } = this.profile;
    this.#countable(options);
    return visibleServices(this.#table, transport).map((service) => shownService(service, transport, options));
  }

  async service(address: string, options: ReadOptions): Promise<VirtualServiceState | undefined> {
    const about = { operation: this.#bySockopt ? 'read' : 'read service', subject: address };
    this.#countable(options);
    const service = this.#find(address, about);
    if (service === errno.EAFNOSUPPORT) throw refusal({ errno: service, text: undefined }).with(about);
    return typeof service === 'object' ? shownService(service, this.profile.transport, options) : undefined;
  }

  async destinations(service: string, options: ReadOptions): Promise<DestinationState[]> {
    const about = { operation: 'read', subject: service };
    this.#countable(options);
    const found = this.#find(service, about);
    return typeof found === 'object' ? this.#destinations(found, options) : [];
  }

  async snapshot(options: SnapshotOptions): Promise<VirtualServiceWithDestinations[]> {
    this.#permit({ operation: 'read', subject: 'all services' });
    const { transport } = this.profile;
    this.#countable(options);
    return visibleServices(this.#table, transport).map((service) => {
      const destinations = this.#destinations(service, options);
      return {
        ...shownService(service, transport, options),
        destinations,
        ...(destinations.length < service.destinations.length && { incomplete: LEFT_OUT }),
      };
    });
  }

  async timeouts(): Promise<Timeouts> {
    this.#permit({ operation: 'read', subject: 'timeouts' });
    return this.#table.timeouts;
  }

  async syncDaemons(): Promise<SyncDaemon[]> {
    this.#permit({ operation: 'read', subject: 'sync daemons' });
    return shownDaemons(this.#table, this.profile.transport);
  }

  async moduleRefusal(service: VirtualService): Promise<IpvsError | undefined> {
    if (this.#bySockopt) return undefined;
    const code = askForModules(service.scheduler, service.persistence?.engine, this.profile);
    if (code !== errno.ENOENT) return undefined;
    return refusalOf({ type: 'service.add', service }, { errno: code, text: undefined }, (name) => this.#lacks(name));
  }

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    return operations.map((operation) => {
      const error = this.#execute(operation);
      return error === undefined ? { operation } : { operation, error };
    });
  }

  #execute(operation: Operation): IpvsError | undefined {
    try {
      if (this.#bySockopt) optionCall(operation); // refuses what has no place in its structs
    } catch (error) {
      if (error instanceof IpvsError) return error.with(aboutOf(operation));
      throw error;
    }
    const { table, errno: code } = apply(this.#table, operation, this.profile, this.#clock());
    this.#table = table;
    return code === 0 ? undefined : this.#errorOf(operation, code);
  }

  /** As the backend on this way into the kernel would say it. */
  #errorOf(operation: Operation, code: number): IpvsError {
    const ofOptions = this.#bySockopt && code === errno.EPERM;
    const error = ofOptions
      ? optionError(code)
      : refusalOf(operation, { errno: code, text: undefined }, (scheduler) => this.#lacks(scheduler));
    return error.with(aboutOf(operation));
  }

  #lacks(scheduler: string): boolean | undefined {
    if (this.#bySockopt) return undefined;
    const code = askForModules(scheduler, undefined, this.profile);
    return code === errno.ENOENT ? true : code === errno.EINVAL ? false : undefined;
  }

  #countable(options: ReadOptions): void {
    if (this.#bySockopt) counted(options);
  }

  get #bySockopt(): boolean {
    return this.profile.transport === 'sockopt';
  }

  #find(address: string, about: About): TableService | number | undefined {
    if (this.#bySockopt) within(about, () => serviceIdOf(address));
    this.#permit(about);
    const unsupported = !this.profile.ipv6 && parseServiceAddress(address).family === 'inet6';
    return unsupported ? errno.EAFNOSUPPORT : findService(this.#table, address);
  }

  #destinations(service: TableService, options: SnapshotOptions): DestinationState[] {
    const about = { operation: 'read', subject: service.address };
    return within(about, () => shownDestinations(service, this.profile.transport, options));
  }

  #permit(about: About): void {
    if (this.profile.permitted) return;
    const error = this.#bySockopt ? optionError(errno.EPERM) : refusal({ errno: errno.EPERM, text: undefined });
    throw error.with(about);
  }
}

interface About {
  readonly operation: string;
  readonly subject: string;
}

function aboutOf(operation: Operation): About {
  const { verb, subject } = describe(operation);
  return { operation: verb, subject };
}

function within<T>(about: About, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof IpvsError ? error.with(about) : error;
  }
}

class MemoryView implements KernelView {
  readonly #table: () => Table;
  readonly #connections: readonly Connection[];

  constructor(table: () => Table, connections: readonly Connection[]) {
    this.#table = table;
    this.#connections = connections;
  }

  isLoaded(): boolean {
    return true;
  }

  async *connections(): AsyncGenerator<Connection> {
    yield* this.#connections;
  }

  async totals(): Promise<Totals> {
    return totalsOfTable(this.#table());
  }

  async applications(): Promise<Application[]> {
    return [];
  }

  /** There are no hash tables. */
  async tableStatus(): Promise<undefined> {
    return undefined;
  }
}
