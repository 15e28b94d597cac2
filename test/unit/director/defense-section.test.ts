/** The section `defense` of a file. */
import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/base/errors.ts';
import { checkDocument } from '../../../src/config/document.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { Findings } from '../../../src/state/places.ts';
import { defenseSection, resolveDefense } from '../../../src/state/sections/defense.ts';

function read(...texts: readonly string[]) {
  const documents = texts.map((text, i) => checkDocument(text, `${i + 1}.yaml`, { defense: defenseSection }));
  const findings = new Findings();
  const policy = resolveDefense(documents, findings);
  const problems = [...documents.flatMap(({ problems }) => problems), ...findings.problems].map(formatProblem);
  return { policy, problems };
}

test('is a preset', () => {
  expect(read('defense: strict')).toEqual({ policy: normalizePolicy('strict'), problems: [] });
});

test('is a preset with other numbers', () => {
  const { policy, problems } = read('defense: { preset: balanced, tableLimit: 100000, stale: 10s }');
  expect(problems).toEqual([]);
  expect(policy).toEqual({ ...normalizePolicy('balanced'), tableLimit: 100_000, staleSeconds: 10 });
});

test('is a policy of its own', () => {
  const { policy, problems } = read(`
defense:
  levels:
    - actions: [drop-entry, drop-packet]
      dropRate: 4
      enter: { memoryAvailableBelow: 10%, newConnectionsPerSecondAbove: 5000, halfOpenAbove: 62.5% }
      leave: { memoryAvailableBelow: 15%, newConnectionsPerSecondAbove: 2000, halfOpenAbove: 30% }
      minHold: 30s
      max: 1h
`);
  expect(problems).toEqual([]);
  expect(policy?.levels).toEqual([
    {
      actions: ['drop-entry', 'drop-packet'],
      dropRate: 4,
      enter: { memoryAvailableBelow: 0.1, newConnectionsPerSecondAbove: 5000, halfOpenAbove: 0.625 },
      leave: { memoryAvailableBelow: 0.15, newConnectionsPerSecondAbove: 2000, halfOpenAbove: 0.3 },
      minHoldSeconds: 30,
      maxSeconds: 3600,
    },
  ]);
});

test.each(['', 'defense:', 'defense: null'])('"%s" says nothing', (text) => {
  expect(read(text)).toEqual({ policy: undefined, problems: [] });
});

const own = (level: string) => `defense:\n  levels:\n    - { ${level} }`;

describe('what is wrong is told where it stands', () => {
  test.each([
    ['defense: gentle', '1.yaml:1:10: defense: one of off, memory, balanced, strict, or a map with "levels"'],
    ['defense: []', '1.yaml:1:10: defense: one of off, memory, balanced, strict, or a map with "levels"'],
    ['defense: { preset: gentle }', '1.yaml:1:20: defense.preset: one of off, memory, balanced, strict'],
    [
      'defense: { presett: off, preset: off }',
      '1.yaml:1:12: defense.presett: there is no such key; did you mean "preset"?',
    ],
    ['defense: {}', '1.yaml:1:10: defense: invalid defense policy: a policy has a preset, or levels'],
    [
      own('actions: [drop-entry], enter: { tableAbove: 50% }, leave: { tableAbove: 50% }'),
      '1.yaml:3:81: defense.levels[0].leave.tableAbove: invalid defense policy: 50 % is not below the 50 %',
    ],
    [
      own('actions: [drop-entry], enter: { tableAbove: 0.5 }, leave: { tableAbove: 40% }'),
      '1.yaml:3:53: defense.levels[0].enter.tableAbove: a share is written 20%',
    ],
    [
      own('actions: [drop-packet], dropRate: 1, enter: { tableAbove: 50% }, leave: { tableAbove: 40% }'),
      '1.yaml:3:43: defense.levels[0].dropRate: invalid defense policy: 1; a whole number from 2 to',
    ],
    [
      own('actions: [drop-entry], enter: { tableAbove: 50% }, leave: { tableAbove: 40% }, minHold: 5m, max: 60s'),
      '1.yaml:3:106: defense.levels[0].max: invalid defense policy: it is held for 300 seconds at least',
    ],
  ])('%s', (text, problem) => {
    expect(read(text).problems).toEqual([expect.stringContaining(problem)]);
  });

  test('in two files', () => {
    expect(read('defense: off', 'defense: strict').problems).toEqual([
      '2.yaml:1:10: defense: it is said twice, first at 1.yaml:1:10',
    ]);
  });
});
