/** A table in memory with its record: in a folder beside the table's file, or for one run only. */
import { join, resolve } from 'node:path';
import { IpvsError } from '../base/errors.ts';
import { Director } from '../director/director.ts';
import type { Logger } from '../ipvs/ipvs.ts';
import { native } from '../kernel/native.ts';
import { FolderFiles, VolatileFiles } from '../record/files.ts';
import { type Lock, lock } from '../record/lock.ts';
import type { TableRecord } from '../record/record.ts';
import { Store } from '../record/store.ts';
import { withMemory } from './memory.ts';
import { wallClock } from './wall-clock.ts';

/** The table is a file, read at the beginning and written at the end: it is locked all the while. */
export async function withMemoryDirector<T>(
  file: string | undefined,
  folder: string | undefined,
  logger: Logger | undefined,
  work: (director: Director, record: Pick<TableRecord, 'store' | 'table'>) => Promise<T>,
): Promise<T> {
  const place = folder === undefined ? undefined : resolve(folder);
  let held: Lock | undefined;
  if (place !== undefined && hasAddon()) held = await lock(join(place, 'lock'), { native: native(), purpose: 'ipvs' });
  const store = new Store(place === undefined ? new VolatileFiles() : new FolderFiles(place), wallClock);
  const table = `memory:${place ?? ''}`;
  try {
    return await withMemory(file, logger, (ipvs) =>
      work(new Director({ ipvs, store, table, now: wallClock }), { store, table }),
    );
  } finally {
    held?.release();
  }
}

/** Where there is no addon, on another system, there is nothing to lock with. */
function hasAddon(): boolean {
  try {
    native();
    return true;
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'ADDON_NOT_LOADED') return false;
    throw error;
  }
}
