import { expect, test } from 'vitest';
import { type Sightings, sighted } from '../../../src/record/sightings.ts';

const NOTHING: Sightings = { version: 1, table: 'a', applied: {} };
const look = (before: Sightings, keys: readonly string[], now: string, path?: string, table = 'a') =>
  sighted(before, { table, path, keys, now });

test('what is seen again keeps its time; what is gone is forgotten', () => {
  const first = look(NOTHING, ['x', 'y'], '1');
  expect(first.seen).toEqual({ x: '1', y: '1' });
  const second = look(first.next, ['y', 'z'], '2');
  expect(second.seen).toEqual({ y: '1', z: '2' });
  expect(look(second.next, ['x'], '3').seen).toEqual({ x: '3' });
});

test('of another table nothing was seen', () => {
  const { next } = look(NOTHING, ['x'], '1');
  expect(look(next, ['x'], '2', undefined, 'b')).toEqual({
    seen: { x: '2' },
    next: { version: 1, table: 'b', applied: { x: '2' } },
  });
});

test('what differs from a file has times of its own, for one file', () => {
  const applied = look(NOTHING, ['x'], '1').next;
  const file = look(applied, ['x', 'y'], '2', 'web.yaml');
  expect(file.seen).toEqual({ x: '2', y: '2' });
  expect(look(file.next, ['x'], '3').seen).toEqual({ x: '1' });
  expect(look(file.next, ['y'], '3', 'web.yaml').seen).toEqual({ y: '2' });
  const other = look(file.next, ['y'], '3', 'dns.yaml');
  expect(other.seen).toEqual({ y: '3' });
  expect(look(other.next, ['y'], '4', 'web.yaml').seen).toEqual({ y: '4' });
});

test('however much is seen, not more than ten thousand are remembered', () => {
  const keys = Array.from({ length: 10_002 }, (_, i) => `key ${i}`);
  const { seen, next } = look(NOTHING, keys, '1');
  expect(Object.keys(seen)).toHaveLength(10_002);
  expect(Object.keys(next.applied)).toHaveLength(10_000);
});
