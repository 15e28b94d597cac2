/** The one-second timer around the state machine: what comes in and goes out. It decides nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type IpvsError, refusalBy } from '../base/errors.ts';
import type { Logger } from '../ipvs/ipvs.ts';
import { VolatileFiles } from '../record/files.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';
import { actions, DROP_RATE, sysctlOf } from './action.ts';
import { DrySysctls } from './dry-run.ts';
import { type HeldRecord, Originals } from './originals.ts';
import type { DefensePolicy } from './policy.ts';
import { keptWords, type PutBack, putBack, putBackRecorded, readSettings } from './put-back.ts';
import type { Sampler } from './sampler.ts';
import { isReading, type Readings, signalNames } from './signal.ts';
import {
  type DefenseState,
  type Kept,
  type Reason,
  type StepKind,
  step,
  WATCHING,
  type Write,
  withoutHeld,
} from './step.ts';
import { shortName, valueWords } from './words.ts';

export interface DefenseParts {
  readonly policy: DefensePolicy;
  /** Asked before each look: a policy that may become another one. Where it throws, the one before stays. */
  readonly followed?: (() => DefensePolicy) | undefined;
  readonly sysctls: Sysctls;
  readonly sampler: Pick<Sampler, 'sample'>;
  readonly originals: Originals;
  readonly logger: Logger;
  /** Says what it would write, and writes nothing. */
  readonly dryRun?: boolean;
  /** Ends it: everything is put back. */
  readonly signal?: AbortSignal;
  /** Monotonic, in milliseconds. */
  readonly now?: () => number;
  /** Called when it has ended. */
  readonly onEnd?: () => void;
}

export interface RunningDefense {
  readonly state: DefenseState;
  readonly policy: DefensePolicy;
  setPolicy(policy: DefensePolicy): void;
  /** When it has ended, with what could not be put back: that stays on record. Never rejects. */
  readonly ended: Promise<PutBack>;
}

const TICK_MS = 1000;

/**
 * Puts back what a crash left, and then looks every second until `signal`. At most one in a network namespace: whoever
 * starts it holds the lock. Throws STORE_DAMAGED, FILE_UNREADABLE.
 */
export function startController(parts: DefenseParts): RunningDefense {
  const controller = new Controller(parts);
  controller.begin();
  return {
    get state() {
      return controller.state;
    },
    get policy() {
      return controller.policy;
    },
    setPolicy: (policy) => controller.setPolicy(policy),
    ended: untilAborted(controller, parts).finally(parts.onEnd),
  };
}

/** One look after the other: a slow one delays the next. */
async function untilAborted(
  controller: Controller,
  { signal, now = () => performance.now() }: DefenseParts,
): Promise<PutBack> {
  while (signal?.aborted !== true) {
    const beganMs = now();
    await controller.tick();
    // A timer may go off within a millisecond before its time.
    const leftMs = TICK_MS - (now() - beganMs) + 1;
    await sleep(Math.max(1, Math.ceil(leftMs)), undefined, signal && { signal }).catch(() => undefined);
  }
  return controller.end();
}

const settingNames = [DROP_RATE, ...actions.map((action) => sysctlOf[action])];

/** Exported for tests, which are its timer. */
export class Controller {
  readonly #sysctls: Sysctls;
  readonly #sampler: DefenseParts['sampler'];
  readonly #originals: Originals;
  readonly #logger: Logger;
  readonly #dryRun: boolean;
  readonly #followed: DefenseParts['followed'];
  readonly #now: () => number;
  #policy: DefensePolicy;
  #state = WATCHING;
  /** What was written of settings that are held. */
  #written: HeldRecord['written'] = {};
  /** What is on record, but for the time. */
  #recorded: string | undefined = '';
  /** The last step, in words: what is written follows from it. */
  #why: readonly string[] = [];
  /** What was told, and is still so. */
  readonly #told = new Map<string, string>();

  constructor({ policy, followed, sysctls, sampler, originals, logger, dryRun = false, now }: DefenseParts) {
    this.#policy = policy;
    this.#followed = followed;
    this.#sampler = sampler;
    this.#logger = logger;
    this.#dryRun = dryRun;
    this.#now = now ?? (() => performance.now());
    this.#sysctls = dryRun ? new DrySysctls(sysctls) : sysctls;
    this.#originals = dryRun ? new Originals(new VolatileFiles(), originals.table) : originals;
  }

  get state(): DefenseState {
    return this.#state;
  }

  get policy(): DefensePolicy {
    return this.#policy;
  }

