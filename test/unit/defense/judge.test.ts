/** How near thresholds are. */
import { expect, test } from 'vitest';
import { approaches } from '../../../src/defense/judge.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import type { Readings } from '../../../src/defense/signal.ts';

const of = (value: number, entries?: number) => ({ value, atMs: 0, ...(entries !== undefined && { of: entries }) });
const readings: Readings = {
  memoryFree: of(0.5),
  memoryAvailable: of(0.2),
  memoryPressure: { missing: 'this kernel has none', forGood: true },
  newConnections: of(100),
  table: of(0.45),
  halfOpen: of(0.9, 1000),
};

const names = (found: readonly { readonly threshold: string; readonly limit: number; readonly crossed: boolean }[]) =>
  found.map(({ threshold, limit, crossed }) => `${threshold} ${limit}${crossed ? ' crossed' : ''}`);

test('the nearest threshold of the next level comes first; what is not known is none', () => {
  const { enter, leave } = approaches(normalizePolicy('balanced'), 0, readings);
  expect(names(enter)).toEqual(['halfOpenAbove 0.5 crossed', 'tableAbove 0.5', 'memoryAvailableBelow 0.1']);
  expect(leave).toEqual([]);
  expect(enter[1]).toEqual({ threshold: 'tableAbove', limit: 0.5, value: 0.45, crossed: false });
});

test('half-open entries among few mean nothing', () => {
  const { enter } = approaches(normalizePolicy('balanced'), 0, { ...readings, halfOpen: of(0.9, 10) });
  expect(names(enter)).toEqual(['tableAbove 0.5', 'memoryAvailableBelow 0.1']);
});

test('a level in force has those over which it is left, and the highest none to enter', () => {
  const policy = normalizePolicy('balanced');
  expect(names(approaches(policy, 1, readings).leave)).toEqual([
    'halfOpenAbove 0.3 crossed',
    'tableAbove 0.4 crossed',
    'memoryAvailableBelow 0.15',
  ]);
  expect(names(approaches(policy, 1, readings).enter)).toEqual(['tableAbove 0.9', 'memoryAvailableBelow 0.03']);
  expect(approaches(policy, 2, readings).enter).toEqual([]);
});

test('a level above calls for the next one too', () => {
  const level = (name: string, enter: number, leave: number) => ({
    actions: ['drop-entry'],
    enter: { [name]: enter },
    leave: { [name]: leave },
  });
  const policy = normalizePolicy({ levels: [level('tableAbove', 0.9, 0.8), level('memoryAvailableBelow', 0.3, 0.4)] });
  expect(names(approaches(policy, 0, readings).enter)).toEqual(['memoryAvailableBelow 0.3 crossed', 'tableAbove 0.9']);
});

test('thresholds of 0 are near, and no number is none', () => {
  const level = { actions: ['drop-entry'], enter: { tableAbove: 0.1 }, leave: { tableAbove: 0 } };
  const { leave } = approaches(normalizePolicy({ levels: [level] }), 1, { ...readings, table: of(0) });
  expect(leave).toEqual([{ threshold: 'tableAbove', limit: 0, value: 0, crossed: false }]);
});
