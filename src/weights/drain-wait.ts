/** Waits for the end of a drain. The lock is held only for the pass that ends it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { IpvsError } from '../base/errors.ts';
import type { DestinationOf, Drain, DrainEnd, Held } from '../record/ledger.ts';
import { isAt, subjectOf } from '../resources/destination-of.ts';
import type { DirectOptions } from './direct-options.ts';
import type { DrainKeeper } from './drain-keeper.ts';
import type { DrainProgress } from './drain-progress.ts';

export interface DrainOutcome {
  readonly drain: Drain;
  readonly how: DrainEnd['how'] | 'cancelled';
  /** What was held at the end. */
  readonly held: Held;
  readonly alsoEnded?: readonly string[];
  readonly problem?: string;
}

/** `onPass` is called with each pass. */
export interface DrainWaitOptions extends Pick<DirectOptions, 'onPass'> {
  /** Ends the waiting; the drain goes on. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DrainProgress) => void;
  /** Progress with `details`, which goes through the connection table each time. */
  readonly details?: boolean;
}

const LOOK_EVERY_MS = 1000;

/** Throws NO_SUCH_DRAIN, ABORTED, and what the kernel refuses its end with. */
export async function waitForDrain(
  keeper: DrainKeeper,
  place: DestinationOf,
  { signal, onProgress, onPass, details = false }: DrainWaitOptions = {},
): Promise<DrainOutcome> {
  const first = keeper.latest(place);
  if (first.ended) return outcomeOf(first, first.ended);
  let last: DrainProgress | undefined;
  while (!signal?.aborted) {
    const progress = await progressAt(keeper, place, first, details);
    if (progress === undefined) return { drain: first, how: 'cancelled', held: last?.held ?? NOTHING };
    const { drain, over } = progress;
    if (drain.ended) return outcomeOf(drain, drain.ended);
    last = progress;
    onProgress?.(progress);
    if (over && (await ended(keeper, place, { signal, onPass }))) continue;
    await sleep(LOOK_EVERY_MS, undefined, signal && { signal }).catch(() => undefined);
  }
  throw new IpvsError('ABORTED', { operation: 'wait for drain', subject: subjectOf(place), detail: 'it goes on' });
}

const NOTHING: Held = { active: 0, inactive: 0, entries: 0, templates: 0 };

/** Of the drain that goes on, or else of how this very one ended; undefined if it is neither. */
async function progressAt(
  keeper: DrainKeeper,
  place: DestinationOf,
  { startedBootMs }: Drain,
  details: boolean,
): Promise<DrainProgress | undefined> {
  const own = (await keeper.list({ details })).filter(({ drain }) => isAt(place)(drain));
  return own.find(({ drain }) => !drain.ended) ?? own.findLast(({ drain }) => drain.startedBootMs === startedBootMs);
}

/** One pass; false if somebody else holds the lock, who may be at it. */
async function ended(
  keeper: DrainKeeper,
  place: DestinationOf,
  { signal, onPass }: { signal: AbortSignal | undefined } & Pick<DirectOptions, 'onPass'>,
): Promise<boolean> {
  try {
    const pass = await keeper.pass('drain', signal);
    onPass?.(pass);
    const error = pass.moves.find(isAt(place))?.error;
    if (error) throw error;
    return true;
  } catch (error) {
    if (signal?.aborted || (error instanceof IpvsError && error.code === 'LOCKED')) return false;
    throw error;
  }
}

function outcomeOf(drain: Drain, { bootMs: _, ...end }: DrainEnd): DrainOutcome {
  return { drain, ...end };
}
