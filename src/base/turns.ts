/** Work that goes on for long gives the event loop its turn. */
import { setImmediate as turn } from 'node:timers/promises';

/** The event loop gets its turn at least this often. */
export const BUSY_MS = 5;

/** Asking the clock can cost as much as a piece of work: what is done in less than this together asks once. */
const UNASKED_MS = 0.5;
const MOST_UNASKED = 16;

export class Turns {
  #busySince = 0;
  #askedAt = 0;
  /** How many pieces of work are done between two looks at the clock, and how many of them are left. */
  #stride = 1;
  #left = 1;

  /** To be asked after every piece of work: whether the event loop has waited long enough for us. */
  due(): boolean {
    if (--this.#left > 0) return false;
    const now = performance.now();
    const each = (now - this.#askedAt) / this.#stride;
    this.#askedAt = now;
    this.#stride = Math.max(1, Math.min(MOST_UNASKED, Math.floor(UNASKED_MS / each)));
    this.#left = this.#stride;
    return now - this.#busySince >= BUSY_MS;
  }

  async give(): Promise<void> {
    await turn();
    this.#busySince = performance.now();
  }
}
