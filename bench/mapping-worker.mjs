// A process that lists mappings, for bench/mappings.mjs: it answers how many milliseconds that took, and how many there were.
import { openMappings } from '../dist/index.js';

/**
 * @typedef {object} Task
 * @property {'list'} name
 * @property {string} netns
 * @property {import('../dist/index.js').MappingFilter} filter
 *
 * @typedef {{ ms: number, mappings: number }} Answer
 */

process.on('message', async (/** @type {Task} */ { netns, filter }) => {
  const table = await openMappings({ netns });
  const started = performance.now();
  let mappings = 0;
  for await (const _ of table.list(filter)) mappings++;
  const ms = performance.now() - started;
  table.close();
  process.send?.({ ms, mappings });
});
