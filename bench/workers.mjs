// Processes that use the library (bench/worker.mjs), seen from outside.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** @typedef {import('./worker.mjs').Task} Task */

export class Worker {
  #process = fork(fileURLToPath(new URL('./worker.mjs', import.meta.url)));

  /**
   * The milliseconds that it took.
   * @param {Task} task
   * @returns {Promise<number>}
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

/**
 * The milliseconds that it takes in a fresh process.
 * @param {Task} task
 */
export async function cold(task) {
  const worker = new Worker();
  try {
    return await worker.do(task);
  } finally {
    await worker.close();
  }
}
