// Plans and applies of a director against its peers on a real kernel: the first load of a table (ipvsadm -R), one change
// in a large one (a reload of keepalived), and what a plan costs beyond the dump that it needs. Needs root and ip_vs;
// scripts/bench builds what it needs and runs it in a bed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openIpvs } from '../dist/index.js';
import { Keepalived } from './keepalived.mjs';
import { inFreshNamespace, limit, settle, wholeProcess } from './namespaces.mjs';
import { sectionOf } from './report.mjs';
import { rulesOf, serviceOf } from './table.mjs';
import { Worker } from './workers.mjs';

/** @typedef {import('./director-worker.mjs').Task} Task */
/** @typedef {{ ms: number, parts: Record<string, number>, megabytes?: number }} Answer */
/** @typedef {import('./report.mjs').Times} Times */
/** @typedef {import('./table.mjs').Size} Size */

/**
 * Rounds before anything is measured.
 * @param {Size} size
 */
const warmUps = ({ services }) => Math.max(3, Math.ceil(30_000 / services));

/**
 * @param {Times} times
 * @param {string} name
 * @param {number} ms
 */
function note(times, name, ms) {
  times.set(name, [...(times.get(name) ?? []), ms]);
}

/**
 * The whole, and its parts.
 * @param {Times} times
 * @param {string} name
 * @param {Answer} answer
 */
function noteParts(times, name, { ms, parts }) {
  note(times, name, ms);
  const named = Object.values(parts).reduce((sum, part) => sum + part, 0);
  for (const [part, partMs] of Object.entries({ ...parts, 'the rest': ms - named }))
    note(times, `${name}: ${part}`, partMs);
}

function worker() {
  return /** @type {Worker<Task, Answer>} */ (new Worker('./director-worker.mjs', ['--expose-gc']));
}

/**
 * @param {Size} size
 * @param {number} runs
 */
async function firstLoad(size, runs) {
  /** @type {Times} */
  const times = new Map();
  const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-'));
  const rules = join(scratch, 'rules');
  writeFileSync(rules, rulesOf(size));
  const director = worker();
  try {
    for (let i = -warmUps(size); i < runs; i++) {
      const answer = await inFreshNamespace((netns) => director.do({ name: 'apply', netns, size, weight: 1 }));
      if (i < 0) continue;
      noteParts(times, 'apply()', answer);
      note(times, 'ipvsadm -R', await inFreshNamespace((netns) => wholeProcess(netns, ['ipvsadm', '-R'], rules)));
    }
    return times;
  } finally {
    await director.close();
    rmSync(scratch, { recursive: true });
  }
}

/**
 * In turn, each in a table of its own.
 * @param {Size} size
 * @param {number} runs
 */
async function oneChange(size, runs) {
  /** @type {Times} */
  const times = new Map();
  const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-'));
  const keepalived = new Keepalived(scratch, size);
  const director = worker();
  try {
    await inFreshNamespace(async (ours) => {
      await director.do({ name: 'apply', netns: ours, size, weight: 1 });
      for (let i = -warmUps(size); i < 0; i++)
        await director.do({ name: 'apply', netns: ours, size, weight: 2 + (i & 1) });
      await inFreshNamespace(async (theirs) => {
        keepalived.start(theirs);
        const whole = () => limit(theirs, 'expect', String(size.services), String(size.destinations));
        while (
          !(await whole().then(
            () => true,
            () => false,
          ))
        )
          await wait(500);
        for (let i = 0; i < runs; i++) {
          const weight = 2 + (i & 1);
          await settle();
          noteParts(times, 'apply()', await director.do({ name: 'apply', netns: ours, size, weight }));
          keepalived.write(weight);
          await settle();
          note(times, 'keepalived, reload', await reloaded(keepalived, theirs, weight));
        }
        await keepalived.stop();
      });
    });
    return times;
  } finally {
    await director.close();
    await keepalived.stop();
    rmSync(scratch, { recursive: true });
  }
}

/**
 * Milliseconds until the kernel has what the file says.
 * @param {Keepalived} keepalived
 * @param {string} netns
 * @param {number} weight
 */
async function reloaded(keepalived, netns, weight) {
  const ipvs = await openIpvs({ netns });
  try {
    const started = performance.now();
    keepalived.reload();
    const changed = async () => (await ipvs.destinations(serviceOf(0).address)).some((each) => each.weight === weight);
    while (!(await changed())) await wait(2);
    return performance.now() - started;
  } finally {
    await ipvs.close();
  }
}

/**
 * @param {Size} size
 * @param {number} runs
 */
async function plans(size, runs) {
  /** @type {Times} */
  const times = new Map();
  const director = worker();
  let megabytes = 0;
  try {
    await inFreshNamespace(async (netns) => {
      await director.do({ name: 'apply', netns, size, weight: 1 });
      for (let i = -warmUps(size); i < runs; i++) {
        const dump = await director.do({ name: 'dump', netns, size, weight: 5 });
        const plan = await director.do({ name: 'plan', netns, size, weight: 5 });
        const core = await director.do({ name: 'core', netns, size, weight: 5 });
        if (i < 0) continue;
        note(times, 'its dump', dump.ms);
        noteParts(times, 'plan()', plan);
        note(times, 'the decision alone', core.ms);
        megabytes = Math.max(megabytes, core.megabytes ?? 0);
      }
    });
    return { times, megabytes };
  } finally {
    await director.close();
  }
}

/** @type {import('./main.mjs').Bench} */
export async function* apply({ sizes, runs }) {
  for (const size of sizes) {
    const { services, destinations } = size;
    const table = `${services} services x ${destinations}`;
    const loading = await firstLoad(size, runs);
    const first = /** @type {const} */ (['ipvsadm -R', 'apply()', { atLeast: 8 }]);
    yield sectionOf(`first load of ${table}, with journal and verification`, loading, { comparisons: [first] });
    const changing = await oneChange(size, runs);
    const change = /** @type {const} */ (['keepalived, reload', 'apply()', { atLeast: 3 }]);
    yield sectionOf(`one change among ${table}`, changing, { comparisons: [change] });
    const large = { services, destinations: 10 };
    const { times, megabytes } = await plans(large, runs);
    const ratio = /** @type {const} */ (['plan()', 'its dump', { atMost: 3 }]);
    const title = `plan of one change among ${services} services x 10 (the decision takes ${megabytes.toFixed(0)} MB)`;
    yield sectionOf(title, times, { comparisons: [ratio] });
  }
}
