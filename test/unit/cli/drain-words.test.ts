import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import {
  begunWords,
  drainTable,
  endWords,
  heldWords,
  holderWords,
  leftWords,
  moveWords,
} from '../../../src/cli/words/drains.ts';
import { shortDuration } from '../../../src/config/duration.ts';
import type { Drain, Held, Ramp } from '../../../src/record/ledger.ts';
import type { DrainProgress } from '../../../src/weights/drain-progress.ts';
import type { Holders } from '../../../src/weights/survey.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const nothing: Held = { active: 0, inactive: 0, entries: 0, templates: 0 };
const drain: Drain = {
  service: WEB,
  destination: '10.0.0.11:80',
  startedBootMs: 0,
  deadlineBootMs: 300_000,
  afterwards: 'delete',
  weight: 3,
  by: 'verb',
};
const times = { startedAt: '2026-11-30T00:00:00.000Z', deadlineAt: '2026-11-30T00:05:00.000Z' };
const ramp: Ramp = {
  service: WEB,
  destination: '10.0.0.12:80',
  startedBootMs: 0,
  durationSeconds: 60,
  floor: 0.1,
  curve: 'linear',
  weight: 10,
};
const holders: Holders = {
  connections: 4,
  templates: 1,
  states: { ESTABLISHED: 3, TIME_WAIT: 1 },
  longestSeconds: 850,
  clients: [
    { client: '198.51.100.7', connections: 3, templates: 0 },
    { client: '198.51.100.8', connections: 1, templates: 0 },
    { client: '198.51.100.0', connections: 0, templates: 1 },
    { client: '2001:db8::7', connections: 0, templates: 1 },
  ],
  moreClients: 2,
};

test.each<[number, string]>([
  [0, '0s'],
  [59_499, '59s'],
  [60_000, '1m'],
  [250_000, '4m10s'],
  [7_200_000, '2h'],
  [90_061_000, '1d1h'],
])('%d ms are %s', (ms, words) => {
  expect(shortDuration(ms)).toBe(words);
});

test('what is held', () => {
  expect(heldWords(nothing)).toBe('nothing held');
  expect(heldWords({ active: 3, inactive: 2, entries: 0, templates: 1 })).toBe('3 active, 2 inactive, 1 template');
  expect(heldWords({ ...nothing, entries: 1 })).toBe('1 entry');
});

test('by whom: the first few, and how many more', () => {
  expect(holderWords(holders)).toBe('from 198.51.100.7 (3), 198.51.100.8, 198.51.100.0 (pinned) and 3 more');
  expect(holderWords({ ...holders, clients: [], moreClients: 0 })).toBe('');
});

test('a drain that begins says what is good to know', () => {
  const progress: DrainProgress = { drain, ...times, held: { ...nothing, active: 1 }, over: false, leftMs: 300_000 };
  expect(begunWords(progress)).toEqual([
    `draining 10.0.0.11:80 of ${WEB} for 5m at most, then it is deleted: 1 active`,
  ]);
  const details = { holders, described: true, alsoEnds: [DNS] };
  const pinned = { ...progress, drain: { ...drain, weight: 0 }, held: { ...nothing, templates: 2 }, details };
  expect(begunWords(pinned).slice(1)).toEqual([
    'its weight was 0 already',
    expect.stringContaining('net.ipv4.vs.expire_quiescent_template=1'),
    expect.stringMatching(/net\.ipv4\.vs\.expire_nodest_conn=1 .* in udp:\/\/192\.0\.2\.10:53$/),
    expect.stringContaining('adds it again'),
  ]);
});

test('how one ended', () => {
  const words = (how: 'drained' | 'deadline' | 'gone', more: object = {}) =>
    endWords(drain, { how, held: nothing, ...more });
  expect(words('drained')).toBe(`10.0.0.11:80 of ${WEB}: drained, deleted`);
  expect(words('gone')).toBe(`10.0.0.11:80 of ${WEB} is gone: somebody else took it away`);
  const cut = { held: { ...nothing, entries: 2 }, alsoEnded: [DNS], problem: 'it is refused' };
  expect(words('deadline', cut)).toBe(
    `10.0.0.11:80 of ${WEB}: still 2 entries at the deadline, deleted, with connections without a destination in ${DNS}; it is refused`,
  );
  expect(endWords({ ...drain, afterwards: 'keep' }, { how: 'drained', held: nothing })).toContain('kept with weight 0');
});

