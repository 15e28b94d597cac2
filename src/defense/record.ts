/** What is remembered of the defense of a table, and whether somebody defends it. */
import { join } from 'node:path';
import { isLocked } from '../record/lock.ts';
import type { Store } from '../record/store.ts';
import { Originals } from './originals.ts';
import { PolicyFile } from './policy-file.ts';

/** What a controller goes by, and what it has changed. */
export interface DefenseRecord {
  readonly policy: PolicyFile;
  readonly originals: Originals;
  /** Whether a controller is there, or may be. */
  readonly isRunning: () => boolean;
}

/** Of one that nobody defends: in memory, or without a record. */
export function idleDefense({ files }: Pick<Store, 'files'>, table: string): DefenseRecord {
  return { policy: new PolicyFile(files), originals: new Originals(files, table), isRunning: () => false };
}

export function defenseRecord(store: Pick<Store, 'files' | 'place'>, table: string): DefenseRecord {
  const path = defenseLockPath(store);
  return { ...idleDefense(store, table), isRunning: () => isLocked(path)?.locked ?? true };
}

/** Beside the record: who keeps two records of one namespace can run two controllers in it, which is one too many. */
export function defenseLockPath({ place }: Pick<Store, 'place'>): string {
  return join(place, 'defense-lock');
}

/**
 * What settings were that a controller holds now, by name; none where they are of another boot or namespace. Throws
 * STORE_DAMAGED, FILE_UNREADABLE.
 */
export function heldOriginals({ originals, isRunning }: DefenseRecord): Readonly<Record<string, string>> {
  const held = originals.read();
  // What one left that died is drift, until it is put back.
  return held?.table === originals.table && isRunning() ? held.originals : {};
}
