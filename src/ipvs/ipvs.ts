/** The Node API: one class, one verb for each noun and action; everything else is data. */

import { oneOf, refuseUnknownKeys } from '../base/check.ts';
import { type ErrorDetails, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import type { DestinationAddress, ServiceAddress } from '../net/address.ts';
import { serviceKey } from '../net/address.ts';
import type { Application } from './application.ts';
import { AutoBackend } from './auto-backend.ts';
import type { Backend, KernelTransport, KernelView, ReadOptions, SnapshotOptions, Transport } from './backend.ts';
import type { Connection } from './connection.ts';
import { type ConnectionFilter, connectionTest, looksAtIdleTime } from './connection-filter.ts';
import {
  type DestinationInput,
  type DestinationState,
  destinationKey,
  destinationSettings,
  normalizeDestination,
} from './destination.ts';
import { editedDestination, editedService } from './edit.ts';
import { NetlinkBackend } from './netlink/backend.ts';
import type { Info } from './netlink/wire.ts';
import { normalizeOperation } from './normalize-operation.ts';
import { describe, type Operation, type OperationResult } from './operation.ts';
import {
  normalizeService,
  serviceSettings,
  type VirtualServiceInput,
  type VirtualServiceState,
  type VirtualServiceWithDestinations,
} from './service.ts';
import { SockoptBackend } from './sockopt/backend.ts';
import {
  normalizeSyncDaemon,
  normalizeSyncState,
  type SyncDaemon,
  type SyncDaemonInput,
  type SyncState,
} from './sync-daemon.ts';
import type { TableStatus } from './table-status.ts';
import { normalizeTimeouts, type Timeouts, type TimeoutsInput } from './timeouts.ts';
import type { Totals } from './totals.ts';

/** The part of pino that this package uses; any logger with these four will do. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface OpenOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
  readonly logger?: Logger;
  /**
   * The way into the kernel. `auto`: netlink, which can do everything but needs CAP_NET_ADMIN in the
   * initial user namespace; where that is missing `sockopt`, and the logger is told why. Default: auto.
   */
  readonly transport?: KernelTransport | 'auto';
}

/** One picture of the kernel's table: plain data. */
export interface Snapshot {
  /** In the kernel's order, which depends on a hash. */
  readonly services: readonly VirtualServiceWithDestinations[];
  /** With counters: when they were read, in milliseconds since 1970 by a clock that never steps back. */
  readonly readAtMs?: number;
}

/** One service, and with counters when they were read, as in a `Snapshot`. */
export interface ServiceReading extends VirtualServiceWithDestinations {
  readonly readAtMs?: number;
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

type ServiceText = string | ServiceAddress;
type DestinationText = string | DestinationAddress;

/**
 * Opens the kernel's IPVS table. Nothing is loaded and nothing asked until the first call.
 * Throws ADDON_NOT_LOADED, NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED, SOCKET_FAILED, INVALID_OPTION.
 */
export async function openIpvs(options: OpenOptions = {}): Promise<Ipvs> {
  refuseUnknownKeys(options, 'connection', ['netns', 'logger', 'transport']);
  return inNamespace(options.netns, ({ path, release }) => openIpvsAt(path, options, release));
}

/** The same in a namespace that somebody holds: `path` is that of a `HeldNamespace`. */
export function openIpvsAt(
  path: string,
  { logger, transport = 'auto' }: Omit<OpenOptions, 'netns'>,
  release?: () => void,
): Ipvs {
  const chosen = oneOf(transport, transports, 'INVALID_OPTION', ['transport']);
  return new Ipvs(backendOf(chosen, path, logger), logger, release);
}

const readOptions = ['statistics', 'counterBits'] as const satisfies readonly (keyof ReadOptions)[];

const snapshotOptions = [...readOptions, 'partial'] as const satisfies readonly (keyof SnapshotOptions)[];

function checkReadOptions(options: SnapshotOptions, known: readonly string[] = readOptions): void {
  refuseUnknownKeys(options, 'read', known);
  const { counterBits = 32, partial = false } = options;
  if (typeof partial !== 'boolean')
    throw new IpvsError('INVALID_OPTION', { detail: 'partial is true or false', path: ['partial'] });
  if (counterBits !== 32 && counterBits !== 64)
    throw new IpvsError('INVALID_OPTION', { detail: `counters of ${quote(counterBits)} bits`, path: ['counterBits'] });
}

export const transports = ['auto', 'netlink', 'sockopt'] as const;

function backendOf(transport: (typeof transports)[number], path: string, logger: Logger | undefined): Backend {
  const options = { native: native(), namespacePath: path };
  switch (transport) {
    case 'netlink':
      return new NetlinkBackend(options);
    case 'sockopt':
      return new SockoptBackend(options);
    case 'auto': {
      const onFallback = ({ code, errno, message }: IpvsError) =>
        logger?.warn(
          { transport: 'sockopt', code, errno },
          `netlink is refused, the socket options are used: ${message}`,
        );
      return new AutoBackend({ ...options, onFallback });
    }
  }
}

/** Calls may overlap; they are carried out one after the other, in the order of the calls. */
export class Ipvs implements AsyncDisposable {
  readonly #backend: Backend;
  readonly #logger: Logger | undefined;
  readonly #release: () => void;
  #closed = false;
  /** Ends when every call made so far has ended. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `release` is called once, at the end. */
  constructor(backend: Backend, logger?: Logger, release: () => void = () => undefined) {
    this.#backend = backend;
    this.#logger = logger;
    this.#release = release;
  }

