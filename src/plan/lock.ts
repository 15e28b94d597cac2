/**
 * One writer of a table at a time. The lock is the kernel's own (flock(2)): whoever holds it and dies has released it,
 * so that a file left behind locks nothing.
 */
import { accessSync, constants, existsSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errno, IpvsError } from '../errors.ts';
import type { Native } from '../native.ts';
import { makeFolder, recordError } from './files.ts';

export interface Lock {
  release(): void;
}

export interface LockOptions {
  readonly native: Pick<Native, 'lockFile' | 'close'>;
  /** What it is held for, told to whoever waits: "ipvs apply web.yaml". */
  readonly purpose: string;
  /** How long to wait for another holder. Default: 10 seconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TRY_AGAIN_MS = 50;

/** Throws LOCKED, which names the holder, FILE_UNWRITABLE if the folder cannot hold a record, ABORTED. */
export async function lock(path: string, options: LockOptions): Promise<Lock> {
  const { native, purpose, timeoutMs = 10_000, signal } = options;
  const folder = dirname(path);
  attempt(path, () => {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
  });
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const fd = native.lockFile(path);
    if (fd >= 0) {
      const release = () => native.close(fd);
      sign(fd, purpose);
      return { release };
    }
    if (fd !== -errno.EAGAIN) throw recordError('FILE_UNWRITABLE', path, { errno: fd });
    if (performance.now() >= deadline) throw new IpvsError('LOCKED', { subject: path, detail: holderOf(path) });
    await wait(TRY_AGAIN_MS, undefined, signal && { signal }).catch((cause) => {
      throw new IpvsError('ABORTED', { operation: purpose, cause });
    });
  }
}

/** For whoever waits: on a full disk the lock holds all the same. */
function sign(fd: number, purpose: string): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${JSON.stringify({ pid: process.pid, purpose, since: new Date().toISOString() })}\n`);
  } catch {
    // Then nothing is said.
  }
}

function attempt(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw recordError('FILE_UNWRITABLE', path, error);
  }
}

export interface Holder {
  readonly pid: number;
  readonly purpose: string;
  /** ISO 8601. */
  readonly since: string;
}

/** Whether somebody holds it, and who as far as is said; undefined where that cannot be looked at. Takes nothing. */
export function isLocked(
  path: string,
  native: LockOptions['native'],
): { readonly locked: boolean; readonly holder?: Holder } | undefined {
  // Trying makes the file, and whoever only looks makes none.
  if (!existsSync(path)) return { locked: false };
  const fd = native.lockFile(path);
  if (fd >= 0) native.close(fd);
  if (fd >= 0) return { locked: false };
  if (fd !== -errno.EAGAIN) return undefined;
  const holder = holderAt(path);
  return { locked: true, ...(holder && { holder }) };
}

function holderOf(path: string): string {
  const holder = holderAt(path);
  if (holder === undefined) return 'its holder says nothing of itself';
  return `"${holder.purpose}", process ${holder.pid}, since ${holder.since}`;
}

function holderAt(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}
