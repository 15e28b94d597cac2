// docs/flood-BED.svg of every kept result of a flood, by gnuplot.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { keptResults } from '../scripts/lib/performance-page.mjs';

const data = '.cache/bench/flood.dat';
mkdirSync('.cache/bench', { recursive: true });
for (const { bed, sections } of keptResults('.', 'flood'))
  for (const { flood } of sections) if (flood) plot(bed, flood);

/** @param {string} bed @param {import('./flood-report.mjs').Flood} flood */
function plot(bed, { times, cases }) {
  writeFileSync(data, `${cases.map(blockOf).join('\n\n\n')}\n`);
  const definitions = [
    `data = '${data}'`,
    `picture = 'docs/flood-${bed}.svg'`,
    `cases = ${cases.length}`,
    `array names[cases] = [${cases.map(({ name }) => `'${name.replaceAll("'", "''")}'`).join(', ')}]`,
    `from = ${times.fromMs / 1000}`,
    `to = ${times.toMs / 1000}`,
    `end = ${times.endMs / 1000}`,
  ];
  execFileSync('gnuplot', ['-e', definitions.join('; '), 'bench/flood.gnuplot'], { stdio: 'inherit' });
}

/** @param {import('./flood-report.mjs').FloodRow} row */
function blockOf({ series: { entries, freeMb, slowestMs } }) {
  const [first = [], ...others] = [entries, freeMb, slowestMs].map((column) => column.split(' '));
  return first.map((cell, second) => [second, cell, ...others.map((column) => column[second])].join(' ')).join('\n');
}
