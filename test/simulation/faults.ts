/** What goes wrong in a game: the process dies, the kernel refuses, the disk is full, another program writes. */

import type { AddressHost } from '../../src/addresses/address-host.ts';
import type { MemoryAddresses } from '../../src/addresses/memory-addresses.ts';
import type { AddressOperation, AddressResult } from '../../src/addresses/operation.ts';
import type { Route, RouteResult } from '../../src/addresses/route.ts';
import { IpvsError } from '../../src/base/errors.ts';
import type { ChainPlace } from '../../src/iptables/chain.ts';
import type { RuleHost } from '../../src/iptables/host.ts';
import type { Program } from '../../src/iptables/programs.ts';
import type { Backend, ReadOptions, SnapshotOptions } from '../../src/ipvs/backend.ts';
import type { MemoryBackend } from '../../src/ipvs/memory/backend.ts';
import type { Operation, OperationResult } from '../../src/ipvs/operation.ts';
import type { VirtualService } from '../../src/ipvs/service.ts';
import type { Family } from '../../src/net/address.ts';
import type { Files, VolatileFiles } from '../../src/record/files.ts';
import type { SysctlHost } from '../../src/sysctl/sysctls.ts';
import type { IptablesModel } from './iptables-model.ts';
import type { SysctlsModel } from './sysctls-model.ts';

export interface Fault {
  /** `lost`: the kernel does it, and the answer does not come. `meddle`: another program writes just before. */
  readonly how: 'crash-before' | 'crash-after' | 'refuse' | 'lost' | 'disk-full' | 'meddle';
  /** Before or at which write: those to kernel and disk count alike, from 0. */
  readonly at: number;
  /** How many writes from there on. A process dies once. */
  readonly times: number;
}

/** The process is gone: nothing that it called returns. */
export class Crash extends Error {
  override name = 'Crash';
}

/** All that a process does to the outside passes here. */
export class Gate {
  readonly #fault: Fault | undefined;
  readonly #meddle: () => Promise<void>;
  #writes = 0;
  #isDead = false;

  constructor(fault?: Fault, meddle: () => Promise<void> = async () => {}) {
    this.#fault = fault;
    this.#meddle = meddle;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  look(): void {
    if (this.#isDead) throw new Crash();
  }

  /** Lets another program write before the next write to the kernel, if that is the fault. */
  async others(): Promise<void> {
    this.look();
    if (this.#fault?.how === 'meddle' && this.#writes === this.#fault.at) await this.#meddle();
  }

  /** What becomes of the next write. `crash-after`: do it, then call `die`. */
  write(to: 'kernel' | 'disk'): Fault['how'] | undefined {
    this.look();
    const number = this.#writes++;
    if (this.#fault === undefined) return undefined;
    const { how, at, times } = this.#fault;
    if (number < at || number >= at + times) return undefined;
    if (how === 'crash-before') this.die();
    if (how === 'disk-full') return to === 'disk' ? how : undefined;
    if (how === 'meddle') return undefined;
    return to === 'kernel' || how === 'crash-after' ? how : undefined;
  }

  die(): never {
    this.#isDead = true;
    throw new Crash();
  }
}

function refusal(operation: string, subject: string): IpvsError {
  return new IpvsError('KERNEL_REFUSED', { operation, subject, errno: 12, detail: 'simulated' });
}

function lost(operation: string, subject: string): IpvsError {
  return new IpvsError('REPLY_LOST', { operation, subject, detail: 'simulated' });
}

/** Does a write of the kernel one way or the other; returns the error that the caller hears. */
function through(gate: Gate, subject: string, action: () => void): IpvsError | undefined {
  const how = gate.write('kernel');
  if (how === 'refuse') return refusal('write', subject);
  action();
  if (how === 'crash-after') gate.die();
  return how === 'lost' ? lost('write', subject) : undefined;
}

export class FaultyBackend implements Backend {
  readonly #table: () => MemoryBackend;
  readonly #gate: Gate;

  constructor(table: () => MemoryBackend, gate: Gate) {
    this.#table = table;
    this.#gate = gate;
  }

  get #inner(): MemoryBackend {
    return this.#table();
  }
  get transport(): 'memory' {
    return this.#inner.transport;
  }
  get showsAll() {
    return this.#inner.showsAll;
  }
  get view() {
    return this.#inner.view;
  }
  info = () => this.#read(() => this.#inner.info());
  services = (options: ReadOptions) => this.#read(() => this.#inner.services(options));
  service = (address: string, options: ReadOptions) => this.#read(() => this.#inner.service(address, options));
  destinations = (service: string, options: ReadOptions) =>
    this.#read(() => this.#inner.destinations(service, options));
  snapshot = (options: SnapshotOptions) => this.#read(() => this.#inner.snapshot(options));
  timeouts = () => this.#read(() => this.#inner.timeouts());
  syncDaemons = () => this.#read(() => this.#inner.syncDaemons());
  moduleRefusal = (service: VirtualService) => this.#read(() => this.#inner.moduleRefusal(service));

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    const results: OperationResult[] = [];
    for (const operation of operations) {
      let result: OperationResult = { operation };
      const { executed, error } = await this.#one(operation);
      if (executed) result = executed;
      results.push(error ? { operation, error } : result);
    }
    return results;
  }

  close(): void {}

  async #one(operation: Operation): Promise<{ executed?: OperationResult; error?: IpvsError }> {
    await this.#gate.others();
    const how = this.#gate.write('kernel');
    if (how === 'refuse') return { error: refusal(operation.type, JSON.stringify(operation)) };
    const [executed] = (await this.#inner.execute([operation])) as [OperationResult];
    if (how === 'crash-after') this.#gate.die();
    return how === 'lost' ? { error: lost(operation.type, JSON.stringify(operation)) } : { executed };
  }

  #read<T>(action: () => T): T {
    this.#gate.look();
    return action();
  }
}