  setPolicy(policy: DefensePolicy): void {
    const same = JSON.stringify(policy) === JSON.stringify(this.#policy);
    if (same) return;
    this.#policy = policy;
    // What was spent under another policy says nothing about this one.
    this.#state = { ...this.#state, exhausted: [] };
    this.#log('info', { event: 'defense.policy', policy }, `the policy is another: ${nameOf(policy)}`);
  }

  /** Puts back what a crash left. Throws STORE_DAMAGED, FILE_UNREADABLE. */
  begin(): void {
    const { written, refused, kept, dropped } = putBackRecorded(this.#originals, this.#sysctls);
    if (dropped)
      this.#log(
        'info',
        { event: 'defense.dropped', originals: dropped.originals, table: dropped.table },
        'values of another boot or namespace are on record: they are dropped, not written',
      );
    this.#why = ['a controller that died left it'];
    for (const write of written) this.#audit(write);
    for (const each of kept) this.#kept(each);
    // What is refused is tried again every second.
    const originals = Object.fromEntries(refused.map(({ sysctl, to }) => [sysctl, to]));
    this.#state = { ...WATCHING, originals };
    this.#written = this.#originals.read()?.written ?? {};
    for (const { sysctl, to, error } of refused) this.#refused(sysctl, to, error);
    const { policy } = this;
    const applied = this.#followed ? ', which was applied' : '';
    const idle = this.#followed ? 'no policy was applied, so nothing is defended until one is' : 'nothing is defended';
    const words = `the defense watches, with ${nameOf(policy)}${policy.levels.length > 0 ? applied : `: ${idle}`}`;
    this.#log('info', { event: 'defense.started', policy }, words);
  }

  /** Never throws: whatever goes wrong, the level stays. */
  async tick(): Promise<void> {
    try {
      this.#follow();
      await this.#look();
      this.#clear('defense.failed');
    } catch (error) {
      this.#tell('error', 'defense.failed', String(error), { error: String(error) }, `the look failed: ${error}`);
    }
  }

  /** A policy that cannot be read leaves the one before in force, with its maximum times. */
  #follow(): void {
    try {
      const policy = this.#followed?.();
      if (policy) this.setPolicy(policy);
      this.#clear('defense.unfollowed');
    } catch (error) {
      const words = `the policy cannot be read, so the one before stays: ${error}`;
      this.#tell('error', 'defense.unfollowed', String(error), { error: String(error) }, words);
    }
  }

