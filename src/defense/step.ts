/**
 * The defense as a state machine: pressure to levels, levels to settings of the kernel. Pure: time, signals and what the
 * settings are now come in, what has to be written goes out, and why.
 *
 * Level 0 watches. Each step is one level, not sooner than a second after the one before, nor than the level's minimum.
 */
import { heldAs } from '../sysctl/held-setting.ts';
import { modes, sameSysctlValue } from '../sysctl/kind.ts';
import { ALWAYS, actions, DROP_RATE, sysctlOf } from './action.ts';
import { type Judgement, judge } from './judge.ts';
import type { DefenseLevel, DefensePolicy } from './policy.ts';
import type { Readings } from './signal.ts';

/** Values by the names of settings, as the kernel writes them. */
export type Settings = Readonly<Record<string, string>>;

export interface DefenseState {
  readonly level: number;
  /** The last step. */
  readonly steppedAtMs: number | null;
  /** When each level that is in force was entered: the first is level 1. */
  readonly enteredAtMs: readonly number[];
  /** Levels whose time was up, and that could not have been left since: they are not entered. */
  readonly exhausted: readonly number[];
  /** What settings were before the defense changed them. They are to be put back. */
  readonly originals: Settings;
  /** What the defense wants of settings, and has written. */
  readonly held: Settings;
  /** The time of the last step(). */
  readonly atMs: number | null;
}

export const WATCHING: DefenseState = {
  level: 0,
  steppedAtMs: null,
  enteredAtMs: [],
  exhausted: [],
  originals: {},
  held: {},
  atMs: null,
};

export interface Signals {
  /** Monotonic. */
  readonly atMs: number;
  readonly readings: Readings;
  /** What the settings are now; what cannot be read is missing. */
  readonly settings: Settings;
  /** What the defense wrote of settings that it holds. Default: only what it holds now. */
  readonly written?: Readonly<Record<string, readonly string[]>>;
}

/** A setting that another program set while the defense held it: it stays. */
export interface Kept {
  readonly sysctl: string;
  readonly value: string;
  /** What it was before the defense. */
  readonly original: string;
}

export interface Write {
  readonly sysctl: string;
  readonly from: string;
  readonly to: string;
  /** `level`: the level wants it; `changed`: somebody else changed it meanwhile; `original`: it is put back. */
  readonly cause: 'level' | 'changed' | 'original';
}

/** A step up, or down, or down because the time was up. */
export type StepKind = 'enter' | 'leave' | 'exhausted';
/**
 * Why none was made: the level's minimum, a signal that cannot be judged, a level whose time was up or soon is, a clock
 * that stands still; or a setting that cannot be read.
 */
export type HoldKind = 'hold' | 'blind' | 'spent' | 'brief' | 'clock' | 'unreadable';

export interface Reason {
  readonly kind: StepKind | HoldKind;
  /** What it is about: a signal, a setting, a level. The same kind and subject are the same reason, whatever the numbers. */
  readonly subject: string;
  readonly words: string;
}

export interface Step {
  readonly state: DefenseState;
  /** In this order. */
  readonly writes: readonly Write[];
  /** Settings that are let go as another program set them. */
  readonly kept: readonly Kept[];
  readonly reasons: readonly Reason[];
}

const STEP_MS = 1000;

export function step(before: DefenseState, signals: Signals, policy: DefensePolicy): Step {
  const { atMs, settings, written } = signals;
  if (before.atMs !== null && !(atMs > before.atMs)) {
    const words = `the clock did not go on since the last look: level ${before.level} is kept`;
    return { state: before, writes: [], kept: [], reasons: [{ kind: 'clock', subject: 'clock', words }] };
  }
  const { state, reasons } = moved(fitting(before, policy), signals, policy);
  const settled = settle({ ...state, atMs }, wantedAt(state.level, policy), settings, written);
  return { ...settled, reasons: [...reasons, ...settled.reasons] };
}

