/** Slow start: the weight of a destination that is new, over time. Pure. */
import type { Ramp } from './ledger.ts';

/** At least 1, as 0 would take nothing at all; never more than the whole. */
export function rampedWeight(
  {
    startedBootMs,
    durationSeconds,
    floor,
    curve,
    weight,
  }: Pick<Ramp, 'startedBootMs' | 'durationSeconds' | 'floor' | 'curve' | 'weight'>,
  nowBootMs: number,
): number {
  const passed = Math.min(1, Math.max(0, (nowBootMs - startedBootMs) / (durationSeconds * 1000)));
  const share = floor + (1 - floor) * (curve === 'linear' ? passed : exponential(passed));
  return weight === 0 ? 0 : Math.max(1, Math.round(weight * share));
}

/** From 0 to 1, doubling five times on the way: most of the growth comes at the end, when caches are warm. */
function exponential(passed: number): number {
  return (2 ** (5 * passed) - 1) / 31;
}