  /** The way into the kernel; undefined until the first call has decided. */
  get transport(): Transport | undefined {
    return this.#backend.transport;
  }

  /** Version and size of the kernel's connection table. */
  info(): Promise<Info> {
    return this.#reading('info', () => this.#backend.info());
  }

  /** Throws SERVICE_NOT_FOUND. */
  async service(address: ServiceText, options: ReadOptions = {}): Promise<ServiceReading> {
    const key = serviceKey(address);
    checkReadOptions(options);
    return this.#reading(`service ${key}`, async () => {
      const service = await this.#backend.service(key, options);
      if (service === undefined) throw new IpvsError('SERVICE_NOT_FOUND', { operation: 'read service', subject: key });
      const destinations = await this.#backend.destinations(key, options);
      return { ...service, destinations, ...(options.statistics && { readAtMs: nowMs() }) };
    });
  }

  /** Throws SERVICE_NOT_FOUND. */
  async destinations(service: ServiceText, options: ReadOptions = {}): Promise<readonly DestinationState[]> {
    return (await this.service(service, options)).destinations;
  }

  /** Services with their destinations. */
  async snapshot(options: SnapshotOptions = {}): Promise<Snapshot> {
    checkReadOptions(options, snapshotOptions);
    return this.#reading('snapshot', async () => {
      const services = await this.#backend.snapshot(options);
      return options.statistics ? { services, readAtMs: nowMs() } : { services };
    });
  }

  /** How long idle connections stay. */
  timeouts(): Promise<Timeouts> {
    return this.#reading('timeouts', () => this.#backend.timeouts());
  }

  /** Those that run: none, a master, a backup, or both. */
  syncDaemons(): Promise<readonly SyncDaemon[]> {
    return this.#reading('sync daemons', () => this.#backend.syncDaemons());
  }

  /**
   * The connections that match, one by one as the kernel walks its table, in constant memory. Of what changes
   * meanwhile some may be missed or come twice. Filters by idle time read the timeouts first, which needs the
   * privilege that all of this package needs; the rest needs none. Throws PROC_UNREADABLE, IPVS_NOT_LOADED and
   * those of `connectionTest`.
   */
  async *connections(filter: ConnectionFilter = {}): AsyncGenerator<Connection> {
    connectionTest(filter); // what is wrong is told before anything is read
    this.#mustBeOpen();
    const timeouts = looksAtIdleTime(filter) ? await this.timeouts() : undefined;
    const test = connectionTest(filter, timeouts);
    this.#mustBeLoaded();
    for await (const connection of this.#backend.view.connections()) if (test(connection)) yield connection;
  }

  /** Counters over all services, and those of each processor. */
  async totals(): Promise<Totals> {
    return this.#looking((view) => view.totals());
  }

  /** Helpers that look into connections, such as that for FTP. */
  async applications(): Promise<readonly Application[]> {
    return this.#looking((view) => view.applications());
  }

  /** How full the kernel's tables are; undefined before Linux 7.1, and for who is not root. */
  async tableStatus(): Promise<TableStatus | undefined> {
    return this.#looking((view) => view.tableStatus());
  }

  async addService(input: VirtualServiceInput): Promise<void> {
    await this.#one({ type: 'service.add', service: normalizeService(input) });
  }

  /** Changes what is given and keeps the rest, connections and counters included. */
  async editService(address: ServiceText, changes: Omit<VirtualServiceInput, 'address'>): Promise<void> {
    const key = serviceKey(address);
    refuseUnknownKeys(changes, 'change of a service', serviceSettings);
    await this.#exclusive(async () => {
      const about = { operation: 'edit service', subject: key };
      const service = await this.#existing(key, about);
      // The socket options neither show an engine nor keep it.
      const { persistence } = changes;
      if (service.persistence && persistence !== null && persistence?.engine === undefined) {
        const hint = 'say "engine: null" (--engine none) if it has none, or use the transport netlink';
        this.#refuseBlindEdit({ ...about, detail: 'a persistence engine would be lost', hint });
      }
      await this.#executeOne({ type: 'service.edit', service: normalizeService(editedService(service, changes)) });
    });
  }

  /** Its destinations go with it. */
  async removeService(address: ServiceText): Promise<void> {
    await this.#one({ type: 'service.delete', service: serviceKey(address) });
  }

  async addDestination(service: ServiceText, input: DestinationInput): Promise<void> {
    const key = serviceKey(service);
    await this.#one({ type: 'destination.add', service: key, destination: normalizeDestination(input, key) });
  }

  /** Changes what is given and keeps the rest, connections and counters included. */
  async editDestination(
    service: ServiceText,
    address: DestinationText,
    changes: Omit<DestinationInput, 'address'>,
  ): Promise<void> {
    const key = serviceKey(service);
    const wanted = destinationKey(address, key);
    refuseUnknownKeys(changes, 'change of a destination', destinationSettings);
    await this.#exclusive(async () => {
      const about = { operation: 'edit destination', subject: `${wanted} of ${key}` };
      await this.#existing(key, about);
      const destination = (await this.#backend.destinations(key, {})).find((d) => d.address === wanted);
      if (destination === undefined) {
        throw new IpvsError('DESTINATION_NOT_FOUND', about);
      }
      if (changes.forward === undefined && destination.forward === 'tunnel') {
        const hint = 'say "tunnel" (--forward tunnel) if it is plain IP in IP, or use the transport netlink';
        this.#refuseBlindEdit({ ...about, detail: "a tunnel's type would be lost", hint });
      }
      await this.#executeOne({
        type: 'destination.edit',
        service: key,
        destination: editedDestination(destination, changes, key),
      });
    });
  }

  /** Connections to it stay in the kernel's table, but their packets are dropped. */
  async removeDestination(service: ServiceText, address: DestinationText): Promise<void> {
    const key = serviceKey(service);
    await this.#one({ type: 'destination.delete', service: key, destination: destinationKey(address, key) });
  }

  /** Removes every service, whoever made it. Connections stay until they time out. */
  async flush(): Promise<void> {
    await this.#one({ type: 'flush' });
  }

  /** Sets the counters of a service and its destinations to zero; without a service, all of them. */
  async zero(service?: ServiceText): Promise<void> {
    await this.#one(service === undefined ? { type: 'zero' } : { type: 'zero', service: serviceKey(service) });
  }

  /** What is not named stays. Connections take the new value with their next change of state. */
  async setTimeouts(timeouts: TimeoutsInput): Promise<void> {
    await this.#one({ type: 'timeouts.set', timeouts: normalizeTimeouts(timeouts) });
  }

  /** Throws SYNC_EXISTS, INTERFACE_NOT_FOUND; MIXED_FAMILIES while a destination is of another family than its service. */
  async startSyncDaemon(daemon: SyncDaemonInput): Promise<void> {
    await this.#one({ type: 'sync.start', daemon: normalizeSyncDaemon(daemon) });
  }

  /** Throws SYNC_NOT_FOUND. */
  async stopSyncDaemon(state: SyncState): Promise<void> {
    await this.#one({ type: 'sync.stop', state: normalizeSyncState(state) });
  }

  /**
   * The primitive: many operations, pipelined, one result for each, in order. A refusal does not stop
   * the rest. Operations are checked and made canonical first; if one is invalid, nothing is done.
   */
  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (!Array.isArray(operations)) throw new IpvsError('INVALID_OPTION', { detail: 'the operations are a list' });
    const normalized = operations.map(normalizeOperation);
    return this.#exclusive(async () => {
      const results = await this.#backend.execute(normalized);
      if (this.#logger !== undefined) for (const { operation, error } of results) this.#log(operation, error);
      return results;
    });
  }

  /**
   * Those of the operations that the kernel would refuse because it lacks a scheduler or a persistence engine. It is asked
   * for them, which makes it load their modules; nothing else is changed. By the socket options it cannot be asked.
   */
  async foreseeRefusals(operations: readonly Operation[]): Promise<readonly Required<OperationResult>[]> {
    const modules = new Map<string, IpvsError | undefined>();
    return this.#exclusive(async () => {
      const refused: Required<OperationResult>[] = [];
      for (const operation of operations) {
        if (operation.type !== 'service.add' && operation.type !== 'service.edit') continue;
        const { scheduler, persistence } = operation.service;
        const key = `${scheduler} ${persistence?.engine}`;
        if (!modules.has(key)) modules.set(key, await this.#backend.moduleRefusal(operation.service));
        const error = modules.get(key);
        if (error === undefined) continue;
        const { verb, subject } = describe(operation);
        refused.push({ operation, error: error.with({ operation: verb, subject }) });
      }
      return refused;
    });
  }

  /** Ends when the calls before it have ended. */
  async close(): Promise<void> {
    await this.#exclusive(async () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#backend.close();
      this.#release();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #one(operation: Operation): Promise<void> {
    return this.#exclusive(() => this.#executeOne(operation));
  }

  async #executeOne(operation: Operation): Promise<void> {
    const [result] = await this.#backend.execute([operation]);
    this.#log(operation, result?.error);
    if (result?.error) throw result.error;
  }

  #log(operation: Operation, error: IpvsError | undefined): void {
    const { verb, subject } = describe(operation);
    const about = { operation: operation.type, subject };
    if (error) this.#tell('warn', { ...about, code: error.code, errno: error.errno }, error.message);
    else this.#tell('info', about, `${verb} ${subject}`);
  }

  /** What was done is done, even where it cannot be logged. */
  #tell(level: keyof Logger, details: object, message: string): void {
    try {
      this.#logger?.[level](details, message);
    } catch {
      // The logger's own fault.
    }
  }

  #refuseBlindEdit(details: ErrorDetails): void {
    if (!this.#backend.showsAll) throw new IpvsError('TRANSPORT_LACKS', details);
  }

  async #existing(key: string, about: ErrorDetails): Promise<VirtualServiceState> {
    const service = await this.#backend.service(key, {});
    if (service === undefined) throw new IpvsError('SERVICE_NOT_FOUND', about);
    return service;
  }

  /** Asking for the netlink family would load the module, which reading must not do. */
  #reading<T>(what: string, action: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      this.#mustBeLoaded();
      const started = performance.now();
      const result = await action();
      const tookMs = Math.round((performance.now() - started) * 1000) / 1000;
      this.#tell('debug', { transport: this.#backend.transport, tookMs }, `read ${what}`);
      return result;
    });
  }

  /** Waits for no other call: what is read goes through no socket. */
  #looking<T>(action: (view: KernelView) => Promise<T>): Promise<T> {
    this.#mustBeOpen();
    this.#mustBeLoaded();
    return action(this.#backend.view);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new IpvsError('CLOSED');
  }

  #mustBeLoaded(): void {
    if (!this.#backend.view.isLoaded()) throw new IpvsError('IPVS_NOT_LOADED');
  }

  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
