/** For tests: a table without a kernel, and what every backend is held to. Nothing here needs the addon or a privilege. */

import type { Connection } from '../ipvs/connection.ts';
import { Ipvs, type Logger } from '../ipvs/ipvs.ts';
import { MemoryBackend } from '../ipvs/memory/backend.ts';
import type { Profile } from '../ipvs/memory/profile.ts';
import type { Table } from '../ipvs/memory/table.ts';
import { type TableInput, tableOf } from '../ipvs/memory/table-file.ts';

export interface MemoryOptions {
  /** Whose kernel it is. What is not said is as on a host with everything: netlink on the newest kernel. */
  readonly profile?: Partial<Profile>;
  /** Default: an empty table. What it leaves out is by default, so it can also be written by hand. */
  readonly state?: Table | TableInput;
  /** Milliseconds, only ever more. Default: Date.now. */
  readonly clock?: () => number;
  /** What `connections()` shows; nothing else follows from them. */
  readonly connections?: readonly Connection[];
  readonly logger?: Logger;
}

/** The class `Ipvs` over a table in memory. */
export interface MemoryIpvs extends Ipvs {
  /** The table as it is now: a value that JSON can hold, and that no later call changes. */
  readonly state: Table;
}

/** Throws CONFIG_INVALID where the state is not that of a table. */
export function openMemory({ profile, state = {}, clock, connections, logger }: MemoryOptions = {}): MemoryIpvs {
  const backend = new MemoryBackend({
    table: tableOf(state as TableInput),
    ...(profile && { profile }),
    ...(clock && { clock }),
    ...(connections && { connections }),
  });
  return new OpenedMemory(backend, logger);
}

class OpenedMemory extends Ipvs implements MemoryIpvs {
  readonly #memory: MemoryBackend;

  constructor(memory: MemoryBackend, logger?: Logger) {
    super(memory, logger);
    this.#memory = memory;
  }

  get state(): Table {
    return this.#memory.table;
  }
}

export type { Backend, KernelTransport, KernelView } from '../ipvs/backend.ts';
export { MemoryBackend, type MemoryBackendOptions } from '../ipvs/memory/backend.ts';
export {
  type KernelDifferences,
  type ModelKernel,
  modelKernels,
  type NetworkInterface,
  type Profile,
  profileOf,
} from '../ipvs/memory/profile.ts';
export type {
  Table,
  TableCounters,
  TableDaemon,
  TableDestination,
  TableService,
  TableStatistics,
  TrashedDestination,
} from '../ipvs/memory/table.ts';
export {
  formatTable,
  parseTable,
  type TableDestinationInput,
  type TableInput,
  type TableServiceInput,
} from '../ipvs/memory/table-file.ts';
export { type ConformanceCase, conformanceCases } from './conformance.ts';
