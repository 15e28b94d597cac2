/** The defense of a table of the kernel: looked at, run, and what it changed put back. */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IpvsError } from '../base/errors.ts';
import { type Ipvs, type Logger, type OpenOptions, openIpvsAt } from '../ipvs/ipvs.ts';
import { type HeldNamespace, inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { linesOf } from '../proc/lines.ts';
import { pageBytes, readMemory } from '../proc/memory.ts';
import { type Holder, isLocked, lock } from '../record/lock.ts';
import { openRecord, type RecordOptions } from '../record/record.ts';
import { type Mode, modeOf } from '../sysctl/kind.ts';
import { KernelSysctls, type Sysctls } from '../sysctl/sysctls.ts';
import { type Action, actions, DROP_RATE, sysctlOf, THRESHOLD } from './action.ts';
import { type RunningDefense, startController } from './controller.ts';
import { type Approaches, approaches } from './judge.ts';
import { type KernelInputs, type KernelStep, kernelStep } from './kernel-step.ts';
import { type HeldRecord, Originals } from './originals.ts';
import { type DefensePolicy, normalizePolicy, type PolicyInput, type SampleSettings } from './policy.ts';
import { PolicyFile } from './policy-file.ts';
import { keptWords, type PutBack, putBackRecorded, type Recovered } from './put-back.ts';
import { defenseLockPath } from './record.ts';
import { Sampler } from './sampler.ts';
import { isReading, type Readings } from './signal.ts';

export interface DefenseStatus {
  /** Undefined while ip_vs is not loaded. */
  readonly kernel?: KernelDefense;
  readonly readings: Readings;
  /** By the clock of the readings. */
  readonly atMs: number;
  /** Undefined where that cannot be looked at, for want of root. */
  readonly controller?: { readonly running: boolean; readonly holder?: Holder };
  /** Of the controller that runs, as far as it is on record; else what was applied, which one would go by. */
  readonly policy: DefensePolicy;
  /** Where a controller runs: its level, and what is next. */
  readonly course?: Approaches & { readonly level: number };
  /** What a controller has changed, or one that died. */
  readonly held?: HeldRecord;
}

/** The kernel's own defense. */
export interface KernelDefense {
  readonly modes: Readonly<Record<Action, Mode>>;
  readonly inputs: KernelInputs;
  readonly pageBytes: number;
  /** What it does next. */
  readonly step: KernelStep;
}

export interface DefenseRunOptions {
  /** Default: what was applied, as it changes. */
  readonly policy?: PolicyInput | undefined;
  /** Says what it would write, and writes nothing; so it needs no lock. */
  readonly dryRun?: boolean;
  /** Ends it, and puts everything back. */
  readonly signal: AbortSignal;
}

export interface DefenseOptions extends OpenOptions, RecordOptions {}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Opens the defense of a network namespace. Throws what `openIpvs` throws. */
export async function openDefense(options: DefenseOptions = {}): Promise<Defense> {
  return inNamespace(options.netns, (namespace) => new Defense(namespace, options));
}

/** Opens it and begins to watch; closed when it has ended. Throws what `openDefense` and `Defense.start` throw. */
export async function startDefense(options: DefenseOptions & DefenseRunOptions): Promise<RunningDefense> {
  const { policy, dryRun = false, signal, ...open } = options;
  const defense = await openDefense(open);
  const close = () => defense.close();
  try {
    const running = await defense.start({ policy, dryRun, signal });
    void running.ended.then(close);
    return running;
  } catch (error) {
    await close();
    throw error;
  }
}

export class Defense implements AsyncDisposable {
  readonly #logger: Logger;
  readonly #ipvs: Ipvs;
  readonly #sysctls: Sysctls;
  readonly #sampler: Sampler;
  readonly #originals: Originals;
  readonly #policy: PolicyFile;
  readonly #lockPath: string;
  /** The state folder. */
  readonly #root: string;
  readonly #release: () => void;

  constructor({ path, release }: HeldNamespace, { stateDir, logger = silent, transport = 'auto' }: DefenseOptions) {
    const { store, table } = openRecord(path, stateDir === undefined ? {} : { stateDir });
    this.#logger = logger;
    this.#release = release;
    this.#lockPath = defenseLockPath(store);
    this.#root = dirname(store.place);
    this.#originals = new Originals(store.files, table);
    this.#policy = new PolicyFile(store.files);
    this.#sysctls = new KernelSysctls(native(), path);
    this.#ipvs = openIpvsAt(path, { transport });
    this.#sampler = new Sampler({
      ipvs: this.#ipvs,
      connectionLines: () => linesOf(native(), path, 'ip_vs_conn'),
      sysctls: this.#sysctls,
      now: () => performance.now(),
    });
  }

  /**
   * The first time it takes a second, to count new connections. Loads nothing, changes nothing. Default: signals as the
   * policy counts them.
   */
  async status(settings?: SampleSettings): Promise<DefenseStatus> {
    const lock = isLocked(this.#lockPath);
    const read = this.#originals.read();
    const record = read?.table === this.#originals.table ? read : undefined;
    const running = lock?.locked ? record?.policy : undefined;
    const policy = running ?? this.#policy.read();
    const kernel = this.#kernel();
    let readings = await this.#sampler.sample(settings ?? policy);
    if (kernel && !isReading(readings.newConnections)) {
      await sleep(1000);
      readings = await this.#sampler.sample(settings ?? policy);
    }
    return {
      ...(kernel && { kernel }),
      readings,
      atMs: performance.now(),
      ...(lock && { controller: { running: lock.locked, ...(lock.holder && { holder: lock.holder }) } }),
      policy,
      ...(running && record && { course: { level: record.level, ...approaches(running, record.level, readings) } }),
      ...(record && Object.keys(record.originals).length > 0 && { held: record }),
    };
  }

  /**
   * Begins to watch, every second until the signal. Throws INVALID_DEFENSE; LOCKED where one runs already; STORE_DAMAGED,
   * FILE_UNREADABLE, FILE_UNWRITABLE where what settings were cannot be kept.
   */
  async start({ policy, dryRun = false, signal }: DefenseRunOptions): Promise<RunningDefense> {
    const followed = policy === undefined ? () => this.#policy.read() : undefined;
    const checked = policy === undefined ? this.#policy.read() : normalizePolicy(policy);
    const held = dryRun ? undefined : await this.#lock('ipvs defense run');
    const onEnd = () => held?.release();
    try {
      return startController({
        policy: checked,
        followed,
        sysctls: this.#sysctls,
        sampler: this.#sampler,
        originals: this.#originals,
        logger: this.#logger,
        dryRun,
        signal,
        onEnd,
      });
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  /** The same, until it has ended; returns what could then not be put back, and stays on record. */
  async run(options: DefenseRunOptions): Promise<PutBack> {
    return (await this.start(options)).ended;
  }

  /** Puts back what a controller left that is no more. Throws LOCKED while one runs. */
  async restore(): Promise<Recovered> {
    const held = await this.#lock('ipvs defense restore');
    try {
      const recovered = putBackRecorded(this.#originals, this.#sysctls);
      for (const write of recovered.written)
        this.#logger.warn(
          { event: 'defense.write', ...write, reasons: ['a controller that died left it'] },
          'put back',
        );
      for (const kept of recovered.kept) this.#logger.warn({ event: 'defense.kept', ...kept }, keptWords(kept));
      return recovered;
    } finally {
      held.release();
    }
  }

  async close(): Promise<void> {
    await this.#ipvs.close();
    this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #lock(purpose: string) {
    try {
      return await lock(this.#lockPath, { native: native(), root: this.#root, purpose, timeoutMs: 500 });
    } catch (error) {
      if (!(error instanceof IpvsError && error.code === 'LOCKED')) throw error;
      const { detail = '' } = error;
      const hint = 'one controller defends a namespace; ended, it puts everything back by itself';
      throw new IpvsError('LOCKED', { operation: purpose.replace('ipvs ', ''), detail, hint });
    }
  }

  #kernel(): KernelDefense | undefined {
    try {
      return kernelDefense(this.#sysctls);
    } catch (error) {
      if (error instanceof IpvsError && error.code === 'SYSCTL_NOT_FOUND') return undefined;
      throw error;
    }
  }
}

function kernelDefense(sysctls: Pick<Sysctls, 'read'>): KernelDefense {
  const of = <T>(value: (action: Action) => T) =>
    Object.fromEntries(actions.map((action) => [action, value(action)])) as Record<Action, T>;
  const values = of((action) => sysctls.read(sysctlOf[action]));
  const { freeBytes, buffersBytes } = readMemory();
  const inputs = {
    freePages: freeBytes / pageBytes(),
    bufferPages: buffersBytes / pageBytes(),
    thresholdPages: Number(sysctls.read(THRESHOLD)),
    dropRate: Number(sysctls.read(DROP_RATE)),
    modes: of((action) => Number(values[action])),
  };
  return {
    modes: of((action) => modeOf(values[action]) ?? 'off'),
    inputs,
    pageBytes: pageBytes(),
    step: kernelStep(inputs),
  };
}
