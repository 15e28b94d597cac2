// The library against its peers on a real kernel: programming, dumping, one edit. Needs root and ip_vs;
// scripts/bench builds what it needs and runs it in a bed.
//
// Cases run in turn (A B C A B C ...), every programming in a fresh network namespace, and nothing begins before
// the processors are idle. "cold" is the first call in a fresh process, "warm" that of one which has
// done the same before; neither includes the start of the process, nor does limit.c. ipvsadm and ipvs are
// whole processes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inFreshNamespace, limit, settle, wholeProcess } from './namespaces.mjs';
import { gatesTable, judged, tableOf } from './report.mjs';
import { destinationOf, rulesOf, serviceOf } from './table.mjs';
import { cold, libraryWorker } from './workers.mjs';

/** @typedef {import('./report.mjs').Rows} Rows */
/** @typedef {import('./table.mjs').Size} Size */
/**
 * Each returns milliseconds.
 * @typedef {Record<string, (netns: string) => Promise<number>>} Cases
 */

const ipvsProgram = fileURLToPath(new URL('../dist/cli/ipvs.js', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-'));
const EDITS = 500;

const { values: options } = parseArgs({
  options: {
    services: { type: 'string', multiple: true, default: ['1000', '10000'] },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const runs = wholeNumber(options.runs, 1000);
const sizes = options.services.map((services) => ({ services: wholeNumber(services, 50_000), destinations: 2 }));

/**
 * @param {string} text
 * @param {number} most
 */
function wholeNumber(text, most) {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= most) return Number(text);
  throw new Error(`"${text}" is no number from 1 to ${most}`);
}

/** @param {Size} size */
const numbersOf = ({ services, destinations }) => [String(services), String(destinations)];
/** @param {Size} size */
const warmUps = ({ services }) => Math.max(6, Math.ceil(60_000 / services));

/** @param {Size} size */
async function program(size) {
  const rules = join(scratch, `rules-${size.services}`);
  writeFileSync(rules, rulesOf(size));
  const warm = libraryWorker();
  try {
    for (let i = 0; i < warmUps(size); i++) {
      await inFreshNamespace((netns) => warm.do({ name: 'program', netns, size }));
    }
    /** @type {Cases} */
    const cases = {
      'ipvsadm -R': (netns) => wholeProcess(netns, ['ipvsadm', '-R'], rules),
      'limit.c': (netns) => limit(netns, 'program', ...numbersOf(size)),
      'execute(), warm': (netns) => warm.do({ name: 'program', netns, size }),
      'execute(), cold': (netns) => cold({ name: 'program', netns, size }),
    };
    return await inTurn(cases, (run) =>
      inFreshNamespace(async (netns) => {
        const ms = await run(netns);
        await limit(netns, 'expect', ...numbersOf(size));
        return ms;
      }),
    );
  } finally {
    await warm.close();
  }
}

/**
 * Everything that only reads, and edits, which leave the table as large as it is.
 * @param {Size} size
 */
async function readAndEdit(size) {
  const [service, destination] = [serviceOf(0).address.slice('tcp://'.length), destinationOf(0).address];
  const edit = ['ipvsadm', '-e', '-t', service, '-r', destination, '-m', '-w', '5'];
  const node = process.execPath;
  const warm = libraryWorker();
  try {
    return await inFreshNamespace(async (netns) => {
      await limit(netns, 'program', ...numbersOf(size));
      const dumps = /** @type {const} */ (['snapshot', 'statistics', 'netlink', 'sockopt']);
      for (let i = 0; i < warmUps(size); i++) {
        for (const name of dumps) await warm.do({ name, netns, size });
        await warm.do({ name: 'edit', netns, size, edits: EDITS });
      }
      const dumped = await inTurn(
        {
          'ipvsadm -Ln': () => wholeProcess(netns, ['ipvsadm', '-Ln']),
          'ipvsadm -Ln --stats': () => wholeProcess(netns, ['ipvsadm', '-Ln', '--stats']),
          'ipvs list': () => wholeProcess(netns, [node, ipvsProgram, 'list']),
          'limit.c, netlink': () => limit(netns, 'dump', 'netlink'),
          'limit.c, sockopt': () => limit(netns, 'dump', 'sockopt'),
          'snapshot(), warm': () => warm.do({ name: 'snapshot', netns, size }),
          'snapshot(), cold': () => cold({ name: 'snapshot', netns, size }),
          'snapshot({ statistics }), warm': () => warm.do({ name: 'statistics', netns, size }),
          'snapshot({ statistics }), cold': () => cold({ name: 'statistics', netns, size }),
          'snapshot() by netlink alone, warm': () => warm.do({ name: 'netlink', netns, size }),
          'snapshot() by sockopt alone, warm': () => warm.do({ name: 'sockopt', netns, size }),
        },
        settled,
      );
      const edited = await inTurn(
        {
          'ipvsadm -e': () => wholeProcess(netns, edit),
          'limit.c': async () => (await limit(netns, 'edit', String(EDITS))) / EDITS,
          'execute(), warm': async () => (await warm.do({ name: 'edit', netns, size, edits: EDITS })) / EDITS,
        },
        settled,
      );
      return { dumped, edited };
    });
  } finally {
    await warm.close();
  }
}

/** @param {(netns: string) => Promise<number>} run */
async function settled(run, netns = '') {
  await settle();
  return run(netns);
}

/**
 * @param {Cases} cases
 * @param {(run: (netns: string) => Promise<number>) => Promise<number>} around
 */
async function inTurn(cases, around) {
  /** @type {Rows} */
  const rows = new Map(Object.keys(cases).map((name) => [name, []]));
  for (let i = 0; i < runs; i++) {
    for (const [name, run] of Object.entries(cases)) rows.get(name)?.push(await around(run));
  }
  return rows;
}

/**
 * @param {Size} size
 * @param {Rows} programmed
 * @param {Rows} dumped
 */
function gatesOf({ services }, programmed, dumped) {
  const gates = [
    judged(programmed, 'ipvsadm -R', 'execute(), warm', { atLeast: 10, goal: 15 }),
    judged(programmed, 'execute(), warm', 'limit.c', { atMost: 3, goal: 2 }),
    judged(dumped, 'ipvsadm -Ln', 'snapshot(), warm', { atLeast: 5 }),
    judged(dumped, 'ipvsadm -Ln', 'snapshot() by netlink alone, warm', { atLeast: 3 }),
    judged(dumped, 'ipvsadm -Ln --stats', 'snapshot({ statistics }), warm', { atLeast: 3 }),
  ];
  if (services >= 10_000) gates.push(judged(dumped, 'ipvs list', 'ipvsadm -Ln', { atMost: 1 }));
  return gates;
}

await inFreshNamespace((netns) => limit(netns, 'expect', '0', '0')); // makes the kernel load ip_vs
const machine = {
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  kernel: release(),
  node: process.version,
  ipvsadm: execFileSync('ipvsadm', ['--version'], { encoding: 'utf8' }).trim(),
};
console.log(
  Object.entries(machine)
    .map(([name, value]) => `${name.padEnd(8)} ${value}`)
    .join('\n'),
);

const results = [];
for (const size of sizes) {
  const title = `${size.services} services x ${size.destinations}`;
  const objects = size.services * (1 + size.destinations);
  const programmed = await program(size);
  console.log(`\n${tableOf(`program ${title}`, programmed, objects)}`);
  const { dumped, edited } = await readAndEdit(size);
  console.log(`\n${tableOf(`dump ${title}`, dumped, objects)}`);
  console.log(`\n${tableOf(`one edit in ${title}`, edited, 1)}`);
  const gates = gatesOf(size, programmed, dumped);
  console.log(`\n${gatesTable(gates)}`);
  const rows = (/** @type {Rows} */ of) => Object.fromEntries(of);
  results.push({ ...size, programMs: rows(programmed), dumpMs: rows(dumped), editMs: rows(edited), gates });
}
rmSync(scratch, { recursive: true });
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
