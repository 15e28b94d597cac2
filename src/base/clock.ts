/** The clocks: one that decides, one that people read. */
import { uptime } from 'node:os';

export interface Moment {
  /** Milliseconds since 1970. It may be set, so it is for display alone. */
  readonly wallMs: number;
  /** Milliseconds since the kernel booted, those asleep included (CLOCK_BOOTTIME): every deadline is in it. */
  readonly bootMs: number;
}

export type Clock = () => Moment;

/** Node reads /proc/uptime, which is CLOCK_BOOTTIME to 10 ms. */
export const systemClock: Clock = () => ({ wallMs: Date.now(), bootMs: Math.round(uptime() * 1000) });

/** Wall-clock time of a boot time, ISO 8601, by the wall clock as it stands now. */
export function wallTime(bootMs: number, now: Moment): string {
  return new Date(now.wallMs - now.bootMs + bootMs).toISOString();
}
