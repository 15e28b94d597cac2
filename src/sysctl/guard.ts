/**
 * Keeps settings as they are wanted. Whoever changes one again and again is told apart from a single change: what was put
 * right is put right again only after a while, twice as long each time. The decision is pure.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type IpvsError, refusalBy } from '../base/errors.ts';
import { isSame, type SysctlTable } from './sysctl-table.ts';

/** Canonical names and values. */
export type Wanted = Readonly<Record<string, string>>;

export interface GuardEvent {
  readonly name: string;
  /** As it was wanted. */
  readonly from: string;
  /** As it was found; null where it is not there any more, or cannot be read. */
  readonly to: string | null;
  /** ISO 8601. It may have been changed as much earlier as the guard's interval is long. */
  readonly noticedAt: string;
  /**
   * `restored`; `waiting`: somebody changes it again and again; `refused` by the kernel; `gone`: its interface, or its
   * module; `unreadable`: what it is now is unknown.
   */
  readonly outcome: 'restored' | 'waiting' | 'refused' | 'gone' | 'unreadable';
  /** How often it was restored of late. */
  readonly times: number;
  readonly error?: IpvsError;
}

/** Of a setting that was found changed of late. */
interface Trouble {
  /** What was said of it last; undefined: it is as it should be. */
  readonly found: string | null | undefined;
  readonly times: number;
  /** When it may be put right again. */
  readonly nextAtMs: number;
}

export type GuardState = ReadonlyMap<string, Trouble>;

const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * What to write, and what to tell, of settings as they were seen at a moment: undefined is one that is not there. One that
 * is not in `seen` could not be read, and stays as it is. Pure.
 */
export function guardStep(
  state: GuardState,
  wanted: Wanted,
  seen: ReadonlyMap<string, string | undefined>,
  nowMs: number,
): { readonly state: GuardState; readonly writes: readonly string[]; readonly told: readonly string[] } {
  const next = new Map<string, Trouble>();
  const writes: string[] = [];
  const told: string[] = [];
  for (const [name, value] of Object.entries(wanted)) {
    const found = seen.get(name) ?? null;
    const trouble = state.get(name);
    if (!seen.has(name)) {
      if (trouble) next.set(name, trouble);
      continue;
    }
    const before = trouble ?? { found: undefined, times: 0, nextAtMs: nowMs };
    const right = found !== null && isSame(name, found, value);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** before.times);
    if (right) {
      // It held for as long as it would have to wait: nobody is at it any more.
      if (before.times > 0 && nowMs < before.nextAtMs + pauseMs) next.set(name, { ...before, found: undefined });
    } else if (found !== null && nowMs >= before.nextAtMs) {
      writes.push(name);
      next.set(name, { found: undefined, times: before.times + 1, nextAtMs: nowMs + pauseMs });
    } else {
      if (before.found !== found) told.push(name);
      next.set(name, { ...before, found });
    }
  }
  return { state: next, writes, told };
}

export interface GuardOptions {
  /** Default: 1 second. */
  readonly intervalMs?: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: GuardEvent) => void;
  /** Default: the clock. */
  readonly now?: () => number;
}

/**
 * Until the signal is aborted. `wanted` is asked each time: what it leaves out is left alone. A setting that cannot be read
 * or written is told of, and tried again.
 */
export async function guardSysctls(
  table: SysctlTable,
  wanted: () => Wanted | Promise<Wanted>,
  { intervalMs = 1000, signal, onEvent, now = Date.now }: GuardOptions,
): Promise<void> {
  let state: GuardState = new Map();
  let before: Look['unreadable'] = new Map();
  while (!signal.aborted) {
    const values = await wanted();
    const nowMs = now();
    const { seen, unreadable } = lookAt(table, Object.keys(values));
    const step = guardStep(state, values, seen, nowMs);
    state = step.state;
    const tell = (name: string, outcome: GuardEvent['outcome'], error?: IpvsError) =>
      onEvent({
        name,
        from: values[name] ?? '',
        to: seen.get(name) ?? null,
        noticedAt: new Date(nowMs).toISOString(),
        outcome,
        times: state.get(name)?.times ?? 0,
        ...(error && { error }),
      });
    for (const [name, error] of unreadable)
      if (before.get(name)?.message !== error.message) tell(name, 'unreadable', error);
    before = unreadable;
    for (const name of step.told) tell(name, seen.get(name) === undefined ? 'gone' : 'waiting');
    // What was borrowed since is on record before it is changed: asked only now, `wanted` leaves it out.
    const still = step.writes.length > 0 ? await wanted() : {};
    for (const name of step.writes.filter((each) => each in still)) {
      const value = values[name] ?? '';
      const error = refusalBy(() => table.execute({ type: 'sysctl.set', name, value }));
      tell(name, error ? 'refused' : 'restored', error);
      // Until it is tried again, that it stayed as it was is nothing new.
      if (error) state = foundAs(state, name, seen.get(name) ?? null);
    }
    await wait(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

function foundAs(state: GuardState, name: string, found: string | null): GuardState {
  const trouble = state.get(name);
  return trouble ? new Map(state).set(name, { ...trouble, found }) : state;
}

interface Look {
  readonly seen: ReadonlyMap<string, string | undefined>;
  /** Why the others could not be read. */
  readonly unreadable: ReadonlyMap<string, IpvsError>;
}

function lookAt(table: SysctlTable, names: readonly string[]): Look {
  const seen = new Map<string, string | undefined>();
  const unreadable = new Map<string, IpvsError>();
  for (const name of names) {
    const error = refusalBy(() => seen.set(name, table.find(name)));
    if (error) unreadable.set(name, error);
  }
  return { seen, unreadable };
}
