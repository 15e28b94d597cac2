/**
 * A setting that is changed for a time and then restored, unless another program set it meanwhile. The loans of drains and
 * the defense keep these on record before they write, and decide with this; the guard leaves such settings alone. Pure.
 */
import { isSame } from './sysctl-table.ts';

export interface HeldSetting {
  /** The value before, which is to come back. */
  readonly original: string;
  /** Every value that was written over it, or was about to be: a crash may come before a write, or after it. */
  readonly written: readonly string[];
}

/**
 * What the value that is found says of a held setting. `original`: it has its value back. `ours`: it is as it was written, so it
 * is to be restored. `changed`: another program set it since, so it stays.
 */
export function heldAs(
  name: string,
  { original, written }: HeldSetting,
  found: string,
): 'original' | 'ours' | 'changed' {
  if (isSame(name, original, found)) return 'original';
  return written.some((value) => isSame(name, value, found)) ? 'ours' : 'changed';
}
