/** A direct command: a change of the table that is no apply. Most of what it takes is its start, so it loads no plans. */
import { IpvsError, isOutcomeUnknown } from '../base/errors.ts';
import type { Tables } from '../engine/plan.ts';
import { author } from '../record/author.ts';
import { isUnderWay, ledgerFor } from '../record/ledger.ts';
import type { TableRecord } from '../record/record.ts';
import type { DirectOptions } from '../weights/direct-options.ts';
import type { DrainPass } from '../weights/drain-runner.ts';
import { type Touches, touched, touchedKeys } from './ownership.ts';

/** Without `onUnrecorded` the error is thrown. */
export interface DirectWork<T> extends DirectOptions {
  /** As the history shows it: "service add". */
  readonly command: string;
  readonly touches: Touches;
  action(): Promise<T>;
  /** Configurations of everything that has one of the keys, by resource. */
  look(keys: ReadonlySet<string> | 'all services'): Promise<Tables>;
}

/**
 * Changes the table under its lock, and records it: an entry of the history, and who owns what. First `settle` recovers an
 * interrupted apply and carries drains on. Throws LOCKED, FILE_UNWRITABLE, STORE_DAMAGED before anything is done; and what
 * the action throws.
 */
export async function verb<T>(
  { store, table, lock }: TableRecord,
  settle: () => Promise<{ readonly pass: DrainPass }>,
  { command, touches, action, look, onPass, onUnrecorded }: DirectWork<T>,
  now: () => number = Date.now,
): Promise<T> {
  const held = await lock(command, undefined);
  try {
    const ledger = () => ledgerFor(table, store.ledger());
    let before = ledger();
    if (store.journal() !== undefined || isUnderWay(before)) {
      const { pass } = await settle();
      onPass?.(pass);
      before = ledger();
    }
    const about = touchedKeys(touches);
    // What cannot be read cannot be recorded; whether it can be changed, the action says better.
    const seen = await look(about).catch((error: unknown) => error);
    // What it makes is ours before it is there: a crash in between leaves no object without an owner.
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
    const { addDirectEntry, serviceKeysIn } = await import('./direct-entry.ts');
    const at = new Date(now()).toISOString();
    try {
      if (seen instanceof Error) throw seen;
      const tables = seen as Tables;
      const keys = about === 'all services' ? serviceKeysIn(tables) : about;
      const found = { before: tables, after: await look(about) };
      const nextId = await addDirectEntry(store, { command, by: author(), at, keys, ...found, ledger: before });
      store.writeLedger({ ...after, nextId });
    } catch (error) {
      if (after !== planned) store.writeLedger(after);
      if (onUnrecorded === undefined || !(error instanceof IpvsError)) throw error;
      onUnrecorded(error);
    }
    return result;
  } finally {
    held.release();
  }
}
