/** Weights that drains and ramps hold, with the reason that lists and plans show beside them. Pure. */
import { shortDuration } from '../config/duration.ts';
import { type DestinationOf, type Drain, keyOf, type Ledger, type Ramp } from '../record/ledger.ts';
import { rampedWeight } from '../record/ramp.ts';
import { destinationIn, type Look } from './drain-progress.ts';
import { drainState, heldSum } from './drain-rule.ts';
import { pinsClients } from './drain-step.ts';

export interface HeldWeight extends DestinationOf {
  /** As the kernel has it. */
  readonly weight: number;
  /** What it should be now. */
  readonly due: number;
  /** The weight without drain and ramp. */
  readonly whole: number;
  readonly state: 'draining' | 'drained' | 'timed out' | 'cancelled' | 'ramping';
  /** "draining, 4 of 12 left, 3m", "ramping to 100, 20s" */
  readonly words: string;
}

/** Of destinations that are there. */
export function heldWeights({ drains, ramps }: Pick<Ledger, 'drains' | 'ramps'>, look: Look): HeldWeight[] {
  const draining = new Set(drains.map(keyOf));
  return [
    ...drains.flatMap((drain) => heldByDrain(drain, look) ?? []),
    ...ramps.flatMap((ramp) => (draining.has(keyOf(ramp)) ? [] : (heldByRamp(ramp, look) ?? []))),
  ];
}

function heldByDrain(drain: Drain, { services, quiescentExpire, now }: Look): HeldWeight | undefined {
  const { service, destination, ended, restoreWeight, deadlineBootMs, heldFirst, weight: whole } = drain;
  const found = destinationIn(services, drain);
  if (found === undefined) return undefined;
  const common = { service, destination, weight: found.weight, due: restoreWeight ?? 0, whole };
  if (restoreWeight !== undefined)
    return { ...common, state: 'cancelled', words: `drain cancelled, ${restoreWeight} is due` };
  if (ended) {
    const state = ended.how === 'deadline' ? 'timed out' : 'drained';
    return { ...common, state, words: `${state}, ${found.weight === 0 ? 'stays at 0' : '0 is due'}` };
  }
  const pins = pinsClients(services.get(service), quiescentExpire);
  const { held, over } = drainState({ drain, destination: found, pins, nowMs: now.bootMs });
  const left = heldSum(held);
  const share =
    left === 0 ? 'none' : heldFirst !== undefined && heldFirst >= left ? `${left} of ${heldFirst}` : `${left}`;
  const end = over ? 'ends with the next pass' : shortDuration(deadlineBootMs - now.bootMs);
  return { ...common, state: 'draining', words: `draining, ${share} left, ${end}` };
}

function heldByRamp(ramp: Ramp, { services, now }: Look): HeldWeight | undefined {
  const { service, destination, startedBootMs, durationSeconds, weight: whole } = ramp;
  const found = destinationIn(services, ramp);
  if (found === undefined) return undefined;
  const leftMs = startedBootMs + durationSeconds * 1000 - now.bootMs;
  const due = rampedWeight(ramp, now.bootMs);
  const end = leftMs > 0 ? shortDuration(leftMs) : `${due} is due`;
  return {
    service,
    destination,
    weight: found.weight,
    due,
    whole,
    state: 'ramping',
    words: `ramping to ${whole}, ${end}`,
  };
}
