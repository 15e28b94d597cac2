/** docs/performance.md and docs/flood.md say what was measured, and what was measured is judged by its own figures. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { gateOf, sectionOf, tablesOf } from '../../bench/report.mjs';
import { keptResults, resultsInMarkdown } from '../../scripts/lib/performance-page.mjs';
import { withTable } from '../../src/cli/manual/markdown.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const results = keptResults(root);

it.each([
  ['docs/performance.md', ''],
  ['docs/flood.md', 'flood'],
])('%s is as "npm run docs" writes it', (path, kind) => {
  const page = readFileSync(`${root}/${path}`, 'utf8');
  expect(page).toBe(withTable(page, 'results', resultsInMarkdown(keptResults(root, kind))));
});

it.each(results.flatMap(({ bed, sections }) => sections.map((section) => [bed, section.title, section] as const)))(
  '%s: the ratios of "%s" are those of its rows',
  (_bed, _title, { rows, gates }) => {
    for (const { name, ofMedians: _m, ofMinima: _n, met: _o, ...bounds } of gates) {
      const [dividend = '', divisor = ''] = name.split(' / ');
      expect(gates).toContainEqual(gateOf(rows, [dividend, divisor, bounds]));
    }
  },
);

describe('a section', () => {
  const times = new Map([
    ['old', [30, 10, 20]],
    ['new', [4, 2]],
  ]);

  it('has medians and minima, and what is made of them', () => {
    const section = sectionOf('adding', times, {
      objects: 100,
      comparisons: [['old', 'new', { atLeast: 5, goal: 8 }]],
    });
    expect(section).toEqual({
      title: 'adding',
      objects: 100,
      rows: [
        { name: 'old', runs: 3, medianMs: 20, minMs: 10 },
        { name: 'new', runs: 2, medianMs: 3, minMs: 2 },
      ],
      gates: [{ name: 'old / new', ofMedians: 6.667, ofMinima: 5, atLeast: 5, goal: 8, met: 'gate' }],
    });
    expect(tablesOf(section)).toEqual({
      rows: [
        ['adding', 'median ms', 'min ms', 'µs/object', 'runs'],
        ['old', '20.0', '10.0', '200', '3'],
        ['new', '3.00', '2.00', '30.0', '2'],
      ],
      gates: [
        ['ratio', 'of medians', 'of minima', 'gate', 'goal', ''],
        ['old / new', '6.67', '5.00', '≥ 5', '≥ 8', 'met'],
      ],
    });
  });

  it.each([
    [{ atMost: 5, goal: 2 }, 'no'],
    [{ atMost: 7, goal: 2 }, 'gate'],
    [{ atMost: 9, goal: 7 }, 'goal'],
    [{ atLeast: 7 }, 'no'],
    [{ atLeast: 5 }, 'gate'],
    [{}, null],
  ])('judges 6.667 by %j: %s', (bounds, met) => {
    const { gates } = sectionOf('adding', times, { comparisons: [['old', 'new', bounds]] });
    expect(gates[0]?.met).toBe(met);
  });

  it('compares nothing that was not measured', () => {
    expect(() => sectionOf('adding', times, { comparisons: [['old', 'newer', {}]] })).toThrow('no row "newer"');
  });
});
