/** The signals as the kernel shows them now. What costs time is asked for only as often as that time allows. */
import { errno, errorTable, IpvsError } from '../base/errors.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { type MemoryInfo, readMemory, readMemoryPressure } from '../proc/memory.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';
import { countHalfOpen } from './half-open.ts';
import type { SampleSettings } from './policy.ts';
import type { Missing, Reading, Readings } from './signal.ts';

export interface SamplerParts {
  readonly ipvs: Pick<Ipvs, 'totals' | 'tableStatus' | 'snapshot'>;
  /** The lines of /proc/net/ip_vs_conn, some at a time. */
  readonly connectionLines: () => AsyncIterable<readonly string[]>;
  readonly sysctls: Pick<Sysctls, 'read'>;
  /** Monotonic. */
  readonly now: () => number;
  readonly memory?: () => MemoryInfo;
  readonly pressure?: () => number | undefined;
}

/** The share of the time that looking at the table may take, and at its connections as much again. */
const SHARE_OF_TIME = 0.05;
/** How long the connections are looked at; longer only until there are as many as mean something, and then more seldom. */
const SAMPLE_MS = 1000 * SHARE_OF_TIME;
const MOST_SAMPLE_MS = 4 * SAMPLE_MS;
/** Counters that are closer together say little of a second. */
const LEAST_BETWEEN_MS = 500;
/** What an entry takes at most, with its place in the hash table (the slab ip_vs_conn). */
const ENTRY_BYTES = 512;
/** How much of the memory entries may take, where nobody says how many there may be. */
const SHARE_OF_MEMORY = 0.25;
const NO_LIMIT = 2 ** 30;

export class Sampler {
  readonly #parts: SamplerParts;
  readonly #table = new Paced();
  readonly #halfOpen = new Paced();
  #counted: { readonly connections: bigint; readonly atMs: number } | undefined;
  #rate: Reading | Missing = { missing: 'it takes a second to count them' };

  constructor(parts: SamplerParts) {
    this.#parts = parts;
  }

  /** Never throws: what cannot be read is missing, and says why. */
  async sample(settings: SampleSettings): Promise<Readings> {
    const { now, memory: readNow = readMemory, pressure = readMemoryPressure } = this.#parts;
    const memory = await attempt(() => readNow());
    const share = (bytes: (info: MemoryInfo) => number) =>
      'missing' in memory ? memory : { value: bytes(memory) / memory.totalBytes, atMs: now() };
    return {
      memoryFree: share(({ freeBytes, buffersBytes }) => freeBytes + buffersBytes),
      memoryAvailable: share(({ availableBytes }) => availableBytes),
      memoryPressure: await attempt(() => {
        const value = pressure();
        if (value === undefined)
          return { missing: 'this kernel does not measure it (no /proc/pressure)', forGood: true };
        return { value, atMs: now() };
      }),
      newConnections: await attempt(() => this.#newConnections()),
      table: await this.#table.read(now, () => this.#fullness(settings, memory)),
      halfOpen: await this.#halfOpen.read(now, () => this.#sampled(settings)),
    };
  }

  async #newConnections(): Promise<Reading | Missing> {
    const { ipvs, now } = this.#parts;
    const { cpus } = await ipvs.totals();
    const atMs = now();
    const connections = cpus.reduce((sum, cpu) => sum + cpu.connections, 0n);
    const before = this.#counted;
    if (before !== undefined && atMs - before.atMs < LEAST_BETWEEN_MS) return this.#rate;
    this.#counted = { connections, atMs };
    if (before === undefined) return this.#rate;
    this.#rate =
      connections < before.connections
        ? { missing: 'the counters went back: ip_vs was loaded anew' }
        : { value: (Number(connections - before.connections) * 1000) / (atMs - before.atMs), atMs };
    return this.#rate;
  }

  async #fullness({ tableLimit }: SampleSettings, memory: MemoryInfo | Missing): Promise<Reading | Missing> {
    const { ipvs, now } = this.#parts;
    const status = await ipvs.tableStatus();
    const entries = status?.connections ?? (await this.#summed());
    const limit = tableLimit ?? this.#most() ?? byMemory(memory);
    if (typeof limit !== 'number') return limit;
    return { value: entries / limit, atMs: now(), of: limit };
  }

  /** Before Linux 7.1 the destinations know it; entries whose destination is gone are in no sum. */
  async #summed(): Promise<number> {
    const { services } = await this.#parts.ipvs.snapshot();
    let entries = 0;
    for (const { destinations } of services) {
      for (const { activeConnections, inactiveConnections, persistentConnections } of destinations)
        entries += activeConnections + inactiveConnections + persistentConnections;
    }
    return entries;
  }

  /** conn_max, where there is one and it is set. */
  #most(): number | undefined {
    try {
      const most = Number(this.#parts.sysctls.read('net.ipv4.vs.conn_max'));
      return most > 0 && most < NO_LIMIT ? most : undefined;
    } catch (error) {
      if (error instanceof IpvsError && error.code === 'SYSCTL_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** The first ones of the file: which those are depends on a hash with a secret of the kernel's. */
  async #sampled({ sampleEntries, leastEntries }: SampleSettings): Promise<Reading | Missing> {
    const { connectionLines, now } = this.#parts;
    const beganMs = now();
    let [seen, entries, halfOpen] = [0, 0, 0];
    let whole = true;
    for await (const lines of connectionLines()) {
      const counted = countHalfOpen(lines.slice(0, sampleEntries - seen));
      seen += lines.length;
      entries += counted.entries;
      halfOpen += counted.halfOpen;
      const tookMs = now() - beganMs;
      const enough = seen >= sampleEntries || (entries >= leastEntries && tookMs >= SAMPLE_MS);
      whole = !enough && tookMs < MOST_SAMPLE_MS;
      if (!whole) break;
    }
    // A table that is slow to read, as in a flood, is not a small one.
    if (!whole && seen < sampleEntries && entries < leastEntries)
      return { missing: `the table is slow to read: only ${entries} TCP entries in ${MOST_SAMPLE_MS} ms` };
    return { value: entries === 0 ? 0 : halfOpen / entries, atMs: now(), of: entries };
  }
}

function byMemory(memory: MemoryInfo | Missing): number | Missing {
  return 'missing' in memory ? memory : Math.floor((memory.totalBytes * SHARE_OF_MEMORY) / ENTRY_BYTES);
}

/** A measurement that is taken again when its cost is a small share of the time since; until then it grows older. */
class Paced {
  #dueMs = Number.NEGATIVE_INFINITY;
  #last: Reading | Missing = { missing: 'it was not measured yet' };

  async read(now: () => number, measure: () => Promise<Reading | Missing>): Promise<Reading | Missing> {
    const beginMs = now();
    if (beginMs < this.#dueMs) return this.#last;
    this.#last = await attempt(measure);
    this.#dueMs = beginMs + (now() - beginMs) / SHARE_OF_TIME;
    return this.#last;
  }
}

async function attempt<T>(measure: () => T | Missing | Promise<T | Missing>): Promise<T | Missing> {
  try {
    return await measure();
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    // Its files in /proc/net come with it.
    const absent = error.code === 'PROC_UNREADABLE' && error.errno === errno.ENOENT;
    return { missing: absent ? errorTable.IPVS_NOT_LOADED.message : error.message };
  }
}
