import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rampedWeight } from '../../../src/record/ramp.ts';

const ramp = { startedBootMs: 1000, durationSeconds: 100, floor: 0.1, curve: 'linear', weight: 200 } as const;

test.each([
  [0, 20],
  [1_000, 20],
  [51_000, 110],
  [91_000, 182],
  [101_000, 200],
  [999_000, 200],
])('a straight line: at %i ms it is %i of 200', (nowMs, weight) => {
  expect(rampedWeight(ramp, nowMs)).toBe(weight);
});

test('the other curve stays low for longer', () => {
  const curved = { ...ramp, curve: 'exponential' } as const;
  expect([1_000, 51_000, 76_000, 101_000].map((ms) => rampedWeight(curved, ms))).toEqual([20, 47, 92, 200]);
});

test('it never falls, begins with at least 1, and ends with the whole', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom('linear', 'exponential'),
      fc.integer({ min: 1, max: 86_400 }),
      fc.array(fc.integer({ min: 0, max: 200_000_000 }), { minLength: 2 }),
      (weight, floor, curve, durationSeconds, moments) => {
        const at = (nowMs: number) => rampedWeight({ startedBootMs: 0, durationSeconds, floor, curve, weight }, nowMs);
        const weights = moments.toSorted((a, b) => a - b).map(at);
        expect(weights).toEqual(weights.toSorted((a, b) => a - b));
        expect(at(0)).toBeGreaterThanOrEqual(Math.min(1, weight));
        expect(at(durationSeconds * 1000)).toBe(weight);
      },
    ),
  );
});
