// A process that applies desired states through a director, for bench/apply.mjs: one task after the other, and for each
// the milliseconds of its parts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirector } from '../dist/director/director.js';
import { knownAt } from '../dist/engine/known.js';
import { planOf } from '../dist/engine/plan.js';
import { Ipvs } from '../dist/ipvs/ipvs.js';
import { Store } from '../dist/record/store.js';
import { resources } from '../dist/resources/all.js';
import { destinationOf, serviceOf } from './table.mjs';

/** @typedef {import('./table.mjs').Size} Size */
/** @typedef {{ name: keyof typeof tasks, netns: string, size: Size, weight: number }} Task */

const stateDir = mkdtempSync(join(tmpdir(), 'ipvs-bench-state-'));
process.on('exit', () => rmSync(stateDir, { recursive: true, force: true }));

/** @type {Record<string, number>} */
let parts = {};

/**
 * Counts the milliseconds of a method towards a part of the whole.
 * @param {object} prototype
 * @param {string} name
 * @param {string} part
 */
function counted(prototype, name, part) {
  const methods = /** @type {Record<string, (...args: unknown[]) => unknown>} */ (prototype);
  const method = /** @type {(...args: unknown[]) => unknown} */ (methods[name]);
  methods[name] = function (...args) {
    const started = performance.now();
    const end = () => {
      parts[part] = (parts[part] ?? 0) + performance.now() - started;
    };
    const result = method.apply(this, args);
    if (result instanceof Promise) return result.finally(end);
    end();
    return result;
  };
}
for (const name of [
  'look',
  'put',
  'get',
  'ledger',
  'journal',
  'writeLedger',
  'writeJournal',
  'removeJournal',
  'addHistory',
  'sweep',
])
  counted(Store.prototype, name, 'record');
counted(Ipvs.prototype, 'snapshot', 'dumps');
counted(Ipvs.prototype, 'execute', 'kernel');
counted(Ipvs.prototype, 'foreseeRefusals', 'kernel');

/**
 * @param {Size} size
 * @param {number} weight of the first destination
 */
function desiredOf({ services, destinations }, weight) {
  return {
    services: Array.from({ length: services }, (_, i) => ({
      service: serviceOf(i),
      destinations: Array.from({ length: destinations }, (_, j) => {
        const destination = destinationOf(i * destinations + j);
        return i + j === 0 ? { ...destination, weight } : destination;
      }),
    })),
  };
}

const tasks = {
  /** Brings the table to the size, or changes a weight in it. @param {Task} task */
  async apply({ netns, size, weight }) {
    const desired = desiredOf(size, weight);
    const director = await openDirector({ netns, stateDir });
    try {
      await director.ipvs.info();
      return await timed(async () => {
        const { outcome, failed } = await director.apply({ desired });
        if (outcome !== 'applied') throw failed[0]?.error ?? new Error(outcome);
      });
    } finally {
      await director.close();
    }
  },

  /** @param {Task} task */
  async plan({ netns, size, weight }) {
    const desired = desiredOf(size, weight);
    const director = await openDirector({ netns, stateDir });
    try {
      return await timed(async () => {
        const { changes } = await director.plan({ desired });
        if (changes.length !== 1) throw new Error(`${changes.length} changes`);
      });
    } finally {
      await director.close();
    }
  },

  /** The decision alone, and what it adds to the heap. @param {Task} task */
  async core({ netns, size, weight }) {
    const [desired, applied] = [desiredOf(size, weight), desiredOf(size, 1)];
    const director = await openDirector({ netns, stateDir });
    try {
      const current = { services: await director.ipvs.snapshot(), timeouts: null, sync: [], addresses: null };
      const known = knownAt({ made: [], drains: [], ramps: [] }, applied, Date.now());
      globalThis.gc?.();
      const before = process.memoryUsage().heapUsed;
      const result = await timed(async () => {
        const { changes } = planOf(resources, desired, known, current);
        if (changes.length !== 1) throw new Error(`${changes.length} changes`);
      });
      return { ...result, megabytes: (process.memoryUsage().heapUsed - before) / 1e6 };
    } finally {
      await director.close();
    }
  },

  /** @param {Task} task */
  async dump({ netns }) {
    const director = await openDirector({ netns, stateDir });
    try {
      await director.ipvs.info();
      return await timed(async () => void (await director.ipvs.snapshot()));
    } finally {
      await director.close();
    }
  },
};

/** @param {() => Promise<void>} work */
async function timed(work) {
  parts = {};
  const started = performance.now();
  await work();
  return { ms: performance.now() - started, parts };
}

process.on('message', async (/** @type {Task} */ task) => process.send?.(await tasks[task.name](task)));
