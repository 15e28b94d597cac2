/** The backend on generic netlink, the complete one of the kernel's two interfaces. */
import { type ErrorDetails, errno, IpvsError, OTHER_WRITER } from '../../base/errors.ts';
import { Turns } from '../../base/turns.ts';
import type { Native } from '../../kernel/native.ts';
import { type Dump, NetlinkConnection, type Outcome, type Request } from '../../netlink/connection.ts';
import { NETLINK_GENERIC, resolveFamily } from '../../netlink/generic.ts';
import type { Acknowledgement, Message } from '../../netlink/message.ts';
import type { Backend, KernelView, ReadOptions } from '../backend.ts';
import { type DestinationState, sameDestination } from '../destination.ts';
import { KernelFiles } from '../kernel-files.ts';
import { describe, type Operation, type OperationResult } from '../operation.ts';
import { refusal, refusalOf } from '../refusal.ts';
import {
  sameService,
  type VirtualService,
  type VirtualServiceState,
  type VirtualServiceWithDestinations,
  withDestinations,
} from '../service.ts';
import { OptionTable } from '../sockopt/option-table.ts';
import { type CountedService, countedServiceAt, destinationAt, serviceText } from '../sockopt/wire.ts';
import type { SyncDaemon } from '../sync-daemon.ts';
import { type Timeouts, timeoutNames } from '../timeouts.ts';
import {
  destinationReader,
  dumpDaemonsRequest,
  dumpDestinationsRequest,
  dumpServicesRequest,
  getServiceRequest,
  type Info,
  IPVS_FAMILY_NAME,
  infoRequest,
  operationRequests,
  probeSchedulerRequest,
  readDaemon,
  readInfo,
  readTimeouts,
  serviceReader,
  timeoutsRequest,
} from './wire.ts';

/**
 * The kernel builds dump messages as large as the largest read so far on the socket, and on older
 * kernels allocating them is most of the cost of a small dump. So destinations, dumped service by
 * service, have a socket that only ever reads what the kernel fits into one page of memory; services, and
 * destinations where they are many, have one that reads much.
 */
const LARGE_READ_BYTES = 64 * 1024;
const SMALL_READ_BYTES = 3776;
/** That many destinations surely fit into a small read, with the 512 bytes to spare that show that it is not full. */
const FEW_DESTINATIONS = 7;

/** Services between two looks at the clock, which is a system call on some machines, as dear as a service. */
const LOOKS_AT_CLOCK = 64;
/** How often a dump in several pieces is repeated until two in a row agree. */
const STABLE_TRIES = 8;

export interface NetlinkBackendOptions {
  readonly native: Native;
  /** Path of the network namespace; empty for the current one. */
  readonly namespacePath: string;
  /** Of the socket that carries changes. Small ones lose answers sooner. */
  readonly receiveBufferBytes?: number;
}

export class NetlinkBackend implements Backend {
  readonly transport = 'netlink';
  readonly showsAll = true;
  readonly view: KernelView;
  readonly #connection: NetlinkConnection;
  readonly #destinations: NetlinkConnection;
  readonly #native: Native;
  readonly #namespacePath: string;
  readonly #turns = new Turns();
  /** Whether the service read last had many destinations: the next one is probably like it. */
  #many = false;
  #options: OptionTable | undefined;
  #family: number | undefined;

