/** From the words of a command line to values. Ranges are checked where they mean something. */

import { quote } from '../../base/quote.ts';
import { parseDuration } from '../../config/duration.ts';
import { UsageError } from '../terminal/exit.ts';

/** An option's one value. */
export function oneValue(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new UsageError(`--${name} needs one value`);
}

export function number(value: unknown, name: string): number | undefined {
  const text = oneValue(value, name);
  if (text === undefined) return undefined;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} needs a whole number, not "${text}"`);
}

/** "20%" is 0.2. */
export function percent(value: unknown, name: string): number | undefined {
  const text = oneValue(value, name);
  if (text === undefined) return undefined;
  const match = /^(\d{1,3}(?:\.\d{1,3})?)%?$/.exec(text);
  const share = Number(match?.[1]) / 100;
  if (share >= 0 && share <= 1) return share;
  throw new UsageError(`--${name} is a share from 0% to 100%, not "${text}"`);
}

export function seconds(value: unknown, name: string): number | undefined {
  const text = oneValue(value, name);
  if (text === undefined) return undefined;
  const parsed = parseDuration(text);
  if (parsed === undefined) throw new UsageError(`--${name} needs a duration such as 300s or 15m, not "${text}"`);
  return parsed;
}

/** The number of an entry of the history. */
export function entryId(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`an entry of the history is a number, as "ipvs history" lists it, not ${quote(text)}`);
}

/** A list separated by commas; "none" is the empty list. */
export function words(value: unknown, name: string): string[] | undefined {
  const text = oneValue(value, name);
  if (text === undefined) return undefined;
  return text === 'none' ? [] : text.split(',');
}
