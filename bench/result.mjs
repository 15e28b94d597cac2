// What was measured in a bed, together with what is known of the machine around it: shown, and kept where that is wanted.
//
//   node bench/result.mjs --load-before AVERAGE [--bed NAME] [--measured FILE] [--json FILE] [--keep]
//
//   --load-before   the machine's load average when the measuring began
//   --json FILE     writes the result there; "-" is the standard output
//   --keep          writes it into bench/results/NAME.json, that of a flood into bench/results/flood/NAME.json; "npm run
//                   docs" makes docs/performance.md and docs/flood.md of what is there
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { aboutOf } from './report.mjs';

/** @typedef {import('./report.mjs').Result} Result */

const { values: options } = parseArgs({
  options: {
    bed: { type: 'string' },
    'load-before': { type: 'string' },
    measured: { type: 'string', default: '.cache/bench/measured.json' },
    json: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const before = Number(options['load-before']);
if (!(before >= 0)) throw new Error(`--load-before ${options['load-before']} is no load average`);

/** @type {import('./main.mjs').Measured} */
const { inside, runs, sections } = JSON.parse(readFileSync(options.measured, 'utf8'));
// The bed that scripts/bed chose where none was named.
const bed = options.bed ?? inside.bed ?? inside.kind;
if (!/^[a-z][a-z0-9-]*$/.test(bed)) throw new Error(`"${bed}" is no name of a bed`);
const after = loadavg()[0] ?? Number.NaN;
const git = (/** @type {string[]} */ ...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();

/** @type {Result} */
const result = {
  bed,
  machine: {
    date: new Date().toISOString().slice(0, 'yyyy-mm-ddThh:mm'.length),
    // Results of other beds that are not committed yet change nothing of what was measured.
    commit:
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', ':!bench/results', ':!docs') && '+'),
    cpu: cpus()[0]?.model.trim() ?? '?',
    cpus: cpus().length,
    load: { before: round(before), after: round(after) },
    // Its own part is as many processors as it has.
    quiet: before < 0.5 && after < inside.cpus + 0.5,
    inside,
  },
  runs,
  sections,
};

/** @param {number} load */
function round(load) {
  return Math.round(load * 100) / 100;
}

const text = `${JSON.stringify(result, null, 2)}\n`;
if (options.json !== '-') for (const [name, value] of aboutOf(result)) console.log(`${name.padEnd(8)} ${value}`);
if (options.json === '-') process.stdout.write(text);
else if (options.json !== undefined) writeFileSync(options.json, text);
if (options.keep) {
  const folder = sections.some(({ flood }) => flood) ? 'bench/results/flood' : 'bench/results';
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${bed}.json`, text);
}
