// Processes that use the library (bench/worker.mjs), seen from outside.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * @template {{ readonly name: string }} Task
 * @template Answer
 */
export class Worker {
  #process;

  /**
   * @param {string} program beside this file
   * @param {readonly string[]} execArgv
   */
  constructor(program, execArgv = []) {
    this.#process = fork(fileURLToPath(new URL(program, import.meta.url)), { execArgv: [...execArgv] });
  }

  /**
   * @param {Task} task
   * @returns {Promise<Answer>}
   */
  async do(task) {
    const giveUp = new AbortController();
    const broken = () => giveUp.abort(new Error(`${task.name}: the process that uses the library broke off`));
    this.#process.once('exit', broken);
    try {
      const answer = once(this.#process, 'message', { signal: giveUp.signal });
      this.#process.send(task);
      return (await answer)[0];
    } finally {
      this.#process.off('exit', broken);
    }
  }

  async close() {
    if (!this.#process.connected) return;
    const ended = once(this.#process, 'exit');
    this.#process.disconnect();
    await ended;
  }
}

/** A process that uses the library; it answers with milliseconds. */
export function libraryWorker() {
  return /** @type {Worker<import('./worker.mjs').Task, number>} */ (new Worker('./worker.mjs'));
}

/**
 * The milliseconds that it takes in a fresh process.
 * @param {import('./worker.mjs').Task} task
 */
export async function cold(task) {
  const worker = libraryWorker();
  try {
    return await worker.do(task);
  } finally {
    await worker.close();
  }
}
