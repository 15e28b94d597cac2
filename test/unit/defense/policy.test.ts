import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { type LevelInput, normalizePolicy, type PolicySettings } from '../../../src/defense/policy.ts';
import { presetNames, presets } from '../../../src/defense/presets.ts';

const level = (more: Partial<LevelInput> = {}): LevelInput => ({
  actions: ['drop-entry'],
  enter: { tableAbove: 0.5 },
  leave: { tableAbove: 0.4 },
  ...more,
});

function refusal(input: unknown): { path: string; message: string } {
  try {
    normalizePolicy(input as PolicySettings);
  } catch (error) {
    if (error instanceof IpvsError) return { path: error.path.join('.'), message: `${error.message}; ${error.hint}` };
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a policy', () => {
  test('is complete once it is normalized', () => {
    expect(normalizePolicy({ levels: [level({ actions: ['drop-packet', 'drop-entry', 'drop-packet'] })] })).toEqual({
      preset: null,
      tableLimit: null,
      sampleEntries: 2000,
      leastEntries: 500,
      staleSeconds: 5,
      levels: [
        {
          actions: ['drop-entry', 'drop-packet'],
          dropRate: 10,
          enter: { tableAbove: 0.5 },
          leave: { tableAbove: 0.4 },
          minHoldSeconds: 10,
          maxSeconds: 1800,
        },
      ],
    });
  });

  test('stays as it is when it is normalized again', () => {
    for (const name of presetNames) expect(normalizePolicy(normalizePolicy(name))).toEqual(normalizePolicy(name));
  });

  test('overrides a preset key by key', () => {
    const policy = normalizePolicy({ preset: 'balanced', tableLimit: 5000 });
    expect(policy).toEqual({ ...normalizePolicy('balanced'), tableLimit: 5000 });
    expect(normalizePolicy({ preset: 'balanced', levels: [] })).toMatchObject({ preset: 'balanced', levels: [] });
  });
});

describe('presets', () => {
  test.each(presetNames)('%s says of itself what it is', (name) => {
    const { preset, levels } = normalizePolicy(name);
    expect(preset).toBe(name);
    expect(levels).toHaveLength(presets[name].levels.length);
  });

  test('"off" has no level, the others go up: each level does what the one below does, and no less often', () => {
    expect(normalizePolicy('off').levels).toEqual([]);
    for (const name of presetNames) {
      const { levels } = normalizePolicy(name);
      for (const [i, { actions, dropRate }] of levels.entries()) {
        const below = levels[i - 1];
        expect(actions).toEqual(expect.arrayContaining([...(below?.actions ?? [])]));
        expect(dropRate ?? Infinity).toBeLessThanOrEqual(below?.dropRate ?? Infinity);
        if (below) expect(below.maxSeconds).toBeGreaterThanOrEqual(levels[i]?.maxSeconds ?? 0);
      }
    }
  });
});

describe('is refused', () => {
  test.each<[string, unknown, string, string]>([
    ['an unknown preset', 'gentle', '', '"gentle" is no preset; presets are off, memory, balanced, strict'],
    ['an unknown preset with more', { preset: 'gentle' }, 'preset', '"gentle" is no preset'],
    ['a policy of nothing', {}, '', 'a policy has a preset, or levels'],
    ['no object', 7, '', 'a defense policy is an object'],
    ['an unknown key', { preset: 'off', limit: 1 }, 'limit', 'a defense policy has no "limit"'],
    ['levels that are no list', { levels: {} }, 'levels', '{} is not a list of up to 8 levels'],
    ['too many levels', { levels: Array(9).fill(level()) }, 'levels', 'is not a list of up to 8 levels'],
    ['no connections at all', { preset: 'off', tableLimit: 0 }, 'tableLimit', 'a whole number from 1 to 1073741824'],
    ['too few to judge', { preset: 'off', sampleEntries: 100 }, 'leastEntries', 'only 100 entries are looked at'],
    ['signals that never age', { preset: 'off', staleSeconds: 0 }, 'staleSeconds', 'a whole number from 2 to 600'],
  ])('%s', (_, input, path, message) => {
    expect(refusal(input)).toEqual({ path, message: expect.stringContaining(message) });
  });

  test.each<[string, object, string, string]>([
    ['no action', { actions: [] }, 'actions', '[] is not a list of actions'],
    ['an unknown action', { actions: ['drop-all'] }, 'actions', '"drop-all" is none of drop-entry, drop-packet'],
    ['a rate without dropping', { dropRate: 10 }, 'dropRate', 'it is the rate of drop-packet'],
    ['dropping everything', { actions: ['drop-packet'], dropRate: 1 }, 'dropRate', 'a whole number from 2'],
    ['dropping nothing', { actions: ['drop-packet'], dropRate: 0 }, 'dropRate', 'a whole number from 2'],
    ['dropping less than nothing', { actions: ['drop-packet'], dropRate: -4 }, 'dropRate', 'a whole number from 2'],
    ['no threshold', { enter: {} }, 'enter', 'none of the thresholds is said'],
    ['an unknown threshold', { enter: { tableBelow: 1 } }, 'enter.tableBelow', 'has no "tableBelow"'],
    ['a share over 1', { enter: { tableAbove: 50 } }, 'enter.tableAbove', '50; a share from 0 to 1'],
    ['a share that is none', { enter: { tableAbove: '50%' } }, 'enter.tableAbove', 'a share from 0 to 1'],
    ['a level that is never left', { leave: { halfOpenAbove: 0.1 } }, 'leave.tableAbove', 'when it is left'],
    [
      'a threshold to leave only',
      { leave: { tableAbove: 0.4, halfOpenAbove: 0.1 } },
      'leave.halfOpenAbove',
      'it is not entered by this signal',
    ],
    ['no hysteresis', { leave: { tableAbove: 0.5 } }, 'leave.tableAbove', '50 % is not below the 50 % at which'],
    [
      'hysteresis the wrong way round',
      { enter: { memoryFreeBelow: 0.2 }, leave: { memoryFreeBelow: 0.1 } },
      'leave.memoryFreeBelow',
      '10 % is not above the 20 % at which',
    ],
    ['no hold', { minHoldSeconds: 0 }, 'minHoldSeconds', 'a whole number from 1'],
    ['half a second', { minHoldSeconds: 1.5 }, 'minHoldSeconds', 'a whole number from 1'],
    ['a hold over the maximum', { minHoldSeconds: 60, maxSeconds: 30 }, 'maxSeconds', 'it is held for 60 seconds'],
    ['an unknown key', { hold: 5 }, 'hold', 'a level of a defense policy has no "hold"'],
  ])('a level with %s', (_, more, path, message) => {
    expect(refusal({ levels: [level(), { ...level(), ...more }] })).toEqual({
      path: `levels.1.${path}`,
      message: expect.stringContaining(message),
    });
  });
});
