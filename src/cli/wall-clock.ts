/** The clock of simulated tables: a table in a file outlives boots, and so must the deadlines of its drains. */
import type { Clock } from '../base/clock.ts';

export const wallClock: Clock = () => {
  const nowMs = Date.now();
  return { wallMs: nowMs, bootMs: nowMs };
};