  /** Puts everything back, whatever the signals say. */
  end(): PutBack {
    const { originals, level } = this.#state;
    const result = putBack({ originals, written: this.#written }, this.#sysctls);
    this.#why = ['the defense ends'];
    for (const write of result.written) this.#audit(write);
    for (const each of result.kept) this.#kept(each);
    const left = Object.fromEntries(result.refused.map(({ sysctl, to }) => [sysctl, to]));
    for (const { sysctl, to, error } of result.refused) this.#refused(sysctl, to, error);
    this.#state = { ...WATCHING, originals: left };
    this.#record(result.refused.length === 0 ? undefined : this.#state);
    this.#log('info', { event: 'defense.ended', atLevel: level }, 'the defense has ended');
    return result;
  }

  async #look(): Promise<void> {
    // Of the beginning: looks are a second apart, however long each takes.
    const atMs = this.#now();
    const readings = await this.#sampler.sample(this.#policy);
    const settings = readSettings(settingNames, this.#sysctls);
    const before = this.#state;
    const signals = { atMs, readings, settings, written: this.#written };
    const { state, writes, kept, reasons } = step(before, signals, this.#policy);
    this.#tellReasons(reasons);
    // Without a record of what it was, and will be, nothing is changed.
    const isOnRecord = ([name, to]: [string, string]) => this.#written[name]?.includes(to) === true;
    if (!this.#record(state) && !Object.entries(state.held).every(isOnRecord)) return;
    this.#state = state;
    if (state.level !== before.level) this.#tellStep(before.level, state.level, reasons, readings);
    for (const each of kept) this.#kept(each);
    for (const write of writes) this.#carryOut(write, readings);
  }

  #carryOut(write: Write, readings: Readings): void {
    const { sysctl, to } = write;
    const error = refusalBy(() => this.#sysctls.write(sysctl, to));
    if (error) {
      this.#state = withoutHeld(this.#state, sysctl);
      this.#refused(sysctl, to, error);
      return;
    }
    this.#clear(`defense.refused ${sysctl}`);
    if (write.cause === 'changed') {
      const shown = { from: to, to: write.from, atLevel: this.#state.level };
      const words = `${shortName(sysctl)} was changed by somebody else, ${valueWords(sysctl, to)} to ${valueWords(sysctl, write.from)}: it is put right`;
      this.#log('warn', { event: 'defense.changed', sysctl, ...shown }, words);
    }
    this.#audit(write, readings);
  }

  #audit({ sysctl, from, to, cause }: Write, readings?: Readings): void {
    const details = {
      event: 'defense.write',
      sysctl,
      from,
      to,
      cause,
      atLevel: this.#state.level,
      reasons: cause === 'changed' ? ['somebody else changed it'] : this.#why,
      ...(readings && { numbers: numbersOf(readings) }),
    };
    const words = `${shortName(sysctl)} ${valueWords(sysctl, from)} -> ${valueWords(sysctl, to)}`;
    this.#log('warn', details, this.#dryRun ? `would write: ${words}` : words);
  }

  #tellStep(from: number, to: number, reasons: readonly Reason[], readings: Readings): void {
    const said = reasons.filter(({ kind }) => isStep(kind)).map(({ words }) => words);
    this.#why = said.length > 0 ? said : [`the policy has no level ${from}`];
    const details = { event: 'defense.step', from, to, reasons: this.#why, numbers: numbersOf(readings) };
    const alarming = to > from || reasons.some(({ kind }) => kind === 'exhausted');
    this.#log(alarming ? 'warn' : 'info', details, this.#why.join('; '));
  }

  /** What holds a level is told when it begins, and what could not be seen also when it can. */
  #tellReasons(reasons: readonly Reason[]): void {
    const holding = reasons.filter(({ kind }) => !isStep(kind));
    for (const { kind, subject, words } of holding)
      this.#tell(
        kind === 'spent' ? 'warn' : 'info',
        `defense.held ${kind} ${subject}`,
        '',
        { event: 'defense.held', kind, subject },
        words,
      );
    const still = new Set(holding.map(({ kind, subject }) => `defense.held ${kind} ${subject}`));
    for (const key of [...this.#told.keys()].filter((key) => key.startsWith('defense.held ') && !still.has(key))) {
      this.#told.delete(key);
      const [, kind, ...subject] = key.split(' ');
      if (kind === 'blind' || kind === 'unreadable')
        this.#log(
          'info',
          { event: 'defense.seen', subject: subject.join(' ') },
          `${subject.join(' ')}: it is known again`,
        );
    }
  }

  #refused(sysctl: string, to: string, error: IpvsError): void {
    const details = { event: 'defense.refused', sysctl, to, code: error.code, errno: error.errno };
    const words = `${shortName(sysctl)} cannot be set to ${valueWords(sysctl, to)}, which is tried again: ${error.message}`;
    this.#tell('error', `defense.refused ${sysctl}`, `${to} ${error.message}`, details, words);
  }

  #kept(kept: Kept): void {
    this.#log('warn', { event: 'defense.kept', ...kept }, keptWords(kept));
  }

  /** Whether the record is up to date; without a state there is none. */
  #record(state: DefenseState | undefined): boolean {
    const written = state ? writtenWith(this.#written, state) : {};
    const record = state && { originals: state.originals, written, level: state.level, policy: this.#policy };
    const wanted = JSON.stringify(record);
    if (wanted === this.#recorded) return true;
    const error = refusalBy(() => {
      if (record) this.#originals.write({ ...record, at: new Date().toISOString() });
      else this.#originals.remove();
    });
    if (error === undefined) {
      this.#written = written;
      this.#recorded = wanted;
      this.#clear('defense.unrecorded');
      return true;
    }
    const details = { event: 'defense.unrecorded', code: error.code, errno: error.errno };
    const words = `what settings were cannot be recorded, so nothing more is changed: ${error.message}`;
    this.#tell('error', 'defense.unrecorded', error.message, details, words);
    return false;
  }

  /** Once for as long as `text` is the same. */
  #tell(level: keyof Logger, key: string, text: string, details: object, words: string): void {
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    this.#log(level, { event: key.split(' ', 1)[0], ...details }, words);
  }

  #clear(key: string): void {
    this.#told.delete(key);
  }

  /** What was done is done, even where it cannot be logged. */
  #log(level: keyof Logger, details: object, words: string): void {
    try {
      this.#logger[level]({ ...details, ...(this.#dryRun && { dryRun: true }) }, words);
    } catch {
      // The logger's own fault.
    }
  }
}

const stepKinds: ReadonlySet<Reason['kind']> = new Set<StepKind>(['enter', 'leave', 'exhausted']);

function isStep(kind: Reason['kind']): boolean {
  return stepKinds.has(kind);
}

/** With what is about to be written: a crash may come before the write, or after it. */
function writtenWith(before: HeldRecord['written'], { originals, held }: DefenseState): HeldRecord['written'] {
  const of = (name: string) => [
    ...new Set([...(before[name] ?? []), ...(held[name] === undefined ? [] : [held[name]])]),
  ];
  return Object.fromEntries(Object.keys(originals).map((name) => [name, of(name)]));
}

function nameOf({ preset, levels }: DefensePolicy): string {
  return `${preset === null ? 'a policy of its own' : `the policy ${preset}`} (${levels.length} levels)`;
}

/** To four places; null where it is not known. */
function numbersOf(readings: Readings): Record<string, number | null> {
  return Object.fromEntries(
    signalNames.map((name) => {
      const reading = readings[name];
      return [name, isReading(reading) ? Math.round(reading.value * 10_000) / 10_000 : null];
    }),
  );
}
