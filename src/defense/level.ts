/** A level of the defense: what it sets, and the signals that enter and leave it. Plain data. */
import type { Action } from './action.ts';
import type { Thresholds } from './signal.ts';

export interface DefenseLevel {
  /** What is set to "always" at it. Everything else has its original value. */
  readonly actions: readonly Action[];
  /** drop_packet drops one in so many new connections; null where that is none of the actions. */
  readonly dropRate: number | null;
  /** Any of them is enough. */
  readonly enter: Thresholds;
  /** The same signals; while any of these still holds, the level stays. */
  readonly leave: Thresholds;
  /** So long no step is made from it. */
  readonly minHoldSeconds: number;
  /** So long it is in force at most; then it is not entered again before it could once have been left. */
  readonly maxSeconds: number;
}

export interface LevelInput extends Pick<DefenseLevel, 'enter' | 'leave'> {
  readonly actions: readonly string[];
  /** Default: 10, the kernel's own. */
  readonly dropRate?: number | null;
  /** Default: 10. */
  readonly minHoldSeconds?: number;
  /** Default: 1800. */
  readonly maxSeconds?: number;
}
