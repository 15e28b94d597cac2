/**
 * Steps of the scheduler wrr. Pure. It hands out connections from the heaviest weight down, by the greatest common divisor
 * of all weights (ip_vs_wrr.c). Once the heaviest destination is full, a connection may take all these steps at once, in
 * the softirq and under the service's lock.
 */

/** Every ratio of weights up to 65535, which is the most that ipvsadm sets. docs/reference/service.md has the cost. */
export const MOST_WEIGHT_STEPS = 65_535;

/** The heaviest weight over the divisor of all; 0 where nothing has a weight. */
export function weightSteps(weights: readonly number[]): number {
  const divisor = divisorOf(weights);
  return divisor === 0 ? 0 : heaviest(weights) / divisor;
}

/** The steps that a service takes: none under another scheduler. */
export function stepsOf(scheduler: string, weights: Iterable<number>): number {
  return scheduler === 'wrr' ? weightSteps([...weights]) : 0;
}

/**
 * `wanted`, or the next lower weight (or the lowest) on a grid that keeps the steps within `limit`. `others` holds every
 * weight of the service, now and later: then all that is chosen for it lies on one grid. Where no grid is wide enough, it
 * takes as few steps as `others` allow.
 */
export function weightWithin(wanted: number, others: readonly number[], limit: number = MOST_WEIGHT_STEPS): number {
  const divisor = divisorOf(others);
  if (wanted === 0 || divisor === 0) return wanted;
  const grid = leastDivisor(divisor, Math.max(wanted, heaviest(others)) / limit);
  return Math.max(grid, wanted - (wanted % grid));
}

/** The least divisor of `number` from `least` on; `number` itself if it is smaller. */
function leastDivisor(number: number, least: number): number {
  let found = number;
  for (let small = 1; small * small <= number; small++) {
    if (number % small !== 0) continue;
    if (small >= least) return small;
    // Its counterpart falls as it grows.
    if (number / small >= least) found = number / small;
  }
  return found;
}

function heaviest(weights: readonly number[]): number {
  return weights.reduce((most, weight) => Math.max(most, weight), 0);
}

function divisorOf(weights: readonly number[]): number {
  return weights.reduce(commonDivisor, 0);
}

function commonDivisor(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest !== 0) [divisor, rest] = [rest, divisor % rest];
  return divisor;
}