/** Back to level 0 with all that was changed, whatever the signals say: for the end. */
export function letGo(state: DefenseState, settings: Settings): Step {
  return settle({ ...state, level: 0, enteredAtMs: [] }, {}, settings);
}

/** What did not succeed was not written. */
export function withoutHeld(state: DefenseState, sysctl: string): DefenseState {
  const { [sysctl]: _, ...held } = state.held;
  return { ...state, held };
}

/** What a level wants of settings, in the order in which they are written: a rate before it is used. */
export function wantedAt(level: number, { levels }: DefensePolicy): Settings {
  const { actions: chosen = [], dropRate = null } = levels[level - 1] ?? {};
  return {
    ...(dropRate !== null && { [DROP_RATE]: String(dropRate) }),
    ...Object.fromEntries(actions.filter((a) => chosen.includes(a)).map((action) => [sysctlOf[action], ALWAYS])),
  };
}

/** Whether two values are the same setting: an automatic mode is one in both of its phases. */
export function sameSetting(name: string, a: string, b: string): boolean {
  return sameSysctlValue(name === DROP_RATE ? { type: 'number', least: 0, most: 0 } : { type: 'mode' }, a, b);
}

/** A policy that was replaced by one with fewer levels has no level above them. */
function fitting(state: DefenseState, { levels }: DefensePolicy): DefenseState {
  const level = Math.min(state.level, levels.length);
  const exhausted = state.exhausted.filter((number) => number <= levels.length);
  return { ...state, level, enteredAtMs: state.enteredAtMs.slice(0, level), exhausted };
}

interface Move {
  readonly state: DefenseState;
  readonly reasons: readonly Reason[];
}

function moved(state: DefenseState, { atMs, readings }: Signals, policy: DefensePolicy): Move {
  const { level } = state;
  const { levels } = policy;
  const judged = levels.map((spec) => judge(spec, readings, atMs, policy));
  const specOf = (number: number) => levels[number - 1] as DefenseLevel;
  const judgementOf = (number: number) => judged[number - 1] as Judgement;
  const inForce = Array.from({ length: level }, (_, i) => i + 1);
  const leftMs = (number: number) =>
    (state.enteredAtMs[number - 1] as number) + specOf(number).maxSeconds * 1000 - atMs;
  const sinceMs = state.steppedAtMs === null ? Number.POSITIVE_INFINITY : atMs - state.steppedAtMs;
  const heldMs = level === 0 ? STEP_MS : Math.max(STEP_MS, specOf(level).minHoldSeconds * 1000);

  const reasons: Reason[] = [...new Map(judged.flatMap(({ blind }) => [...blind]))].map(([signal, words]) => {
    return { kind: 'blind', subject: signal, words };
  });
  const because = (kind: Reason['kind'], about: number, words: string): Reason[] => {
    return [...reasons, { kind, subject: `level ${about}`, words }];
  };
  const over = inForce.filter((number) => leftMs(number) <= 0);
  const spent = state.exhausted.filter((number) => number > level && !judgementOf(number).calm);
  const exhausted = [...over, ...spent];
  const kept = { ...state, exhausted };
  const down = { ...kept, level: level - 1, steppedAtMs: atMs, enteredAtMs: state.enteredAtMs.slice(0, -1) };

  const [first] = over;
  if (first !== undefined) {
    const limit = `level ${first} was in force for its maximum of ${specOf(first).maxSeconds} s`;
    const words = `level ${level} is left: ${limit}, and is not entered again before it is calm`;
    return sinceMs < STEP_MS ? { state: kept, reasons } : { state: down, reasons: because('exhausted', level, words) };
  }

  const next = level + 1;
  const calling = levels.flatMap((_, i) => (i >= level && judgementOf(i + 1).entered.length > 0 ? [i + 1] : []));
  const called = calling.find((number) => !exhausted.includes(number));
  if (called !== undefined && !exhausted.includes(next)) {
    const why = `${judgementOf(called).entered.join('; ')}${called === next ? '' : ` (of level ${called})`}`;
    if (sinceMs < heldMs) {
      const words = `level ${next} waits (${why}): level ${level} is held for ${heldMs / 1000} s`;
      return { state: kept, reasons: because('hold', level, words) };
    }
    // It would have to be left before its own minimum.
    const brief = inForce.find((number) => leftMs(number) < specOf(next).minHoldSeconds * 1000);
    if (brief !== undefined) {
      const words = `level ${next} is not entered (${why}): the time of level ${brief} is up within its minimum`;
      return { state: kept, reasons: because('brief', brief, words) };
    }
    const state = { ...kept, level: next, steppedAtMs: atMs, enteredAtMs: [...kept.enteredAtMs, atMs] };
    return { state, reasons: because('enter', next, `level ${next} is entered: ${why}`) };
  }

  if (level > 0 && judgementOf(level).calm) {
    const why = judgementOf(level).left.join('; ');
    if (sinceMs >= heldMs) return { state: down, reasons: because('leave', level, `level ${level} is left: ${why}`) };
    const words = `level ${level} is calm (${why}), and held for ${heldMs / 1000} s`;
    return { state: kept, reasons: because('hold', level, words) };
  }
  const [refused] = calling;
  if (refused === undefined) return { state: kept, reasons };
  const why = judgementOf(refused).entered.join('; ');
  const words = `level ${refused} is not entered (${why}): a level's time was up, and it was not calm since`;
  return { state: kept, reasons: because('spent', refused, words) };
}

