/** What an undo does to drains, which are no part of the table: for the plan. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { shortDuration } from '../config/duration.ts';
import { type DestinationOf, type Drain, keyOf } from '../record/ledger.ts';

export interface DrainChange extends DestinationOf {
  /** "drains no more", "drains again, 3m left" */
  readonly words: string;
}

/** Between the drains of two moments. */
export function drainChanges(before: readonly Drain[], after: readonly Drain[], nowMs: number): DrainChange[] {
  const [was, is] = [byKey(before), byKey(after)];
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((key) => {
    const [old, drain] = [was.get(key), is.get(key)];
    if (isDeepStrictEqual(old, drain)) return [];
    const { service, destination } = (drain ?? old) as Drain;
    return [{ service, destination, words: drain ? wordsOf(drain, old, nowMs) : 'drains no more' }];
  });
}

function wordsOf(drain: Drain, old: Drain | undefined, nowMs: number): string {
  if (drain.ended) return 'drained, stays at weight 0';
  if (drain.restoreWeight !== undefined) return 'its drain is cancelled with the next pass';
  const leftMs = drain.deadlineBootMs - nowMs;
  const then = drain.afterwards === 'delete' ? 'deletes it' : 'ends the drain';
  const left = leftMs > 0 ? `${shortDuration(leftMs)} left` : `its deadline has passed: the next pass ${then}`;
  return old === undefined ? `drains again, ${left}` : `drains with its earlier deadline, ${left}`;
}

function byKey(drains: readonly Drain[]): Map<string, Drain> {
  return new Map(drains.map((drain) => [keyOf(drain), drain]));
}