test('what a pass did', () => {
  const { service, destination } = drain;
  const of = { service, destination };
  const step = { type: 'ramp', ...of, ramp, weight: 4 } as const;
  const at = `10.0.0.11:80 of ${WEB}`;
  expect(moveWords({ type: 'drain', ...of, drain })).toBe(`${at}: it drains, but had a weight; 0 now`);
  expect(moveWords({ type: 'drain', ...of, drain, ended: { bootMs: 1, how: 'drained', held: nothing } })).toContain(
    'drained',
  );
  expect(moveWords({ type: 'drain', ...of, drain, error: new IpvsError('KERNEL_REFUSED') })).toBeUndefined();
  expect(moveWords(step)).toBe(`${at}: weight 4 of 10`);
  expect(moveWords({ ...step, weight: 10, ended: 'full' })).toBe(`${at}: weight 10, the whole`);
  expect(moveWords({ ...step, ended: 'changed' })).toBe(`${at}: its weight was set to 4, so its ramp ends`);
  expect(moveWords({ ...step, ended: 'gone' })).toBe(`${at} is gone: somebody else took it away`);
});

test('what is left', () => {
  expect(leftWords({ drains: 0, ramps: 0 })).toBe('no drains or ramps in progress');
  expect(leftWords({ drains: 1, ramps: 0 })).toBe('1 drain goes on');
  expect(leftWords({ drains: 2, ramps: 1 })).toBe('2 drains and 1 ramp go on');
});

describe('the table', () => {
  const paint = (_: string, text: string) => text;
  const ended = { bootMs: 1, held: nothing } as const;
  const drains: DrainProgress[] = [
    {
      ...{ drain: { ...drain, heldFirst: 12 }, ...times, kernelWeight: 0, over: false, leftMs: 250_000 },
      ...{ held: { ...nothing, active: 3 }, details: { holders, described: false } },
    },
    { drain, ...times, kernelWeight: 5, held: nothing, over: true, leftMs: 1000 },
    { drain: { ...drain, restoreWeight: 3 }, ...times, kernelWeight: 0, held: nothing, over: true, leftMs: 1000 },
    ...(['drained', 'deadline', 'gone'] as const).flatMap((how): DrainProgress[] => [
      { drain: { ...drain, ended: { ...ended, how } }, ...times, held: nothing, over: true, leftMs: 0 },
      {
        ...{ drain: { ...drain, afterwards: 'keep', ended: { ...ended, how } }, ...times, kernelWeight: 0 },
        ...{ held: nothing, over: true, leftMs: 0 },
      },
    ]),
  ];

  test('of drains and ramps', () => {
    const rows = drainTable(drains, [{ ramp, weight: 4, kernelWeight: 2, leftMs: 30_000 }], {
      clients: false,
      paint,
    }).split('\n');
    expect(rows.map((row) => row.split(/ {2,}/).slice(2).join(' | '))).toEqual([
      'STATE | HELD | LEFT | THEN | WEIGHT | DUE | WHOLE',
      'draining | 3 active (of 12) | 4m10s | delete | 0 | 0 | 3',
      'over | nothing held | 1s | delete | 5 | 0 | 3',
      'cancelled | nothing held | 1s | delete | 0 | 3 | 3',
      'deleted | nothing held | - | delete | - | - | -',
      'drained | nothing held | - | keep | 0 | 0 | 3',
      'cut off | nothing held | - | delete | - | - | -',
      'timed out | nothing held | - | keep | 0 | 0 | 3',
      'gone | nothing held | - | delete | - | - | -',
      'gone | nothing held | - | keep | - | - | -',
      'ramping | - | 30s | - | 2 | 4 | 10',
    ]);
    expect(drainTable([], [], { clients: false, paint })).toBe('no drains or ramps in progress');
  });

  test('with the clients below', () => {
    expect(drainTable(drains.slice(0, 1), [], { clients: true, paint }).split('\n').slice(2)).toEqual([
      '    198.51.100.7  3 connections',
      '    198.51.100.8   1 connection',
      '    198.51.100.0  0 connections  1 template',
      '    2001:db8::7   0 connections  1 template',
      '    and 2 more',
      '    3 ESTABLISHED, 1 TIME_WAIT, the last is forgotten in 14m10s without a packet',
    ]);
  });
});
