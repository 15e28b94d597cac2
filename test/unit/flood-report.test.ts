/** What is told of a flood: of requests that began during it, with the unanswered among them, as medians over runs. */
import { expect, test } from 'vitest';
import { type FloodRun, floodTable, rowOf } from '../../bench/flood-report.mjs';

const times = { fromMs: 1000, toMs: 3000, endMs: 4000, timeoutMs: 3000 };

function runOf(entries: readonly number[], latencies: readonly (number | null)[]): FloodRun {
  return {
    flood: { sent: 1000, leftOut: 10 },
    admitted: 900,
    oomKills: 0,
    samples: entries.map((count, second) => ({
      atMs: second * 1000 + 5,
      entries: count,
      freeMb: 100 - count,
      slabMb: 10 + count,
      modes: '010',
    })),
    experience: {
      // Before and after the flood it is as slow as can be: that must not count.
      service: [[500, 2999], ...latencies.map((ms, i) => [1000 + i * 100, ms] as const), [3500, null]],
      control: [[1500, 7]],
      errors: {},
    },
  };
}

test('one run', () => {
  const row = rowOf('a case', [runOf([0, 20, 40, 30], [10, 20, 30, null])], times);
  expect(row).toEqual({
    name: 'a case',
    runs: 1,
    sent: 1000,
    leftOut: 10,
    admitted: 900,
    mostEntries: 40,
    leastFreeMb: 60,
    slabMb: 40,
    oomKills: 0,
    answered: 75,
    medianMs: 20,
    worstTwentiethMs: 3000,
    controlWorstTwentiethMs: 7,
    // The third: no request began in it.
    stoodStill: 1,
    series: {
      entries: '0 20 40 30',
      freeMb: '100 80 60 70',
      slowestMs: '2999 3000 ? 3000',
      modes: '010 010 010 010',
    },
  });
  expect(floodTable('a flood', [row])[1]).toEqual([
    'a case',
    '90 %',
    '40',
    '+40',
    '60',
    '75.0 %',
    '20',
    '3000',
    '7',
    '1',
  ]);
});

test('several runs are told by their medians', () => {
  const runs = [[10], [1000], [20]].map((latencies) => runOf([0, 20, latencies[0] ?? 0, 30], latencies));
  expect(rowOf('a case', runs, times)).toMatchObject({ runs: 3, medianMs: 20, mostEntries: 30 });
});

test('a second in which nothing could be sampled is as the one before', () => {
  const run = runOf([0, 20, 40, 30], [10]);
  const samples = run.samples.filter((_, second) => second !== 2);
  expect(rowOf('a case', [{ ...run, samples }], times).series.entries).toBe('0 20 20 30');
});

test('a case in which nothing was answered has no median', () => {
  const row = rowOf('a case', [runOf([0, 1, 1, 1], [null, null])], times);
  expect(row).toMatchObject({ answered: 0, worstTwentiethMs: 3000 });
  expect(floodTable('a flood', [row])[1]?.[6]).toBe('–');
});
