/** The record of a table of the kernel: where it is kept, and who may write it. */
import { join, resolve } from 'node:path';
import { IpvsError } from '../base/errors.ts';
import { identityOf } from '../kernel/identity.ts';
import { native } from '../kernel/native.ts';
import { FolderFiles } from './files.ts';
import { isLocked, type Lock, lock } from './lock.ts';
import { stateDirectory } from './state-directory.ts';
import { Store } from './store.ts';

export interface TableRecord {
  readonly store: Store;
  /** Which table it is, over reboots. */
  readonly table: string;
  /** Keeps others from changing the table. Throws LOCKED, STORE_UNSAFE, FILE_UNWRITABLE, ABORTED. */
  readonly lock: (purpose: string, signal: AbortSignal | undefined) => Promise<Lock>;
  /** Absent where the record has no folder. */
  readonly follower?: Follower;
}

/** The process that advances drains and ramps for as long as they last; a second one changes nothing. */
export interface Follower {
  begin(): Promise<Lock>;
  isThere(): boolean;
}

export interface RecordOptions {
  /**
   * Where ledger, journal and history are kept. Default: what IPVS_DIRECTOR_STATE_DIR names, else
   * /var/lib/ipvs-director, or for others than root their XDG state folder.
   */
  readonly stateDir?: string;
  /** How long to wait for another program that changes the table. Default: 10 seconds. */
  readonly lockTimeoutMs?: number;
}

/** Of the namespace at `path`, as of `HeldNamespace`. Nothing is written, and no folder made, before the lock is taken. */
export function openRecord(path: string, { stateDir = stateDirectory(), lockTimeoutMs }: RecordOptions): TableRecord {
  const { name, table } = identityOf(native(), path);
  const root = resolve(stateDir);
  const folder = join(root, name);
  return {
    store: new Store(new FolderFiles(folder, root)),
    table,
    lock: (purpose, signal) =>
      lock(join(folder, 'lock'), {
        native: native(),
        root,
        purpose,
        ...(lockTimeoutMs !== undefined && { timeoutMs: lockTimeoutMs }),
        ...(signal && { signal }),
      }),
    follower: followerOf(join(folder, 'follow-lock')),
  };
}

function followerOf(path: string): Follower {
  return {
    async begin() {
      try {
        return await lock(path, { native: native(), purpose: 'drain run --follow', timeoutMs: 0 });
      } catch (error) {
        if (error instanceof IpvsError && error.code === 'LOCKED') return { release: () => undefined };
        throw error;
      }
    },
    isThere: () => isLocked(path)?.locked === true,
  };
}
