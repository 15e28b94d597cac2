/** Held weights are visible wherever a destination is shown: in lists, plans and drift. */
import { beforeEach, describe, expect, test } from 'vitest';
import { tableOf } from '../../../src/cli/words/list.ts';
import { describePlan } from '../../../src/director/describe.ts';
import { Director } from '../../../src/director/director.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { Store } from '../../../src/record/store.ts';
import { type MemoryIpvs, openMemory } from '../../../src/testing/index.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const settings = {
  drain: { timeoutSeconds: 180, afterwards: 'delete' },
  ramp: { durationSeconds: 100, floor: 0.1, curve: 'linear' },
} as const;
const desired = stateOf({ [WEB]: { '10.0.0.2': 1, '10.0.0.9': 100 } }, settings);

let ipvs: MemoryIpvs;
let store: Store;
let director: Director;
let bootMs: number;

/** `10.0.0.1` leaves the file with 12 connections, `10.0.0.9` comes, `10.0.0.2` is drained by hand. */
beforeEach(async () => {
  bootMs = 1_000_000;
  const now = () => ({ wallMs: bootMs, bootMs });
  ipvs = openMemory({
    state: {
      services: [
        {
          address: WEB,
          destinations: [{ address: '10.0.0.1:80', weight: 3, activeConnections: 12 }, { address: '10.0.0.2:80' }],
        },
      ],
    },
  });
  store = new Store(new VolatileFiles(), now);
  director = new Director({ ipvs, store, now });
  await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 3, '10.0.0.2': 1 } }, settings) }, { adopt: true });
  await director.apply({ desired });
  await director.drain(WEB, '10.0.0.2');
  await director.stepDrains();
});

const lines = async () => describePlan(await director.plan({ desired })).split('\n');
const held = async () =>
  (await director.drift()).held.map(({ destination, weight, due, words }) => [destination, weight, due, words]);

test('with their reason, and what is left', async () => {
  expect(await held()).toEqual([
    ['10.0.0.1:80', 0, 0, 'draining, 12 of 12 left, 3m'],
    ['10.0.0.2:80', 0, 0, 'drained, stays at 0'],
    ['10.0.0.9:80', 10, 10, 'ramping to 100, 1m40s'],
  ]);
  expect((await director.drift()).differences).toEqual([]);
  expect(await lines()).toEqual([
    `  ${WEB}`,
    '    = 10.0.0.1:80  weight 0 draining, 12 of 12 left, 3m',
    '    = 10.0.0.2:80  weight 0 drained, stays at 0',
    '    = 10.0.0.9:80  weight 10 ramping to 100, 1m40s',
    'nothing to change; 3 unchanged',
  ]);
});

test('beside the weight in a list', async () => {
  const { services } = await ipvs.snapshot();
  const shown = (await director.drift()).held;
  const paint = (_: string, text: string) => text;
  const table = tableOf({ services }, { view: 'overview', sort: undefined, exact: false, paint, held: shown });
  expect(table.split('\n').map((line) => line.trimStart().split(/ {2,}/))).toEqual([
    ['SERVICE', 'SCHEDULER'],
    ['DESTINATION', 'FORWARD', 'WEIGHT', 'HELD', 'ACTIVE', 'INACTIVE'],
    [WEB, 'wrr'],
    ['10.0.0.9:80', 'masquerade', '10', 'ramping to 100, 1m40s', '0', '0'],
    ['10.0.0.1:80', 'masquerade', '0', 'draining, 12 of 12 left, 3m', '12', '0'],
    ['10.0.0.2:80', 'masquerade', '0', 'drained, stays at 0', '0', '0'],
  ]);
  const stats = tableOf({ services }, { view: 'stats', sort: undefined, exact: false, paint, held: shown });
  expect(stats).not.toContain('HELD');
});

test('a plan announces the pass that an apply begins with, which then changes something', async () => {
  bootMs += 180_000;
  expect((await lines()).slice(-3)).toEqual([
    `  next pass: 10.0.0.1:80 of ${WEB}  deleted: the deadline has passed`,
    `  next pass: 10.0.0.9:80 of ${WEB}  weight 100 of 100, its ramp ends`,
    'the file changes nothing; 3 unchanged',
  ]);
  const moves: string[] = [];
  await director.apply({ desired }, { onPass: (pass) => moves.push(...pass.moves.map((move) => move.destination)) });
  expect(moves).toEqual(['10.0.0.1:80', '10.0.0.9:80']);
  expect((await lines()).at(-1)).toBe('nothing to change; 3 unchanged');
});

test('another program changes a held weight: the drift, and what is due, are shown', async () => {
  await ipvs.editDestination(WEB, '10.0.0.2', { weight: 5 });
  expect(await held()).toContainEqual(['10.0.0.2:80', 5, 0, 'drained, 0 is due']);
  expect((await director.drift()).differences).toMatchObject([{ detail: 'weight 5 → 0' }]);
});

describe('the marker of the record', () => {
  const isMarked = () => store.files.has('in-progress');

  test('is there while something is in progress', async () => {
    expect([isMarked(), director.inProgress()]).toEqual([true, { drains: 1, ramps: 1 }]);
    bootMs += 180_000;
    await director.stepDrains();
    expect([isMarked(), director.inProgress()]).toEqual([false, { drains: 0, ramps: 0 }]);
  });

  test('that is left from an earlier boot goes with the next pass', async () => {
    await new Director({ ipvs, store, table: 'of another boot' }).stepDrains();
    expect(isMarked()).toBe(false);
  });
});
