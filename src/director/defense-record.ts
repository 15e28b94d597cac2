/** What is remembered of the defense of a table, and whether somebody defends it. */
import { join } from 'node:path';
import { Originals } from '../defense/originals.ts';
import { PolicyFile } from '../defense/policy-file.ts';
import { native } from '../native.ts';
import { isLocked } from '../plan/lock.ts';
import type { Store } from '../plan/store.ts';
import type { DefenseRecord } from './context.ts';

/** Of one that nobody defends: in memory, or without a record. */
export function idleDefense({ files }: Pick<Store, 'files'>, table: string): DefenseRecord {
  return { policy: new PolicyFile(files), originals: new Originals(files, table), isRunning: () => false };
}

export function defenseRecord(store: Pick<Store, 'files' | 'place'>, table: string): DefenseRecord {
  const path = defenseLockPath(store, table);
  return { ...idleDefense(store, table), isRunning: () => isLocked(path, native())?.locked === true };
}

/**
 * Of a namespace of this boot and no other, wherever its record is kept: two controllers would take each other's values for
 * those that were there before. Who is not root has only the record's place, and cannot change what is defended.
 */
export function defenseLockPath({ place }: Pick<Store, 'place'>, table: string): string {
  if (process.getuid?.() !== 0) return join(place, 'defense-lock');
  return join('/run/ipvs-director', `defense-${table.replaceAll(/[^0-9A-Za-z-]/g, '-')}`);
}
