/** The kernel's own second, repeated (ip_vs_ctl.c, update_defense_level). test/kernel/defense.test.ts holds it against kernels. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, actions } from '../../../src/defense/action.ts';
import { type KernelInputs, kernelStep } from '../../../src/defense/kernel-step.ts';

const all = (mode: number) => ({ 'drop-entry': mode, 'drop-packet': mode, 'secure-tcp': mode });
const inputs = (more: Partial<KernelInputs> = {}): KernelInputs => ({
  freePages: 900,
  bufferPages: 100,
  thresholdPages: 1024,
  dropRate: 10,
  modes: all(1),
  ...more,
});
const outcome = (more: Partial<KernelInputs>, action: Action = 'drop-entry') =>
  kernelStep(inputs(more)).actions[action];

describe('a mode', () => {
  test.each([
    [0, 1024, { acts: false, becomes: 0 }],
    [0, 1000, { acts: false, becomes: 0 }],
    [1, 1024, { acts: true, becomes: 2 }],
    [1, 1000, { acts: false, becomes: 1 }],
    [2, 1024, { acts: true, becomes: 2 }],
    [2, 1000, { acts: false, becomes: 1 }],
    [3, 1024, { acts: true, becomes: 3 }],
    [3, 1000, { acts: true, becomes: 3 }],
  ])('%i with amemthresh %i and 1000 pages available', (mode, thresholdPages, expected) => {
    for (const action of actions) expect(outcome({ modes: all(mode), thresholdPages }, action)).toEqual(expected);
  });

  test('never engages by a threshold below 0, not even without memory', () => {
    const step = kernelStep(inputs({ freePages: 0, bufferPages: 0, thresholdPages: -5 }));
    expect(step).toMatchObject({ thresholdPages: 0, short: false, dropRate: 0 });
  });
});

describe('the drop rate', () => {
  test.each([
    // The shorter memory is, the more is dropped: down to every packet.
    [1, 999, 1000, 1000],
    [1, 500, 1000, 2],
    [1, 334, 1000, 1],
    [1, 0, 1000, 1],
    [2, 900, 1000, 10],
    [1, 1000, 1000, 0],
    [0, 0, 1000, 0],
    [3, 5000, 1000, 10],
    [3, 0, 1000, 10],
  ])('in mode %i with %i of %i pages is %i', (mode, freePages, thresholdPages, expected) => {
    expect(kernelStep(inputs({ modes: all(mode), freePages, bufferPages: 0, thresholdPages })).dropRate).toBe(expected);
  });

  test('is at least 1 whenever an automatic mode acts, and a whole number', () => {
    const pages = fc.nat(2 ** 31 - 1);
    fc.assert(
      fc.property(pages, pages, fc.integer({ min: 1, max: 2 }), (freePages, thresholdPages, mode) => {
        const step = kernelStep(inputs({ freePages, bufferPages: 0, thresholdPages, modes: all(mode) }));
        expect(step.short).toBe(freePages < thresholdPages);
        expect(Number.isInteger(step.dropRate)).toBe(true);
        expect(step.dropRate >= 1).toBe(step.short);
      }),
    );
  });
});

describe('in words', () => {
  test('memory that is there', () => {
    const words = kernelStep(
      inputs({ freePages: 12_345, bufferPages: 678, modes: { 'drop-entry': 1, 'drop-packet': 3, 'secure-tcp': 0 } }),
    ).words;
    expect(words).toEqual([
      'MemFree 12,345 + Buffers 678 = 13,023 pages available',
      'amemthresh 1,024: not below, so automatic modes stay idle',
      'drop_entry 1 stays: automatic, idle',
      'drop_packet 3 stays: 1 in 10 new connections is dropped (am_droprate is 10)',
      'secure_tcp 0 stays: off',
    ]);
  });

  test('memory that is short', () => {
    expect(kernelStep(inputs({ freePages: 412 })).words.slice(1)).toEqual([
      'amemthresh 1,024: 512 is below 1,024, so automatic modes engage',
      'drop_entry 1 becomes 2: half-open and idle entries of a 32nd of the table, at a random place, are thrown out',
      'drop_packet 1 becomes 2: 1 in 2 new connections is dropped (amemthresh / (amemthresh - available) is 2)',
      'secure_tcp 1 becomes 2: TCP is followed by the stricter table of states',
    ]);
  });

  test.each([
    [0, 'nothing is dropped (am_droprate is 0)'],
    [1, 'every new connection is dropped (am_droprate is 1)'],
    [-3, 'every new connection is dropped (am_droprate is -3)'],
  ])('am_droprate %i', (dropRate, expected) => {
    expect(kernelStep(inputs({ dropRate, modes: all(3) })).words[3]).toBe(`drop_packet 3 stays: ${expected}`);
  });

  test('an automatic mode whose memory came back', () => {
    expect(kernelStep(inputs({ freePages: 5000, modes: all(2) })).words[2]).toBe(
      'drop_entry 2 becomes 1: automatic, idle',
    );
  });
});
