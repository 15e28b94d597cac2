/** What goes wrong in a game: the process dies, the kernel refuses, the disk is full, another program writes. */

import type { AddressHost } from '../../src/addresses/address-host.ts';
import type { MemoryAddresses } from '../../src/addresses/memory-addresses.ts';
import type { AddressOperation, AddressResult } from '../../src/addresses/operation.ts';
import type { Route, RouteResult } from '../../src/addresses/route.ts';
import { errno, IpvsError } from '../../src/base/errors.ts';
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

  /** Reads, while the process lives. */
  read<T>(action: () => T): T {
    this.look();
    return action();
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

type Answer = { readonly error?: IpvsError };

/** Makes one write to the kernel, as the gate lets it pass; returns the answer that the process hears. */
async function written<T extends Answer>(gate: Gate, subject: string, write: () => Promise<T>): Promise<T | Answer> {
  await gate.others();
  const how = gate.write('kernel');
  const about = { operation: 'write', subject, detail: 'simulated' };
  if (how === 'refuse') return { error: new IpvsError('KERNEL_REFUSED', { ...about, errno: errno.ENOMEM }) };
  const answer = await write();
  if (how === 'crash-after') gate.die();
  return how === 'lost' ? { error: new IpvsError('REPLY_LOST', about) } : answer;
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
  info = () => this.#gate.read(() => this.#inner.info());
  services = (options: ReadOptions) => this.#gate.read(() => this.#inner.services(options));
  service = (address: string, options: ReadOptions) => this.#gate.read(() => this.#inner.service(address, options));
  destinations = (service: string, options: ReadOptions) =>
    this.#gate.read(() => this.#inner.destinations(service, options));
  snapshot = (options: SnapshotOptions) => this.#gate.read(() => this.#inner.snapshot(options));
  timeouts = () => this.#gate.read(() => this.#inner.timeouts());
  syncDaemons = () => this.#gate.read(() => this.#inner.syncDaemons());
  moduleRefusal = (service: VirtualService) => this.#gate.read(() => this.#inner.moduleRefusal(service));

  async execute(operations: readonly Operation[]): Promise<OperationResult[]> {
    const results: OperationResult[] = [];
    for (const operation of operations) {
      const write = async () => (await this.#inner.execute([operation]))[0] as OperationResult;
      results.push({ operation, ...(await written(this.#gate, operation.type, write)) });
    }
    return results;
  }

  close(): void {}
}

export class FaultyAddresses implements AddressHost {
  readonly #inner: MemoryAddresses;
  readonly #gate: Gate;

  constructor(inner: MemoryAddresses, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  list = () => this.#gate.read(() => this.#inner.list());
  routes = () => this.#gate.read(() => this.#inner.routes());
  promotesSecondaries = (name: string) => this.#gate.read(() => this.#inner.promotesSecondaries(name));
  announce: AddressHost['announce'] = async () => {};
  async close() {}

  async addRoutes(routes: readonly Route[]): Promise<RouteResult[]> {
    const results: RouteResult[] = [];
    for (const route of routes) {
      const write = async () => (await this.#inner.addRoutes([route]))[0] as RouteResult;
      results.push(await written(this.#gate, route.destination, write));
    }
    return results;
  }

  async execute(operations: readonly AddressOperation[]): Promise<AddressResult[]> {
    const results: AddressResult[] = [];
    for (const operation of operations) {
      const write = async () => (await this.#inner.execute([operation]))[0] as AddressResult;
      results.push({ operation, ...(await written(this.#gate, operation.address.address, write)) });
    }
    return results;
  }
}

/** A file gives no answer that could be lost. */
export class FaultySysctls implements SysctlHost {
  readonly #inner: SysctlsModel;
  readonly #gate: Gate;

  constructor(inner: SysctlsModel, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  read = (name: string) => this.#gate.read(() => this.#inner.read(name));
  interfaces = () => this.#inner.interfaces();
  loadModule = () => this.#inner.loadModule();

  write(name: string, value: string): void {
    const how = this.#gate.write('kernel');
    if (how === 'refuse') throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name });
    this.#inner.write(name, value);
    if (how === 'crash-after') this.#gate.die();
  }
}

export class FaultyRules implements RuleHost {
  readonly #inner: IptablesModel;
  readonly #gate: Gate;

  constructor(inner: IptablesModel, gate: Gate) {
    this.#inner = inner;
    this.#gate = gate;
  }

  store = (program: Program) => this.#gate.read(() => this.#inner.store(program));
  save = (program: Program, family: Family, table: string) =>
    this.#gate.read(() => this.#inner.save(program, family, table));
  interfaces = () => this.#gate.read(() => this.#inner.interfaces());
  mayHaveNft = () => this.#gate.read(() => this.#inner.mayHaveNft());
  hasNftChain = (place: ChainPlace) => this.#gate.read(() => this.#inner.hasNftChain(place));
  hasLegacyTable = (place: ChainPlace) => this.#gate.read(() => this.#inner.hasLegacyTable(place));

  async restore(program: Program, family: Family, text: string): Promise<void> {
    const write = async (): Promise<Answer> => {
      await this.#inner.restore(program, family, text);
      return {};
    };
    // A lost answer: the program was killed after its commit.
    const { error } = await written(this.#gate, program, write);
    if (error) throw new IpvsError('IPTABLES_REFUSED', { detail: error.message });
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
  read = (name: string) => this.#gate.read(() => this.#inner.read(name));
  has = (name: string) => this.#gate.read(() => this.#inner.has(name));
  list = (folder: string) => this.#gate.read(() => this.#inner.list(folder));

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
}
