/** Weights that are too uneven for wrr: what plans, drains and ramps make of them, on a table in memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Director } from '../../../src/director/director.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import { MOST_WEIGHT_STEPS, weightSteps } from '../../../src/ipvs/weight-steps.ts';
import { parseState } from '../../../src/state/document.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';

let nowMs = 0;
const directorOf = () =>
  new Director({ ipvs: new Ipvs(new MemoryBackend()), now: () => ({ wallMs: nowMs, bootMs: nowMs }) });

/** A director to whose table a state was applied. */
async function applied(state: DesiredState): Promise<Director> {
  const director = directorOf();
  expect((await director.apply({ desired: state })).outcome).toBe('applied');
  return director;
}

const weightsIn = async ({ ipvs }: Director) => (await ipvs.destinations(WEB)).map(({ weight }) => weight);

describe('an apply', () => {
  const uneven = stateOf({ [WEB]: { '10.0.0.1': 300_000_000, '10.0.0.2': 1 } });

  test('refuses weights that are too uneven, before anything is done', async () => {
    const director = directorOf();
    expect((await director.plan({ desired: uneven })).uneven).toEqual([
      { service: WEB, steps: 300_000_000, limit: MOST_WEIGHT_STEPS },
    ]);
    await expect(director.apply({ desired: uneven })).rejects.toMatchObject({
      code: 'WEIGHTS_TOO_UNEVEN',
      message: expect.stringContaining(`${WEB} takes 300000000; the limit is 65535`),
    });
    expect((await director.ipvs.snapshot()).services).toEqual([]);
  });

  test('takes them with force, or a limit of the file', async () => {
    expect((await directorOf().apply({ desired: uneven }, { force: true })).outcome).toBe('applied');
    expect((await applied({ ...uneven, limits: { maxWeightSteps: 300_000_000 } })).ipvs).toBeDefined();
    const less = { ...uneven, limits: { maxWeightSteps: 299_999_999 } };
    await expect(directorOf().apply({ desired: less })).rejects.toMatchObject({ code: 'WEIGHTS_TOO_UNEVEN' });
  });

  test('holds a lower limit of the file', async () => {
    const limited = { ...stateOf({ [WEB]: { '10.0.0.1': 100, '10.0.0.2': 37 } }), limits: { maxWeightSteps: 99 } };
    await expect(directorOf().apply({ desired: limited })).rejects.toMatchObject({ code: 'WEIGHTS_TOO_UNEVEN' });
  });

  test.each([
    ['another scheduler', stateOf({ [WEB]: { '10.0.0.1': 300_000_000, '10.0.0.2': 1 } }, { scheduler: 'wlc' })],
    ['a common divisor', stateOf({ [WEB]: { '10.0.0.1': 300_000_000, '10.0.0.2': 100_000_000 } })],
    ['a weight of 0', stateOf({ [WEB]: { '10.0.0.1': 300_000_000, '10.0.0.2': 0 } })],
    ['ordinary weights', stateOf({ [WEB]: { '10.0.0.1': 65_535, '10.0.0.2': 1 } })],
  ])('takes %s', async (_, state) => {
    expect((await directorOf().plan({ desired: state })).uneven).toBeUndefined();
    await applied(state);
  });

  test('counts what nobody described, and the scheduler that comes', async () => {
    const director = await applied(stateOf({ [WEB]: { '10.0.0.1': 300_000_000 } }, { scheduler: 'wlc' }));
    await director.ipvs.addDestination(WEB, { address: '10.0.0.9' });
    const wrr = stateOf({ [WEB]: { '10.0.0.1': 300_000_000 } });
    await expect(director.apply({ desired: wrr })).rejects.toMatchObject({ code: 'WEIGHTS_TOO_UNEVEN' });
  });

  test('makes what is too uneven less so, and changes other things of it', async () => {
    const director = directorOf();
    await director.apply({ desired: uneven }, { force: true });
    const less = stateOf({ [WEB]: { '10.0.0.1': 200_000_000, '10.0.0.2': 1 } });
    expect((await director.apply({ desired: less })).outcome).toBe('applied');
    const other = { ...less, services: less.services.map((each) => ({ ...each, destinations: each.destinations })) };
    const threshold = other.services.map((each) => ({
      ...each,
      destinations: each.destinations.map((destination) => ({ ...destination, upperThreshold: 5 })),
    }));
    expect((await director.apply({ desired: { services: threshold } })).outcome).toBe('applied');
  });
});

