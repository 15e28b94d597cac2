// A process that uses the library, for bench/kernel.mjs: it does one task after the other and answers how many
// milliseconds each took. Its first answer is that of cold code.
import { openIpvs } from '../dist/index.js';
import { NetlinkBackend } from '../dist/ipvs/netlink/backend.js';
import { native } from '../dist/kernel/native.js';
import { destinationOf, serviceOf } from './table.mjs';

/** @typedef {import('../dist/index.js').Ipvs} Ipvs */
/** @typedef {import('../dist/index.js').Operation} Operation */
/** @typedef {import('./table.mjs').Size} Size */

/**
 * @typedef {object} Task
 * @property {keyof typeof tasks} name
 * @property {string} netns
 * @property {Size} size of the table
 * @property {number} [edits] how many of them
 */

/** Their connection is open already: a running process has one. */
const tasks = {
  /** @param {Task} task */
  program: ({ netns, size }) =>
    withIpvs({ netns }, async (ipvs) => {
      const operations = [...operationsOf(size)];
      const results = await timed(() => ipvs.execute(operations));
      const refused = results.value.find(({ error }) => error);
      if (refused) throw refused.error;
      return results;
    }),

  /** @param {Task} task */
  snapshot: ({ netns }) => withIpvs({ netns }, (ipvs) => timed(() => ipvs.snapshot())),

  /** @param {Task} task */
  statistics: ({ netns }) => withIpvs({ netns }, (ipvs) => timed(() => ipvs.snapshot({ statistics: true }))),

  /** @param {Task} task */
  sockopt: ({ netns }) => withIpvs({ netns, transport: 'sockopt' }, (ipvs) => timed(() => ipvs.snapshot())),

  /**
   * As where the socket options cannot serve: they are denied.
   * @param {Task} task
   */
  netlink: async ({ netns }) => {
    const EPERM = 1;
    const options = { native: { ...native(), openDatagram: () => -EPERM }, namespacePath: `/run/netns/${netns}` };
    const backend = new NetlinkBackend(options);
    try {
      await backend.info();
      return await timed(async () => ({ services: await backend.snapshot({}) }));
    } finally {
      backend.close();
    }
  },

  /** @param {Task} task */
  edit: ({ netns, edits = 1 }) =>
    withIpvs({ netns }, (ipvs) =>
      timed(async () => {
        for (let i = 0; i < edits; i++) {
          const destination = { ...destinationOf(0), weight: 2 + (i % 2) };
          const [result] = await ipvs.execute([
            { type: 'destination.edit', service: serviceOf(0).address, destination },
          ]);
          if (result?.error) throw result.error;
        }
      }),
    ),
};

/** @param {Size} size */
function* operationsOf({ services, destinations }) {
  for (let i = 0; i < services; i++) {
    const service = serviceOf(i);
    yield/** @type {Operation} */ ({ type: 'service.add', service });
    for (let j = 0; j < destinations; j++) {
      const destination = destinationOf(i * destinations + j);
      yield/** @type {Operation} */ ({ type: 'destination.add', service: service.address, destination });
    }
  }
}

/**
 * @template T
 * @param {import('../dist/index.js').OpenOptions} options
 * @param {(ipvs: Ipvs) => Promise<T>} work
 */
async function withIpvs(options, work) {
  const ipvs = await openIpvs(options);
  try {
    await ipvs.info();
    return await work(ipvs);
  } finally {
    await ipvs.close();
  }
}

/**
 * @template T
 * @param {() => Promise<T>} work
 */
async function timed(work) {
  const started = performance.now();
  const value = await work();
  return { ms: performance.now() - started, value };
}

process.on('message', async (/** @type {Task} */ task) => {
  const { ms, value } = await tasks[task.name](task);
  if (value && 'services' in value) {
    const { services } = value;
    const { size } = task;
    const short = services.find(({ destinations }) => destinations.length !== size.destinations);
    if (services.length !== size.services || short) throw new Error(`${task.name}: the table is not all there`);
  }
  process.send?.(ms);
});
