/**
 * Reads drains and ramps of earlier releases, which recorded wall-clock times. How far the wall clock was set since is
 * unknown, so a drain gets its whole timeout once more: it never ends early. A ramp keeps the share that the wall clock
 * gives it, as its weight never falls. Pure.
 */
import type { Moment } from '../base/clock.ts';
import type { Drain, DrainEnd, EndedDrain, Journal, Ledger, Ramp } from './ledger.ts';

interface EarlierDrain extends Omit<Drain, 'startedBootMs' | 'deadlineBootMs' | 'ended'> {
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly ended?: Omit<DrainEnd, 'bootMs'> & { readonly atMs: number };
}

type EarlierRamp = Omit<Ramp, 'startedBootMs'> & { readonly startedAtMs: number };

export function hasEarlierTimes({ drains, ended = [], ramps }: Pick<Ledger, 'drains' | 'ended' | 'ramps'>): boolean {
  return [...drains, ...ended, ...ramps].some((each) => 'startedAtMs' in Object(each));
}

/** With boot times throughout. */
export function inBootTime<L extends Ledger>(ledger: L, now: Moment): L {
  if (!hasEarlierTimes(ledger)) return ledger;
  const { drains, ended, ramps } = ledger;
  return {
    ...ledger,
    drains: drains.map((drain) => drainOf(drain, now)),
    ...(ended && { ended: ended.map((drain) => drainOf(drain, now) as EndedDrain) }),
    ramps: ramps.map((ramp) => rampOf(ramp, now)),
  };
}

export function journalInBootTime(journal: Journal, now: Moment): Journal {
  const { next } = journal;
  const { applied } = next;
  if (!hasEarlierTimes(next) || applied === null) return journal;
  const ago = Math.max(0, now.wallMs - Date.parse(applied.at));
  return { ...journal, next: { ...inBootTime(next, now), applied: { ...applied, bootMs: now.bootMs - ago } } };
}

function drainOf(drain: Drain | EarlierDrain, now: Moment): Drain {
  if (!('startedAtMs' in drain)) return drain;
  const { startedAtMs, deadlineAtMs, ended: end, ...rest } = drain;
  const times = { startedBootMs: now.bootMs, deadlineBootMs: now.bootMs + Math.max(0, deadlineAtMs - startedAtMs) };
  if (end === undefined) return { ...rest, ...times };
  const { atMs, ...how } = end;
  return { ...rest, ...times, ended: { ...how, bootMs: now.bootMs - Math.max(0, now.wallMs - atMs) } };
}

function rampOf(ramp: Ramp | EarlierRamp, now: Moment): Ramp {
  if (!('startedAtMs' in ramp)) return ramp;
  const { startedAtMs, ...rest } = ramp;
  const passedMs = Math.min(Math.max(0, now.wallMs - startedAtMs), ramp.durationSeconds * 1000);
  return { ...rest, startedBootMs: now.bootMs - passedMs };
}
