/** The backend that takes netlink where that is permitted, and the socket options elsewhere. */
import { IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';
import type { Backend, KernelTransport, KernelView, ReadOptions, SnapshotOptions } from './backend.ts';
import type { DestinationState } from './destination.ts';
import { NetlinkBackend } from './netlink/backend.ts';
import type { Info } from './netlink/wire.ts';
import type { Operation, OperationResult } from './operation.ts';
import type { VirtualService, VirtualServiceState, VirtualServiceWithDestinations } from './service.ts';
import { SockoptBackend } from './sockopt/backend.ts';
import type { SyncDaemon } from './sync-daemon.ts';
import type { Timeouts } from './timeouts.ts';

export interface AutoBackendOptions {
  readonly native: Native;
  readonly namespacePath: string;
  /** Told once, when it is not netlink. */
  readonly onFallback: (reason: IpvsError) => void;
}

/** Nothing is asked until the first call, which decides. */
export class AutoBackend implements Backend {
  readonly #options: AutoBackendOptions;
  readonly #netlink: NetlinkBackend;
  #chosen: NetlinkBackend | SockoptBackend | undefined;

  constructor(options: AutoBackendOptions) {
    this.#options = options;
    this.#netlink = new NetlinkBackend(options);
  }

  get transport(): KernelTransport | undefined {
    return this.#chosen?.transport;
  }

  get showsAll(): boolean {
    return this.#chosen?.showsAll ?? false;
  }

  /** Whichever it will be: looking asks neither. */
  get view(): KernelView {
    return this.#netlink.view;
  }

  close(): void {
    (this.#chosen ?? this.#netlink).close();
  }

  async #choose(): Promise<NetlinkBackend | SockoptBackend> {
    this.#chosen ??= await this.#permitted();
    return this.#chosen;
  }

  /** Where neither is permitted it is netlink, whose refusal then names what was asked. */
  async #permitted(): Promise<NetlinkBackend | SockoptBackend> {
    try {
      await this.#netlink.info();
      return this.#netlink;
    } catch (reason) {
      if (!(reason instanceof IpvsError) || reason.code !== 'PERMISSION_DENIED') throw reason;
      const sockopt = await this.#sockopt();
      if (sockopt === undefined) return this.#netlink;
      this.#netlink.close();
      this.#options.onFallback(reason);
      return sockopt;
    }
  }

  /** Undefined where it is not permitted either. */
  async #sockopt(): Promise<SockoptBackend | undefined> {
    const sockopt = new SockoptBackend(this.#options);
    try {
      await sockopt.info();
      return sockopt;
    } catch {
      sockopt.close();
      return undefined;
    }
  }

  async info(): Promise<Info> {
    return (await this.#choose()).info();
  }

  async services(options: ReadOptions): Promise<VirtualServiceState[]> {
    return (await this.#choose()).services(options);
  }

  async service(address: string, options: ReadOptions): Promise<VirtualServiceState | undefined> {
    return (await this.#choose()).service(address, options);
  }

  async destinations(service: string, options: ReadOptions): Promise<DestinationState[]> {
    return (await this.#choose()).destinations(service, options);
  }

  async snapshot(options: SnapshotOptions): Promise<VirtualServiceWithDestinations[]> {
    return (await this.#choose()).snapshot(options);
  }

  async timeouts(): Promise<Timeouts> {
    return (await this.#choose()).timeouts();
  }

  async syncDaemons(): Promise<SyncDaemon[]> {
    return (await this.#choose()).syncDaemons();
  }

  async moduleRefusal(service: VirtualService): Promise<IpvsError | undefined> {
    return (await this.#choose()).moduleRefusal(service);
  }

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (operations.length === 0) return []; // deciding would load the module
    return (await this.#choose()).execute(operations);
  }
}
