// Plans and applies of a director against its peers on a real kernel: the first load of a table (ipvsadm -R), one change
// in a large one (a reload of keepalived), and what a plan costs beyond the dump that it needs. Needs root and ip_vs;
// scripts/bench builds what it needs and runs it in a bed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openIpvs } from '../dist/index.js';
import { Keepalived } from './keepalived.mjs';
import { inFreshNamespace, limit, settle, wholeProcess } from './namespaces.mjs';
import { gatesTable, judged, median, tableOf } from './report.mjs';
import { rulesOf, serviceOf } from './table.mjs';
import { Worker } from './workers.mjs';

/** @typedef {import('./director-worker.mjs').Task} Task */
/** @typedef {{ ms: number, parts: Record<string, number>, megabytes?: number }} Answer */
/** @typedef {import('./table.mjs').Size} Size */

const { values: options } = parseArgs({
  options: {
    services: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const [services, runs] = [Number(options.services), Number(options.runs)];
const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-apply-'));
/** Rounds before anything is measured. */
const WARM_UPS = Math.max(2, Math.ceil(30_000 / services));

/** @type {Map<string, number[]>} */
const rows = new Map();
/** @type {Map<string, Map<string, number[]>>} */
const parts = new Map();

/**
 * @param {string} name
 * @param {number} ms
 */
function note(name, ms) {
  rows.set(name, [...(rows.get(name) ?? []), ms]);
}

/**
 * @param {string} name
 * @param {Answer} answer
 */
function noteParts(name, answer) {
  note(name, answer.ms);
  const of = parts.get(name) ?? new Map();
  const named = Object.values(answer.parts).reduce((sum, ms) => sum + ms, 0);
  for (const [part, ms] of Object.entries({ ...answer.parts, 'the rest': answer.ms - named }))
    of.set(part, [...(of.get(part) ?? []), ms]);
  parts.set(name, of);
}

function worker() {
  return /** @type {Worker<Task, Answer>} */ (new Worker('./director-worker.mjs', ['--expose-gc']));
}

/** @param {Size} size */
async function firstLoad(size) {
  const rules = join(scratch, 'rules');
  writeFileSync(rules, rulesOf(size));
  const director = worker();
  try {
    for (let i = -WARM_UPS; i < runs; i++) {
      const answer = await inFreshNamespace((netns) => director.do({ name: 'apply', netns, size, weight: 1 }));
      if (i < 0) continue;
      noteParts('first load: apply()', answer);
      note('first load: ipvsadm -R', await inFreshNamespace((netns) => wholeProcess(netns, ['ipvsadm', '-R'], rules)));
    }
  } finally {
    await director.close();
  }
}

/** @param {Size} size */
async function oneChange(size) {
  const director = worker();
  try {
    await inFreshNamespace(async (netns) => {
      await director.do({ name: 'apply', netns, size, weight: 1 });
      for (let i = -WARM_UPS; i < runs; i++) {
        const answer = await director.do({ name: 'apply', netns, size, weight: 2 + (i & 1) });
        if (i >= 0) noteParts('one change: apply()', answer);
      }
    });
  } finally {
    await director.close();
  }
  const keepalived = new Keepalived(scratch, size);
  await inFreshNamespace(async (netns) => {
    const ipvs = await openIpvs({ netns });
    try {
      keepalived.start(netns);
      for (;;) {
        await wait(500);
        if (
          await limit(netns, 'expect', String(size.services), String(size.destinations)).then(
            () => true,
            () => false,
          )
        )
          break;
      }
      for (let i = 0; i < runs; i++) {
        const weight = 2 + (i & 1);
        keepalived.write(weight);
        await settle();
        const started = performance.now();
        keepalived.reload();
        const changed = async () =>
          (await ipvs.destinations(serviceOf(0).address)).some((each) => each.weight === weight);
        while (!(await changed())) await wait(2);
        note('one change: keepalived, reload', performance.now() - started);
      }
    } finally {
      await keepalived.stop();
      await ipvs.close();
    }
  });
}

/** @param {Size} size */
async function plans(size) {
  const director = worker();
  /** @type {number[]} */
  const megabytes = [];
  try {
    await inFreshNamespace(async (netns) => {
      await director.do({ name: 'apply', netns, size, weight: 1 });
      for (let i = -WARM_UPS; i < runs; i++) {
        const dump = await director.do({ name: 'dump', netns, size, weight: 5 });
        const plan = await director.do({ name: 'plan', netns, size, weight: 5 });
        const core = await director.do({ name: 'core', netns, size, weight: 5 });
        if (i < 0) continue;
        note('plan: its dump', dump.ms);
        noteParts('plan: plan()', plan);
        note('plan: the decision alone', core.ms);
        megabytes.push(core.megabytes ?? 0);
      }
    });
  } finally {
    await director.close();
  }
  return median(megabytes);
}

try {
  await firstLoad({ services, destinations: 2 });
  await oneChange({ services, destinations: 2 });
  const megabytes = await plans({ services, destinations: 10 });
  console.log(tableOf(`${services} services`, rows, services));
  for (const [name, of] of parts) {
    console.log(`${name}: ${Array.from(of, ([part, ms]) => `${part} ${median(ms).toFixed(0)} ms`).join(', ')}`);
  }
  console.log(`plan, the decision alone: ${megabytes.toFixed(0)} MB for ${services * 10} destinations`);
  const gates = [
    judged(rows, 'first load: ipvsadm -R', 'first load: apply()', { atLeast: 8 }),
    judged(rows, 'one change: keepalived, reload', 'one change: apply()', { atLeast: 3 }),
    judged(rows, 'plan: plan()', 'plan: its dump', { atMost: 3 }),
  ];
  console.log(gatesTable(gates));
  if (options.json !== undefined) {
    const partsMs = Object.fromEntries(Array.from(parts, ([name, of]) => [name, Object.fromEntries(of)]));
    writeFileSync(
      options.json,
      `${JSON.stringify({ services, rowsMs: Object.fromEntries(rows), partsMs, megabytes, gates }, null, 2)}\n`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true });
}
