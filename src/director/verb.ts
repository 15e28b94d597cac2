/** A verb: a change of the table that is no apply. Most of what it takes is its start, so it loads no plans. */
import { isOutcomeUnknown } from '../errors.ts';
import { isUnderWay, ledgerFor } from '../plan/ledger.ts';
import { type Touches, touched } from './ownership.ts';
import type { TableRecord } from './record.ts';

/**
 * Does something to the table, under its lock, and remembers what of it is ours, or is no more. What a crash left, or drains,
 * is dealt with before, by `settle`. Throws LOCKED, FILE_UNWRITABLE, STORE_DAMAGED before anything is done; and what the action does.
 */
export async function verb<T>(
  { store, table, lock }: TableRecord,
  settle: () => Promise<unknown>,
  command: string,
  touches: Touches,
  action: () => Promise<T>,
): Promise<T> {
  const held = await lock(command, undefined);
  try {
    const ledger = () => ledgerFor(table, store.ledger());
    let before = ledger();
    if (store.journal() !== undefined || isUnderWay(before)) {
      await settle();
      before = ledger();
    }
    // What is about to be made is ours before it is there: a crash in between leaves nothing that is nobody's.
    const planned = touched(before, { makes: touches.makes ?? [] });
    if (planned !== before) store.writeLedger(planned);
    let result: T;
    try {
      result = await action();
    } catch (error) {
      // A change that may have been made stays ours: otherwise a later apply would refuse it as foreign.
      if (planned !== before && !isOutcomeUnknown(error)) store.writeLedger(before);
      throw error;
    }
    const after = touched(planned, { takes: touches.takes ?? [] });
    if (after !== planned) store.writeLedger(after);
    return result;
  } finally {
    held.release();
  }
}
