import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_WEIGHT_STEPS, stepsOf, weightSteps, weightWithin } from '../../../src/ipvs/weight-steps.ts';

describe('steps between weights', () => {
  test.each([
    [[], 0],
    [[0, 0], 0],
    [[7], 1],
    [[100, 0, 100], 1],
    [[100, 37], 100],
    [[300_000_000, 1], 300_000_000],
    [[300_000_000, 100_000_000], 3],
    [[65_535, 65_534], MOST_WEIGHT_STEPS],
    [[2_147_483_647, 2_147_483_646], 2_147_483_647],
  ] as const)('of %j are %i', (weights, steps) => {
    expect(weightSteps(weights)).toBe(steps);
  });

  test('are taken by wrr alone', () => {
    expect(['wrr', 'wlc', 'mh', 'none'].map((scheduler) => stepsOf(scheduler, [9, 1]))).toEqual([9, 0, 0, 0]);
  });

  test('of weights up to 65535 are never too many', () => {
    const ordinary = fc.array(fc.nat(65_535), { maxLength: 8 });
    fc.assert(fc.property(ordinary, (weights) => weightSteps(weights) <= MOST_WEIGHT_STEPS));
  });

  test('never become more when a weight is taken away', () => {
    const weights = fc.array(fc.nat(2_147_483_647), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(weights, ([_, ...rest]) => weightSteps([0, ...rest]) <= weightSteps([_ ?? 0, ...rest])));
  });
});

describe('a weight beside others', () => {
  test.each([
    ['stays as it is where it suits', 37, [100], 37],
    ['or where it is 0', 0, [300_000_000, 1], 0],
    ['or where it is alone', 300_000_001, [], 300_000_001],
    ['is rounded down to what suits', 37_123_456, [100_000_000], 37_123_200],
    ['is no less than the lowest that suits', 1, [100_000_000], 1600],
    ['takes the divisor where nothing suits', 37_123_456, [300_000_000, 100], 37_123_400],
  ] as const)('%s', (_, wanted, others, weight) => {
    expect(weightWithin(wanted, others)).toBe(weight);
  });

  test('suits wherever one does, and is close below', () => {
    const large = fc.record({
      base: fc.integer({ min: 1, max: 30_000 }),
      multiples: fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 4 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(large, ({ base, multiples, share }) => {
        const others = multiples.map((multiple) => multiple * base);
        const whole = others[0] as number;
        const wanted = Math.max(1, Math.round(whole * share));
        const weight = weightWithin(wanted, others);
        expect(weightSteps([weight, ...others])).toBeLessThanOrEqual(MOST_WEIGHT_STEPS);
        expect(weight).toBeLessThanOrEqual(Math.max(wanted, base));
        expect(wanted - weight).toBeLessThan(base);
      }),
    );
  });

  test('is the whole in the end', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 2_147_483_647 }), { minLength: 1, maxLength: 5 });
    fc.assert(fc.property(weights, (all) => weightWithin(all[0] as number, all) === all[0]));
  });
});
