/**
 * The backend on the IP_VS_SO_* socket options, the older of the kernel's two interfaces: IPv4 alone, no
 * persistence engines, plain tunnels, counters of 32 bits (bytes have 64). It works where netlink does
 * not: it asks for CAP_NET_ADMIN only in the user namespace that owns the network namespace.
 */
import { type ErrorDetails, errno, IpvsError } from '../../base/errors.ts';
import { Turns } from '../../base/turns.ts';
import type { Native } from '../../kernel/native.ts';
import type { Backend, KernelView, ReadOptions, SnapshotOptions } from '../backend.ts';
import type { DestinationState } from '../destination.ts';
import { KernelFiles } from '../kernel-files.ts';
import { loadModule } from '../netlink/load-module.ts';
import type { Info } from '../netlink/wire.ts';
import { versionText } from '../numbers.ts';
import { describe, type Operation, type OperationResult } from '../operation.ts';
import { refusalOf } from '../refusal.ts';
import {
  LEFT_OUT,
  type VirtualServiceState,
  type VirtualServiceWithDestinations,
  withDestinations,
} from '../service.ts';
import type { SyncDaemon } from '../sync-daemon.ts';
import type { Timeouts } from '../timeouts.ts';
import { OptionTable, optionError } from './option-table.ts';
import {
  type CountedService,
  counted,
  countedServiceAt,
  daemonOf,
  destinationAt,
  lacks,
  optionCall,
  serviceAt,
  serviceIdOf,
} from './wire.ts';

/** How often destinations are read again that are not as many as their service says. */
const COUNT_TRIES = 4;

export class SockoptBackend implements Backend {
  readonly transport = 'sockopt';
  readonly showsAll = false;
  readonly view: KernelView;
  readonly #native: Native;
  readonly #table: OptionTable;
  readonly #turns = new Turns();

  constructor({ native, namespacePath }: { native: Native; namespacePath: string }) {
    this.view = new KernelFiles({ native, namespacePath });
    this.#native = native;
    this.#table = new OptionTable(native, namespacePath);
  }

  close(): void {
    this.#table.close();
  }

  async info(): Promise<Info> {
    return this.#read('info', () => {
      const { version, connectionTableSize } = this.#table.info();
      return { version: versionText(version), connectionTableSize, text: this.#table.version() };
    });
  }

  async timeouts(): Promise<Timeouts> {
    return this.#read('timeouts', () => this.#table.timeouts());
  }

  async syncDaemons(): Promise<SyncDaemon[]> {
    const { master, backup } = this.#read('sync daemons', () => this.#table.daemons());
    return [daemonOf(master), daemonOf(backup)].filter((daemon) => daemon !== undefined);
  }

  async services(options: ReadOptions): Promise<VirtualServiceState[]> {
    const statistics = counted(options);
    return this.#read('all services', () => this.#table.services((view, at) => serviceAt(view, at, statistics)));
  }

  async service(address: string, options: ReadOptions): Promise<VirtualServiceState | undefined> {
    const statistics = counted(options);
    const read = (view: DataView, at: number) => serviceAt(view, at, statistics);
    return this.#read(address, () => this.#table.service(serviceIdOf(address), read));
  }

  async destinations(service: string, options: ReadOptions): Promise<DestinationState[]> {
    return this.#read(service, () => {
      const expected = this.#table.service(serviceIdOf(service), countedServiceAt);
      return (expected && this.#destinationsOf(expected, options)?.destinations) ?? [];
    });
  }

  async snapshot(options: SnapshotOptions): Promise<VirtualServiceWithDestinations[]> {
    const statistics = counted(options);
    const read = (view: DataView, at: number) => ({
      service: serviceAt(view, at, statistics),
      expected: countedServiceAt(view, at),
    });
    const services: VirtualServiceWithDestinations[] = [];
    for (const { service, expected } of this.#read('all services', () => this.#table.services(read))) {
      if (this.#turns.due()) await this.#turns.give();
      const found = this.#read(service.address, () => this.#destinationsOf(expected, options));
      if (found === undefined) continue; // it is gone
      const complete = withDestinations(service, found.destinations);
      services.push(found.isWhole ? complete : { ...complete, incomplete: LEFT_OUT });
    }
    return services;
  }

  /** The options have nothing to ask with that would change nothing. */
  async moduleRefusal(): Promise<undefined> {
    return undefined;
  }

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    const results: OperationResult[] = [];
    for (const operation of operations) {
      if (this.#turns.due()) await this.#turns.give();
      const error = this.#execute(operation);
      results.push(error === undefined ? { operation } : { operation, error });
    }
    return results;
  }

  #execute(operation: Operation): IpvsError | undefined {
    const { verb, subject } = describe(operation);
    try {
      const { option, bytes } = optionCall(operation, this.#markProtocol(operation));
      let code = this.#table.set(option, bytes);
      if (code === errno.ENOPROTOOPT && loadModule(this.#native)) code = this.#table.set(option, bytes);
      // Its thread was stopped before it ever ran (kthread_stop): it is stopped.
      if (code === errno.EINTR && operation.type === 'sync.stop') return undefined;
      if (code === 0) return undefined;
      return this.#explain(operation, code).with({ operation: verb, subject });
    } catch (error) {
      if (error instanceof IpvsError) return error.with({ operation: verb, subject });
      throw error;
    }
  }

  /** The options are those of ip_vs_ctl.c too, after checks of their own. */
  #explain(operation: Operation, code: number): IpvsError {
    if (code === errno.EPERM || code === errno.ENOPROTOOPT) return optionError(code);
    return refusalOf(operation, { errno: code, text: undefined }, () => undefined);
  }

  /** A marked service made through the options has the protocol that was said then, and is found only by it. */
  #markProtocol(operation: Operation): number | undefined {
    const service = 'service' in operation ? operation.service : undefined;
    const address = typeof service === 'object' ? service.address : service;
    if (operation.type === 'service.add' || !address?.startsWith('fwmark:')) return undefined;
    return this.#table.service(serviceIdOf(address), countedServiceAt)?.protocol;
  }

  /** As the kernel counts destinations of IPv6 and leaves them out, fewer than it says are not all. */
  #destinationsOf(
    service: CountedService,
    options: SnapshotOptions,
  ): { readonly destinations: DestinationState[]; readonly isWhole: boolean } | undefined {
    const statistics = counted(options);
    const read = (view: DataView, at: number) => destinationAt(view, at, statistics);
    let expected = service.destinations;
    let destinations: DestinationState[] | undefined;
    for (let attempt = 1; attempt <= COUNT_TRIES; attempt++) {
      destinations = this.#table.destinations(service, expected, read);
      if (destinations === undefined) return undefined;
      if (destinations.length === expected) return { destinations, isWhole: true };
      const now = this.#table.service(service, countedServiceAt);
      if (now === undefined) return undefined;
      expected = now.destinations;
    }
    if (options.partial && destinations) return { destinations, isWhole: false };
    throw lacks(LEFT_OUT);
  }

  #read<T>(subject: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw error instanceof IpvsError ? error.with({ operation: 'read', subject } satisfies ErrorDetails) : error;
    }
  }
}
