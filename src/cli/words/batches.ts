/** What may be endless, shown some at a time as it comes. */

import { write } from '../terminal/stdout.ts';
import { jsonLine } from './output.ts';

const BATCH = 256;

/** At most `limit` of them; until nobody reads any more. */
export async function showBatches<T>(
  items: AsyncIterable<T>,
  limit: number,
  show: (batch: readonly T[]) => string,
  out: (text: string) => Promise<boolean> = write,
): Promise<void> {
  let batch: T[] = [];
  let left = limit;
  for await (const item of items) {
    batch.push(item);
    if (--left <= 0) break;
    if (batch.length < BATCH) continue;
    if (!(await out(show(batch)))) return;
    batch = [];
  }
  await out(show(batch));
}

export function jsonLines(values: readonly unknown[]): string {
  return values.map((value) => `${jsonLine(value)}\n`).join('');
}
