// What it costs to start the command: the wall time of `ipvs --help` against `node -e 0`, in turn, in
// the same run. Prints the medians, the minima and their ratios: npm run build && node bench/start-up.mjs [ROUNDS]
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const rounds = Number(process.argv[2] ?? 31);
const program = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'cli', 'ipvs.js');
const cases = { 'node -e 0': ['-e', '0'], 'ipvs --help': [program, '--help'] };

/** @param {string[]} args */
function timeMs(args) {
  const started = process.hrtime.bigint();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`${args.join(' ')} exited with ${status}`);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

/** @type {Record<string, number[]>} */
const times = { 'node -e 0': [], 'ipvs --help': [] };
for (const args of Object.values(cases)) timeMs(args); // warms the page cache
for (let i = 0; i < rounds; i++) for (const [name, args] of Object.entries(cases)) times[name]?.push(timeMs(args));

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
/** @param {number[]} values */
const least = (values) => Math.min(...values);

console.log(`Node ${process.version}, ${cpus()[0]?.model}, ${rounds} rounds`);
for (const [name, values] of Object.entries(times)) {
  console.log(`${name.padEnd(12)} median ${median(values).toFixed(0)} ms, minimum ${least(values).toFixed(0)} ms`);
}
const [bare = [], help = []] = Object.values(times);
const ratios = help.map((time, i) => time / (bare[i] ?? time));
console.log(`ratio: median of pairs ${median(ratios).toFixed(2)}, of minima ${(least(help) / least(bare)).toFixed(2)}`);