export class FaultyAddresses implements AddressHost {
  readonly #inner: MemoryAddresses;
  readonly #gate: Gate;

  constructor(inner: MemoryAddresses, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  list = () => this.#read(() => this.#inner.list());
  routes = () => this.#read(() => this.#inner.routes());
  async addRoutes(routes: readonly Route[]): Promise<RouteResult[]> {
    const results: RouteResult[] = [];
    for (const route of routes) {
      const how = this.#gate.write('kernel');
      const [result] =
        how === 'refuse' ? [{ error: refusal('add route', route.destination) }] : await this.#inner.addRoutes([route]);
      if (how === 'crash-after') this.#gate.die();
      results.push(how === 'lost' ? { error: lost('add route', route.destination) } : (result as RouteResult));
    }
    return results;
  }
  promotesSecondaries = (name: string) => this.#read(() => this.#inner.promotesSecondaries(name));
  announce: AddressHost['announce'] = async () => {};
  async close() {}

  async execute(operations: readonly AddressOperation[]): Promise<AddressResult[]> {
    const results: AddressResult[] = [];
    for (const operation of operations) {
      await this.#gate.others();
      const how = this.#gate.write('kernel');
      if (how === 'refuse') {
        results.push({ operation, error: refusal(operation.type, operation.address.address) });
        continue;
      }
      const [result] = (await this.#inner.execute([operation])) as [AddressResult];
      if (how === 'crash-after') this.#gate.die();
      results.push(how === 'lost' ? { operation, error: lost(operation.type, operation.address.address) } : result);
    }
    return results;
  }

  #read<T>(action: () => T): T {
    this.#gate.look();
    return action();
  }
}

export class FaultySysctls implements SysctlHost {
  readonly #inner: SysctlsModel;
  readonly #gate: Gate;

  constructor(inner: SysctlsModel, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  read(name: string): string {
    this.#gate.look();
    return this.#inner.read(name);
  }

  write(name: string, value: string): void {
    const error = through(this.#gate, name, () => this.#inner.write(name, value));
    // A file gives no answer that could be lost.
    if (error?.code === 'KERNEL_REFUSED') throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name });
  }

  interfaces(): string[] {
    return this.#inner.interfaces();
  }

  loadModule(): boolean {
    return true;
  }
}

export class FaultyRules implements RuleHost {
  readonly #inner: IptablesModel;
  readonly #gate: Gate;

  constructor(inner: IptablesModel, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  store = (program: Program) => this.#read(() => this.#inner.store(program));
  save = (program: Program, family: Family, table: string) =>
    this.#read(() => this.#inner.save(program, family, table));
  interfaces = () => this.#read(() => this.#inner.interfaces());
  mayHaveNft = () => this.#read(() => this.#inner.mayHaveNft());
  hasNftChain = (place: ChainPlace) => this.#read(() => this.#inner.hasNftChain(place));
  hasLegacyTable = (place: ChainPlace) => this.#read(() => this.#inner.hasLegacyTable(place));

  async restore(program: Program, family: Family, text: string): Promise<void> {
    await this.#gate.others();
    const how = this.#gate.write('kernel');
    if (how === 'refuse') throw new IpvsError('IPTABLES_REFUSED', { detail: 'simulated' });
    await this.#inner.restore(program, family, text);
    if (how === 'crash-after') this.#gate.die();
    // It was killed after the commit.
    if (how === 'lost') throw new IpvsError('IPTABLES_REFUSED', { detail: 'simulated: did not end' });
  }

  #read<T>(action: () => T): T {
    this.#gate.look();
    return action();
  }
}

export class FaultyFiles implements Files {
  readonly #inner: VolatileFiles;
  readonly #gate: Gate;

  constructor(inner: VolatileFiles, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  get place(): string {
    return this.#inner.place;
  }
  read = (name: string) => this.#read(() => this.#inner.read(name));
  has = (name: string) => this.#read(() => this.#inner.has(name));
  list = (folder: string) => this.#read(() => this.#inner.list(folder));

  write(name: string, bytes: Uint8Array | string): void {
    this.#change(name, () => this.#inner.write(name, bytes));
  }

  remove(name: string): void {
    // A full disk lets go of files.
    this.#change(undefined, () => this.#inner.remove(name));
  }

  #change(name: string | undefined, action: () => void): void {
    const how = this.#gate.write('disk');
    if (how === 'disk-full' && name !== undefined) throw new IpvsError('FILE_UNWRITABLE', { subject: name, errno: 28 });
    action();
    if (how === 'crash-after') this.#gate.die();
  }

  #read<T>(action: () => T): T {
    this.#gate.look();
    return action();
  }
}