  constructor({ native, namespacePath, receiveBufferBytes }: NetlinkBackendOptions) {
    this.view = new KernelFiles({ native, namespacePath });
    this.#native = native;
    this.#namespacePath = namespacePath;
    const shared = { native, namespacePath, protocol: NETLINK_GENERIC };
    this.#connection = NetlinkConnection.open({
      ...shared,
      readBytes: LARGE_READ_BYTES,
      ...(receiveBufferBytes !== undefined && { receiveBufferBytes }),
    });
    try {
      this.#destinations = NetlinkConnection.open({ ...shared, readBytes: SMALL_READ_BYTES });
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  close(): void {
    this.#connection.close();
    this.#destinations.close();
    this.#options?.close();
  }

  async info(): Promise<Info> {
    const { replies } = this.#request('read info', 'ip_vs', infoRequest, readInfo);
    return replies[0] ?? unreadable('info');
  }

  async service(address: string, { statistics = false }: ReadOptions): Promise<VirtualServiceState | undefined> {
    const { outcome, replies } = this.#ask((family) => getServiceRequest(family, address), serviceReader(statistics));
    if (outcome.errno === errno.ESRCH) return undefined;
    if (outcome.errno !== 0) throw refusal(outcome).with({ operation: 'read service', subject: address });
    return replies[0];
  }

  services({ statistics = false }: ReadOptions): Promise<VirtualServiceState[]> {
    return this.#stableDump(dumpServicesRequest, serviceReader(statistics), 'all services');
  }

  async destinations(service: string, { statistics = false }: ReadOptions): Promise<DestinationState[]> {
    return this.#fewDestinations(service, statistics) ?? this.#allDestinations(service, statistics);
  }

  /** Without waiting, which most can do; undefined where they do not come in one piece. */
  #fewDestinations(service: string, statistics: boolean): DestinationState[] | undefined {
    const connection = this.#many ? this.#connection : this.#destinations;
    const read = destinationReader(statistics, service);
    let dump = connection.dumpPiece(dumpDestinationsRequest(this.#familyId(), service), read);
    if (dump?.errno === errno.ENOENT && this.#familyMoved()) {
      dump = connection.dumpPiece(dumpDestinationsRequest(this.#familyId(), service), read);
    }
    if (dump === undefined || dump.errno !== 0 || !isConsistent(dump)) return undefined;
    this.#many = dump.items.length > FEW_DESTINATIONS;
    return dump.items;
  }

  #allDestinations(service: string, statistics: boolean): Promise<DestinationState[]> {
    this.#many = true;
    const request = (family: number) => dumpDestinationsRequest(family, service);
    return this.#stableDump(request, destinationReader(statistics, service), service);
  }

  /**
   * Services by netlink, which alone knows all of them. Their destinations, unless counters are asked for,
   * by getsockopt(2) where that says all there is to say: it takes one system call for each service instead of three,
   * and on older kernels a tenth of the time.
   */
  async snapshot({ statistics = false }: ReadOptions): Promise<VirtualServiceWithDestinations[]> {
    const services: VirtualServiceWithDestinations[] = [];
    const counted = statistics ? undefined : this.#countedServices();
    const dump = await this.#stableDump(dumpServicesRequest, serviceReader(statistics), 'all services', counted);
    let next = 0;
    for (const [i, service] of dump.entries()) {
      if (i % LOOKS_AT_CLOCK === 0 && this.#turns.due()) await this.#turns.give();
      const { address } = service;
      // Both are in the kernel's order; those of IPv6 are not counted.
      const known = counted?.[next]?.address === address ? counted[next++] : undefined;
      const destinations =
        (known && this.#destinationsByOption(known)) ??
        this.#fewDestinations(address, statistics) ??
        (await this.#allDestinations(address, statistics));
      // The kernel answers alike for "no destinations" and "no such service (any more)".
      if (destinations.length === 0 && !(await this.service(address, {}))) continue;
      services.push(withDestinations(service, destinations));
    }
    return services;
  }

  #countedServices(): readonly NamedService[] | undefined {
    try {
      this.#options ??= new OptionTable(this.#native, this.#namespacePath);
      return this.#options.services(countedServiceAt).map((counted) => ({ address: serviceText(counted), counted }));
    } catch {
      return undefined; // it is a short cut, no more
    }
  }

  /** Undefined where the options may not say all: tunnels have settings of their own, those of IPv6 are left out. */
  #destinationsByOption({ counted }: NamedService): DestinationState[] | undefined {
    try {
      const destinations = this.#options?.destinations(counted, counted.destinations, plainDestinationAt);
      if (destinations?.length !== counted.destinations) return undefined;
      return destinations.some(({ forward }) => forward === 'tunnel') ? undefined : destinations;
    } catch {
      return undefined;
    }
  }

  async timeouts(): Promise<Timeouts> {
    const { replies } = this.#request('read', 'timeouts', timeoutsRequest, readTimeouts);
    return replies[0] ?? unreadable('timeouts');
  }

  async syncDaemons(): Promise<SyncDaemon[]> {
    const { errno: code, items } = await this.#dump(this.#destinations, dumpDaemonsRequest, readDaemon);
    if (code !== 0)
      throw refusal({ errno: code, text: undefined }).with({ operation: 'read', subject: 'sync daemons' });
    return items;
  }

  async moduleRefusal(service: VirtualService): Promise<IpvsError | undefined> {
    const { scheduler, persistence } = service;
    const engine = persistence?.engine ?? undefined;
    const { outcome } = this.#ask((family) => probeSchedulerRequest(family, scheduler, engine), unread);
    if (outcome.errno !== errno.ENOENT) return undefined;
    return refusalOf({ type: 'service.add', service }, outcome, (name) => this.#lacks(name));
  }

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (!operations.some(({ type }) => type === 'sync.stop')) return this.#execute(operations);
    const results: OperationResult[] = [];
    for (const part of partsOf(operations)) for (const result of await this.#execute(part)) results.push(result);
    return results;
  }

  async #execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (operations.length === 0) return []; // asking for the family would load the module
    let outcomes = await this.#connection.pipeline(operationRequests(this.#familyId(), operations));
    const suspect = outcomes.every((outcome) => outcome !== 'unknown' && outcome.errno === errno.ENOENT);
    if (suspect && this.#familyMoved()) {
      outcomes = await this.#connection.pipeline(operationRequests(this.#familyId(), operations));
    }
    const results = new Array<OperationResult>(operations.length);
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i] as Operation;
      const outcome = outcomes[i] ?? 'unknown';
      const done = outcome !== 'unknown' && outcome.errno === 0;
      const error = done ? undefined : await this.#errorOf(operation, outcome);
      results[i] = error === undefined ? { operation } : { operation, error };
    }
    return results;
  }

  /**
   * A dump in one piece that was not full is consistent. Any other is resumed by position, so a change in between
   * makes the kernel skip or repeat objects, and it never says so (ip_vs_ctl.c does not set
   * NLM_F_DUMP_INTR): only two dumps that agree are believed, the first of which may be of another kind.
   */
  async #stableDump<T extends Addressed>(
    request: (family: number) => Request,
    read: (message: Message) => T,
    subject: string,
    before?: readonly Addressed[],
  ): Promise<T[]> {
    let previous = before;
    for (let attempt = 1; attempt <= STABLE_TRIES; attempt++) {
      const dump = await this.#dump(this.#connection, request, read);
      if (dump.errno !== 0) throw refusal({ errno: dump.errno, text: undefined }).with({ operation: 'read', subject });
      if (isConsistent(dump)) return dump.items;
      if (previous !== undefined && sameAddresses(previous, dump.items)) return dump.items;
      previous = dump.items;
    }
    throw new IpvsError('TABLE_CHANGING', { operation: 'read', subject, hint: OTHER_WRITER });
  }

  async #dump<T>(
    connection: NetlinkConnection,
    request: (family: number) => Request,
    read: (message: Message) => T,
  ): Promise<Dump<T>> {
    const dump = await connection.dump(request(this.#familyId()), read);
    if (dump.errno !== errno.ENOENT || !this.#familyMoved()) return dump;
    return connection.dump(request(this.#familyId()), read);
  }

  #request<T>(operation: string, subject: string, request: (family: number) => Request, read: (message: Message) => T) {
    const answer = this.#ask(request, read);
    if (answer.outcome.errno !== 0) throw refusal(answer.outcome).with({ operation, subject });
    return answer;
  }

  #ask<T>(
    request: (family: number) => Request,
    read: (message: Message) => T,
  ): { outcome: Acknowledgement; replies: T[] } {
    const answer = this.#connection.request(request(this.#familyId()), read);
    if (answer.outcome.errno !== errno.ENOENT || !this.#familyMoved()) return answer;
    return this.#connection.request(request(this.#familyId()), read);
  }

  #familyId(): number {
    this.#family ??= resolveFamily(this.#connection, IPVS_FAMILY_NAME);
    if (this.#family === undefined) throw new IpvsError('IPVS_NOT_LOADED', { hint: MODULE_MISSING });
    return this.#family;
  }

  /** The number changes when the module was unloaded and loaded again; ENOENT may mean just that. */
  #familyMoved(): boolean {
    const family = resolveFamily(this.#connection, IPVS_FAMILY_NAME);
    const moved = family !== this.#family;
    this.#family = family;
    return moved;
  }

  async #errorOf(operation: Operation, outcome: Outcome): Promise<IpvsError | undefined> {
    const { verb, subject } = describe(operation);
    const about = { operation: verb, subject };
    if (outcome === 'unknown') return this.#settle(operation, about);
    return refusalOf(operation, outcome, (scheduler) => this.#lacks(scheduler)).with(about);
  }

  /** The answer was lost: what the table shows decides. */
  async #settle(operation: Operation, about: ErrorDetails): Promise<IpvsError | undefined> {
    try {
      return (await this.#holds(operation)) ? undefined : new IpvsError('REPLY_LOST', about);
    } catch (cause) {
      return new IpvsError('REPLY_LOST', { ...about, detail: 'nor can it be read', cause });
    }
  }

  /** Whether the kernel lacks a scheduler; undefined where that cannot be found out. */
  #lacks(scheduler: string): boolean | undefined {
    const { outcome } = this.#connection.request(probeSchedulerRequest(this.#familyId(), scheduler), unread);
    if (outcome.errno === errno.ENOENT) return true;
    return outcome.errno === errno.EINVAL ? false : undefined; // EAFNOSUPPORT where IPv6 is off
  }

  /** Whether the table is as the operation would have left it. */
  async #holds(operation: Operation): Promise<boolean> {
    switch (operation.type) {
      case 'flush':
        return (await this.services({})).length === 0;
      case 'service.delete':
        return (await this.service(operation.service, {})) === undefined;
      case 'service.add':
      case 'service.edit': {
        const service = await this.service(operation.service.address, {});
        return service !== undefined && sameService(service, operation.service);
      }
      case 'destination.delete':
        return !(await this.destinations(operation.service, {})).some((d) => d.address === operation.destination);
      case 'destination.add':
      case 'destination.edit':
        return (await this.destinations(operation.service, {})).some((d) => sameDestination(d, operation.destination));
      case 'zero':
        return false; // traffic goes on counting: nothing to read would tell
      case 'timeouts.set': {
        const timeouts = await this.timeouts();
        return timeoutNames.every((name) => (operation.timeouts[name] ?? timeouts[name]) === timeouts[name]);
      }
      case 'sync.start':
      case 'sync.stop': {
        const state = operation.type === 'sync.start' ? operation.daemon.state : operation.state;
        const runs = (await this.syncDaemons()).some((daemon) => daemon.state === state);
        return runs === (operation.type === 'sync.start');
      }
    }
  }
}

function plainDestinationAt(view: DataView, at: number): DestinationState {
  return destinationAt(view, at, false);
}

const MODULE_MISSING = 'this kernel cannot load it: install the kernel\'s modules, or "modprobe ip_vs" says why';

/**
 * A daemon whose thread is stopped before it ever ran ends with EINTR (kthread_stop), to which netlink sends no answer.
 * So a stop is sent by itself, and what it did is read before the next is sent.
 */
function partsOf(operations: readonly Operation[]): (readonly Operation[])[] {
  const parts: Operation[][] = [[]];
  for (const operation of operations) {
    if (operation.type === 'sync.stop') parts.push([operation], []);
    else parts.at(-1)?.push(operation);
  }
  return parts;
}

function unread(): void {}

function unreadable(what: string): never {
  throw new IpvsError('REPLY_MALFORMED', { detail: `no ${what} in it` });
}

function isConsistent({ pieces, full, interrupted }: Dump<unknown>): boolean {
  return pieces <= 1 && !full && !interrupted;
}

interface Addressed {
  readonly address: string;
}

/** A service as getsockopt(2) shows it. */
interface NamedService extends Addressed {
  readonly counted: CountedService;
}

function sameAddresses(a: readonly Addressed[], b: readonly Addressed[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]?.address !== b[i]?.address) return false;
  return true;
}
