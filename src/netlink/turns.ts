/** Work that goes on for long gives the event loop its turn. */
import { setImmediate as turn } from 'node:timers/promises';

/** The event loop gets its turn at least this often. */
export const BUSY_MS = 5;

export class Turns {
  #busySince = 0;

  /** Waits for the event loop, if it has waited long enough for us. */
  async give(): Promise<void> {
    if (performance.now() - this.#busySince < BUSY_MS) return;
    await turn();
    this.#busySince = performance.now();
  }
}
