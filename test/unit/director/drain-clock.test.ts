/** Deadlines under clocks that jump: only boot time decides, and records of earlier releases are read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Director } from '../../../src/director/director.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { Store } from '../../../src/record/store.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const settings = {
  drain: { timeoutSeconds: 60, afterwards: 'delete' },
  ramp: { durationSeconds: 100, floor: 0.1, curve: 'linear' },
} as const;
const DAY = 86_400_000;

/** `10.0.0.1` leaves the file, with connections, and `10.0.0.9` comes. */
async function begun() {
  const busy = { address: '10.0.0.1:80', weight: 3, activeConnections: 2 };
  const ipvs = openMemory({ state: { services: [{ address: WEB, destinations: [busy] }] } });
  const files = new VolatileFiles();
  const clock = { wallMs: Date.UTC(2026, 10, 30), bootMs: 5_000_000 };
  const now = () => ({ ...clock });
  const open = () => new Director({ ipvs, store: new Store(files, now), now });
  await open().apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 3 } }, settings) }, { adopt: true });
  await open().apply({ desired: stateOf({ [WEB]: { '10.0.0.9': 100 } }, settings) });
  const weights = async () =>
    Object.fromEntries((await ipvs.destinations(WEB)).map(({ address, weight }) => [address, weight]));
  /** Another process makes a pass, after so much time. */
  const pass = async (ms: number) => {
    clock.bootMs += ms;
    clock.wallMs += ms;
    await open().stepDrains();
    return weights();
  };
  return { clock, files, open, pass, weights };
}

const steps = fc.array(
  fc.record({
    ms: fc.integer({ min: 0, max: 40_000 }),
    jumpMs: fc.oneof(fc.constant(0), fc.integer({ min: -400 * DAY, max: 400 * DAY })),
  }),
  { maxLength: 8 },
);

test('steps of the wall clock change nothing: no drain ends early or late, no ramp stops', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (path) => {
      const [steady, jumping] = [await begun(), await begun()];
      let passedMs = 0;
      for (const { ms, jumpMs } of path) {
        jumping.clock.wallMs += jumpMs;
        passedMs += ms;
        const weights = await jumping.pass(ms);
        expect(weights).toEqual(await steady.pass(ms));
        expect(weights['10.0.0.1:80']).toBe(passedMs < 60_000 ? 0 : undefined);
        const shares = (await jumping.open().ramps()).map(({ leftMs }) => leftMs);
        // A ramp ends when its weight, a whole number, is the whole one: that may be half a step before its time.
        const isWhole = weights['10.0.0.9:80'] === 100;
        expect(shares).toEqual(isWhole ? [] : [100_000 - passedMs]);
        if (passedMs >= 100_000 || passedMs < 99_000) expect(isWhole).toBe(passedMs >= 100_000);
      }
    }),
    { numRuns: 60 },
  );
});

test('an ended drain is shown for an hour of boot time, without a pass in between', async () => {
  const { clock, open, pass } = await begun();
  await pass(60_000);
  clock.wallMs += 30 * DAY;
  clock.bootMs += 3_599_999;
  expect(await open().drains()).toMatchObject([{ drain: { ended: { how: 'deadline' } } }]);
  clock.bootMs += 1;
  expect(await open().drains()).toEqual([]);
});

test('people see the wall clock', async () => {
  const { clock, open } = await begun();
  clock.bootMs += 10_000;
  clock.wallMs += 10_000 + 3 * DAY;
  const [progress] = await open().drains();
  expect(progress).toMatchObject({
    leftMs: 50_000,
    startedAt: '2026-12-03T00:00:00.000Z',
    deadlineAt: '2026-12-03T00:01:00.000Z',
  });
});

describe('a record of an earlier release, in wall-clock time', () => {
  /** As it was written when both clocks began. */
  async function earlier() {
    const given = await begun();
    const ledger = JSON.parse(given.files.read('ledger.json')?.toString() ?? '');
    const at = given.clock.wallMs;
    const inWallTime = ({ startedBootMs, deadlineBootMs, ...rest }: Record<string, number>) => ({
      ...rest,
      startedAtMs: at,
      ...(deadlineBootMs !== undefined && { deadlineAtMs: at + 60_000 }),
    });
    delete ledger.applied.bootMs;
    const text = JSON.stringify({
      ...ledger,
      drains: ledger.drains.map(inWallTime),
      ramps: ledger.ramps.map(inWallTime),
    });
    given.files.write('ledger.json', text);
    return given;
  }

  test.each([-400 * DAY, -30_000, 0, 30_000, 400 * DAY])(
    'a drain gets its whole timeout once more, whatever the clock shows (%i ms)',
    async (jumpMs) => {
      const { clock, pass } = await earlier();
      clock.wallMs += jumpMs;
      expect(await pass(0)).toMatchObject({ '10.0.0.1:80': 0 });
      expect(await pass(59_999)).toMatchObject({ '10.0.0.1:80': 0 });
      expect(await pass(1)).not.toHaveProperty('10.0.0.1:80');
    },
  );

  test.each([
    [-400 * DAY, 10],
    [50_000, 55],
    [400 * DAY, 100],
  ])('a ramp keeps its share of %i ms, and ends', async (jumpMs, weight) => {
    const { clock, pass } = await earlier();
    clock.wallMs += jumpMs;
    expect(await pass(0)).toMatchObject({ '10.0.0.9:80': weight });
    expect(await pass(100_000)).toMatchObject({ '10.0.0.9:80': 100 });
  });
});
