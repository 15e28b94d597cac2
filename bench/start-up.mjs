// What it costs to start the command: the wall time of `ipvs --help` against `node -e 0`, in turn, in the same run.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sectionOf } from './report.mjs';

/** Starts are short and differ much: so many for each run of the other benches. */
const STARTS_PER_RUN = 6;

const program = fileURLToPath(new URL('../dist/cli/ipvs.js', import.meta.url));
const cases = { 'node -e 0': ['-e', '0'], 'ipvs --help': [program, '--help'] };

/** @param {string[]} args */
function timeMs(args) {
  const started = process.hrtime.bigint();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`${args.join(' ')} exited with ${status}`);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

/** @type {import('./main.mjs').Bench} */
export async function* startUp({ runs }) {
  /** @type {import('./report.mjs').Times} */
  const times = new Map(Object.keys(cases).map((name) => [name, []]));
  for (const args of Object.values(cases)) timeMs(args); // warms the page cache
  for (let i = 0; i < runs * STARTS_PER_RUN; i++) {
    for (const [name, args] of Object.entries(cases)) times.get(name)?.push(timeMs(args));
  }
  yield sectionOf('start of the command', times, { comparisons: [['ipvs --help', 'node -e 0', {}]] });
}
