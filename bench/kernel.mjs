// The library against its peers on a real kernel: programming, dumping, one edit. Needs root and ip_vs.
//
// Cases run in turn (A B C A B C ...), every programming in a fresh network namespace, and nothing begins before
// the processors are idle. "cold" is the first call in a fresh process, "warm" that of one which has
// done the same before; neither includes the start of the process, nor does limit.c. ipvsadm and ipvs are
// whole processes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inFreshNamespace, limit, settle, wholeProcess } from './namespaces.mjs';
import { sectionOf } from './report.mjs';
import { destinationOf, rulesOf, serviceOf } from './table.mjs';
import { cold, libraryWorker } from './workers.mjs';

/** @typedef {import('./report.mjs').Comparison} Comparison */
/** @typedef {import('./report.mjs').Times} Times */
/** @typedef {import('./table.mjs').Size} Size */
/**
 * Each returns milliseconds.
 * @typedef {Record<string, (netns: string) => Promise<number>>} Cases
 */

const ipvsProgram = fileURLToPath(new URL('../dist/cli/ipvs.js', import.meta.url));
const EDITS = 500;

/** @param {Size} size */
const numbersOf = ({ services, destinations }) => [String(services), String(destinations)];
/** @param {Size} size */
const warmUps = ({ services }) => Math.max(6, Math.ceil(60_000 / services));

/**
 * @param {Size} size
 * @param {number} runs
 */
async function program(size, runs) {
  const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-'));
  const rules = join(scratch, 'rules');
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
    return await inTurn(runs, cases, (run) =>
      inFreshNamespace(async (netns) => {
        const ms = await run(netns);
        await limit(netns, 'expect', ...numbersOf(size));
        return ms;
      }),
    );
  } finally {
    await warm.close();
    rmSync(scratch, { recursive: true });
  }
}

/**
 * Everything that only reads, and edits, which leave the table as large as it is.
 * @param {Size} size
 * @param {number} runs
 */
async function readAndEdit(size, runs) {
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
        runs,
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
        runs,
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
 * @param {number} runs
 * @param {Cases} cases
 * @param {(run: (netns: string) => Promise<number>) => Promise<number>} around
 */
async function inTurn(runs, cases, around) {
  /** @type {Times} */
  const times = new Map(Object.keys(cases).map((name) => [name, []]));
  for (let i = 0; i < runs; i++) {
    for (const [name, run] of Object.entries(cases)) times.get(name)?.push(await around(run));
  }
  return times;
}

/** @type {readonly Comparison[]} */
const programming = [
  ['ipvsadm -R', 'execute(), warm', { atLeast: 10, goal: 15 }],
  ['execute(), warm', 'limit.c', { atMost: 3, goal: 2 }],
];
/** @type {readonly Comparison[]} */
const dumping = [
  ['ipvsadm -Ln', 'snapshot(), warm', { atLeast: 5 }],
  ['ipvsadm -Ln', 'snapshot() by netlink alone, warm', { atLeast: 3 }],
  ['ipvsadm -Ln --stats', 'snapshot({ statistics }), warm', { atLeast: 3 }],
];
/**
 * Of a small table it is the start of the process that is measured.
 * @type {Comparison}
 */
const listing = ['ipvs list', 'ipvsadm -Ln', { atMost: 1 }];
const LARGE = 10_000;

/** @type {import('./main.mjs').Bench} */
export async function* kernel({ sizes, runs }) {
  await inFreshNamespace((netns) => limit(netns, 'expect', '0', '0')); // makes the kernel load ip_vs
  for (const size of sizes) {
    const { services, destinations } = size;
    const table = `${services} services x ${destinations}`;
    const objects = services * (1 + destinations);
    yield sectionOf(`program ${table}`, await program(size, runs), { objects, comparisons: programming });
    const { dumped, edited } = await readAndEdit(size, runs);
    const comparisons = services >= LARGE ? [...dumping, listing] : dumping;
    yield sectionOf(`dump ${table}`, dumped, { objects, comparisons });
    yield sectionOf(`one edit in ${table}`, edited, { comparisons: [['ipvsadm -e', 'execute(), warm', {}]] });
  }
}