/** The writes after which settings are as wanted, and everything else that was changed is as it was. */
function settle(
  state: DefenseState,
  wanted: Settings,
  settings: Settings,
  written: NonNullable<Signals['written']> = {},
): Step {
  const writes: Write[] = [];
  const kept: Kept[] = [];
  const reasons: Reason[] = [];
  const originals: Record<string, string> = { ...state.originals };
  const held: Record<string, string> = {};
  const unreadable = (sysctl: string) =>
    reasons.push({ kind: 'unreadable', subject: sysctl, words: `${sysctl} cannot be read, so it is left alone` });
  // In the other order than they were changed: a mode before the rate that it uses.
  for (const sysctl of Object.keys(originals).reverse()) {
    if (sysctl in wanted) continue;
    const [from, original] = [settings[sysctl], originals[sysctl] as string];
    if (from === undefined) {
      unreadable(sysctl);
      continue;
    }
    const ours = [...(written[sysctl] ?? []), ...(state.held[sysctl] === undefined ? [] : [state.held[sysctl]])];
    // Of what nothing is known to be written, whatever is there is to be put back.
    const found = heldAs(sysctl, { original, written: ours.length > 0 ? ours : [from] }, from);
    if (found === 'ours') {
      writes.push({ sysctl, from, to: original, cause: 'original' });
      continue;
    }
    delete originals[sysctl];
    if (found === 'changed') kept.push({ sysctl, value: from, original });
  }
  for (const [sysctl, to] of Object.entries(wanted)) {
    const from = settings[sysctl];
    if (from === undefined) {
      unreadable(sysctl);
      continue;
    }
    originals[sysctl] ??= settingOf(sysctl, from);
    held[sysctl] = to;
    if (sameSetting(sysctl, from, to)) continue;
    writes.push({ sysctl, from, to, cause: state.held[sysctl] === to ? 'changed' : 'level' });
  }
  return { state: { ...state, originals, held }, writes, kept, reasons };
}

/** The phases of an automatic mode are the kernel's: 1 is what stands for both. */
function settingOf(sysctl: string, value: string): string {
  return sysctl !== DROP_RATE && value === String(modes.indexOf('engaged'))
    ? String(modes.indexOf('automatic'))
    : value;
}
