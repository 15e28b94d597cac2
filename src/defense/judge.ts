/** What signals say of a level: whether it is to be entered, or could be left; and how near that is. Pure. */
import type { DefenseLevel, DefensePolicy } from './policy.ts';
import {
  comparisonWords,
  isBeyond,
  isReading,
  type Readings,
  type SignalName,
  signals as specs,
  type ThresholdName,
  type Thresholds,
  thresholds,
  thresholdsIn,
} from './signal.ts';

export interface Judgement {
  /** The thresholds over which the level is entered, in words. */
  readonly entered: readonly string[];
  /** Whether every signal is fresh, and beyond none of the thresholds over which it is left. */
  readonly calm: boolean;
  /** The thresholds over which it would be left, and those that keep it. */
  readonly left: readonly string[];
  readonly kept: readonly string[];
  /** Signals that cannot be judged. */
  readonly blind: ReadonlyMap<SignalName, string>;
}

export function judge(
  level: DefenseLevel,
  readings: Readings,
  atMs: number,
  { staleSeconds, leastEntries }: Pick<DefensePolicy, 'staleSeconds' | 'leastEntries'>,
): Judgement {
  const entered: string[] = [];
  const left: string[] = [];
  const kept: string[] = [];
  const blind = new Map<SignalName, string>();
  for (const [name, threshold] of thresholdsIn(level.enter)) {
    const { signal } = thresholds[name];
    const { words } = specs[signal];
    const reading = readings[signal];
    if (!isReading(reading)) {
      if (!reading.forGood) blind.set(signal, `${words}: not known: ${reading.missing}`);
    } else if (atMs - reading.atMs > staleSeconds * 1000) {
      const age = Math.round((atMs - reading.atMs) / 1000);
      blind.set(signal, `${words}: ${age} s old, which is older than ${staleSeconds} s`);
    } else if (signal === 'halfOpen' && (reading.of ?? 0) < leastEntries) {
      left.push(`${words}: of ${reading.of ?? 0} TCP entries, which are fewer than ${leastEntries}`);
    } else {
      const leave = level.leave[name] ?? threshold;
      if (isBeyond(name, reading.value, threshold)) entered.push(comparisonWords(name, reading.value, threshold, true));
      const stays = isBeyond(name, reading.value, leave);
      (stays ? kept : left).push(comparisonWords(name, reading.value, leave, stays));
    }
  }
  const calm = blind.size === 0 && kept.length === 0 && left.length > 0;
  return { entered, calm, left, kept, blind };
}

/** A signal that is known, and a threshold on it. */
export interface Approach {
  readonly threshold: ThresholdName;
  readonly limit: number;
  readonly value: number;
  readonly crossed: boolean;
}

export interface Approaches {
  /** Over which the next level is entered: also those of the levels above it. */
  readonly enter: readonly Approach[];
  /** Over which this one is left, when none of them is crossed any more. */
  readonly leave: readonly Approach[];
}

/** The thresholds that are next, those that are crossed or will be soonest first. */
export function approaches(
  { levels, leastEntries }: Pick<DefensePolicy, 'levels' | 'leastEntries'>,
  level: number,
  readings: Readings,
): Approaches {
  const nearestFirst = (all: readonly Thresholds[]): Approach[] => {
    const found = all.flatMap(thresholdsIn).flatMap(([threshold, limit]) => {
      const { signal, side } = thresholds[threshold];
      const reading = readings[signal];
      if (!isReading(reading) || (signal === 'halfOpen' && (reading.of ?? 0) < leastEntries)) return [];
      const { value } = reading;
      const [part, whole] = side === 'above' ? [value, limit] : [limit, value];
      const crossed = isBeyond(threshold, value, limit);
      return [{ threshold, limit, value, crossed, share: part / Math.max(whole, Number.EPSILON) }];
    });
    const sorted = found.sort((a, b) => b.share - a.share).map(({ share, ...approach }) => approach);
    // Of several levels on one signal, the first that is reached.
    return sorted.filter(({ threshold }, i) => sorted.findIndex((other) => other.threshold === threshold) === i);
  };
  return {
    enter: nearestFirst(levels.slice(level).map(({ enter }) => enter)),
    leave: nearestFirst(levels.slice(level - 1, level).map(({ leave }) => leave)),
  };
}
