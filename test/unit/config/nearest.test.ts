import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distanceOf, nearest } from '../../../src/base/nearest.ts';

const keys = ['name', 'address', 'scheduler', 'schedulerFlags', 'weight', 'upperThreshold', 'lowerThreshold', 'id'];

test.each([
  ['schedular', 'scheduler'],
  ['shceduler', 'scheduler'],
  ['wieght', 'weight'],
  ['adress', 'address'],
  ['addresses', 'address'],
  ['nam', 'name'],
  ['Scheduler', 'scheduler'],
  ['upper_threshold', 'upperThreshold'],
  ['lower-treshold', 'lowerThreshold'],
  ['scheduler_flag', 'schedulerFlags'],
])('"%s" is probably %s', (word, meant) => {
  expect(nearest(word, keys)).toBe(meant);
});

test.each(['', 'x', 'ip', 'protocol', 'reschedule-everything', 'x'.repeat(1_000_000)])('%.30j is near none', (word) => {
  expect(nearest(word, keys)).toBeUndefined();
});

describe('the distance', () => {
  test.each([
    ['', '', 0],
    ['ab', 'ab', 0],
    ['ab', '', 2],
    ['ab', 'ba', 1],
    ['kitten', 'sitting', 3],
    ['wieght', 'weight', 1],
  ])('of %j and %j is %d', (a, b, distance) => {
    expect(distanceOf(a, b)).toBe(distance);
  });

  test('is the same both ways, 0 for the same alone, and no more than the longer word', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = distanceOf(a, b);
        expect(distance).toBe(distanceOf(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