test('a file says its limit, in its range', () => {
  const limits = (text: string) => parseState(`limits: { maxWeightSteps: ${text} }`, 'web.yaml').limits;
  expect(limits('100000')).toEqual({ maxWeightSteps: 100_000 });
  for (const wrong of ['0', '1.5', '2147483648', 'many'])
    expect(() => limits(wrong)).toThrow(/limits\.maxWeightSteps: a whole number from 1 to 2147483647/);
});

describe('on the way to weights that suit', () => {
  const ramp = { durationSeconds: 100, floor: 0.1, curve: 'linear' } as const;

  test('a ramp takes none in between that does not', async () => {
    nowMs = 0;
    const director = await applied(stateOf({ [WEB]: { '10.0.0.1': 100_000_000 } }));
    const both = stateOf({ [WEB]: { '10.0.0.1': 100_000_000, '10.0.0.2': 100_000_000 } }, { ramp });
    for (let second = 0; second <= 100; second += 7) {
      nowMs = second * 1000 + 123;
      // An apply in between agrees with the passes.
      const { changes } = second === 0 ? { changes: [] } : await director.plan({ desired: both });
      expect(changes).toEqual([]);
      await director.apply({ desired: both });
      expect(weightSteps(await weightsIn(director))).toBeLessThanOrEqual(MOST_WEIGHT_STEPS);
    }
    nowMs = 101_000;
    await director.stepDrains();
    expect(await weightsIn(director)).toEqual([100_000_000, 100_000_000]);
    expect(await director.ramps()).toEqual([]);
  });

  test('nor do several at once, whatever their moments', async () => {
    const states = fc.record({
      base: fc.integer({ min: 1, max: 20_000 }),
      multiples: fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 2, maxLength: 4 }),
      moments: fc.array(fc.nat(120_000), { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(states, async ({ base, multiples, moments }) => {
        nowMs = 0;
        const weights = multiples.map((multiple, i) => [`10.0.0.${i + 1}`, multiple * base] as const);
        const director = await applied(stateOf({ [WEB]: Object.fromEntries(weights.slice(0, 1)) }));
        await director.apply({ desired: stateOf({ [WEB]: Object.fromEntries(weights) }, { ramp }) });
        expect(weightSteps(await weightsIn(director))).toBeLessThanOrEqual(MOST_WEIGHT_STEPS);
        for (const moment of [...moments.sort((a, b) => a - b), 200_000]) {
          nowMs = moment;
          await director.stepDrains();
          expect(weightSteps(await weightsIn(director))).toBeLessThanOrEqual(MOST_WEIGHT_STEPS);
        }
        expect((await weightsIn(director)).sort()).toEqual(weights.map(([, weight]) => weight).sort());
      }),
      { numRuns: 50, examples: [[{ base: 6690, multiples: [1, 10_042, 1, 1], moments: [0] }]] },
    );
  });

  test('a drain that is cancelled beside other weights takes one that suits them', async () => {
    nowMs = 0;
    const director = await applied(stateOf({ [WEB]: { '10.0.0.1': 37, '10.0.0.2': 37 } }));
    await director.ipvs.addDestination(WEB, { address: '10.0.0.3', weight: 0 });
    await director.drain(WEB, '10.0.0.1');
    await director.ipvs.editDestination(WEB, '10.0.0.2', { weight: 100_000_000 });
    expect(await director.cancelDrain(WEB, '10.0.0.1')).toMatchObject({ weight: 1600 });
    expect(weightSteps(await weightsIn(director))).toBe(62_500);
  });
});
