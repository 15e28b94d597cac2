/**
 * One writer of a table at a time. The lock is the kernel's own (flock(2)): whoever holds it and dies has released it,
 * so that a file left behind locks nothing.
 */
import { accessSync, constants, ftruncateSync, lstatSync, readFileSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errno, IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';
import { readRegular, recordError } from './files.ts';
import { chainTo, inFolder } from './own-folder.ts';

export interface Lock {
  release(): void;
}

export interface LockOptions {
  readonly native: Pick<Native, 'lockFile' | 'close'>;
  /** The state folder, where that of the lock is one of those in it. */
  readonly root?: string;
  /** What it is held for, told to whoever waits: "ipvs apply web.yaml". */
  readonly purpose: string;
  /** How long to wait for another holder. Default: 10 seconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TRY_AGAIN_MS = 50;

/** Throws LOCKED, which names the holder; STORE_UNSAFE, FILE_UNWRITABLE if the folder cannot hold a record; ABORTED. */
export async function lock(path: string, options: LockOptions): Promise<Lock> {
  const { native, purpose, timeoutMs = 10_000, signal, root = dirname(path) } = options;
  const chain = chainTo(dirname(path), root);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const fd = attempt(path, () =>
      inFolder(chain, true, (at) => {
        accessSync(at, constants.W_OK);
        return native.lockFile(`${at}/${basename(path)}`);
      }),
    );
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

type Locking = (purpose: string, signal: AbortSignal | undefined) => Promise<Lock>;

/**
 * The same lock, of which the callers in this process wait for each other: without a limit, as they are its own, and in the
 * order in which they asked.
 */
export function inTurn(take: Locking): Locking {
  let last: Promise<void> = Promise.resolve();
  return async (purpose, signal) => {
    const before = last;
    let end: () => void = () => undefined;
    last = new Promise((resolve) => {
      end = resolve;
    });
    try {
      await turnOf(before, purpose, signal);
      const held = await take(purpose, signal);
      const release = () => {
        held.release();
        end();
      };
      return { release };
    } catch (error) {
      // Whoever comes next still waits for those before.
      void before.then(end);
      throw error;
    }
  };
}

/** Throws ABORTED. */
async function turnOf(before: Promise<void>, operation: string, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return before;
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new IpvsError('ABORTED', { operation, cause: signal.reason }));
  });
  signal.addEventListener('abort', abort);
  try {
    await Promise.race([before, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
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

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
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

/**
 * Whether a process holds it, and which as far as that signed it; undefined where /proc does not show that. Takes no lock,
 * so that no other process finds the lock taken. Holders outside this PID namespace are not seen.
 */
export function isLocked(path: string): { readonly locked: boolean; readonly holder?: Holder } | undefined {
  const file = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (file === undefined) return { locked: false };
  const holder = holderAt(path);
  let locks: string;
  try {
    locks = readFileSync('/proc/locks', 'latin1');
  } catch {
    return undefined;
  }
  if (!isAmong(locks, file, holder?.pid)) return { locked: false };
  return { locked: true, ...(holder && { holder }) };
}

/**
 * `locks` is /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF". Some file systems show another device there than
 * in stat(2), such as Btrfs: then the process that signed the file tells. Pure.
 */
export function isAmong(
  locks: string,
  { dev, ino }: { readonly dev: bigint; readonly ino: bigint },
  holder: number | undefined,
): boolean {
  return locks.split('\n').some((line) => {
    const [, pid, major = '', minor = '', inode] =
      /^\d+: FLOCK +ADVISORY +WRITE (-?\d+) ([\da-f]+):([\da-f]+):(\d+) /.exec(line) ?? [];
    if (inode === undefined || BigInt(inode) !== ino) return false;
    return deviceOf(major, minor) === dev || Number(pid) === holder;
  });
}

/** As stat(2) gives it (include/linux/kdev_t.h, new_encode_dev). */
function deviceOf(majorHex: string, minorHex: string): bigint {
  const [major, minor] = [BigInt(`0x${majorHex}`), BigInt(`0x${minorHex}`)];
  return (minor & 0xffn) | (major << 8n) | ((minor & ~0xffn) << 12n);
}

function holderOf(path: string): string {
  const holder = holderAt(path);
  if (holder === undefined) return 'its holder says nothing of itself';
  return `"${holder.purpose}", process ${holder.pid}, since ${holder.since}`;
}

function holderAt(path: string): Holder | undefined {
  try {
    const { pid, purpose, since } = JSON.parse(readRegular(path).toString('utf8')) ?? {};
    if (!Number.isSafeInteger(pid) || typeof purpose !== 'string' || typeof since !== 'string') return undefined;
    return { pid, purpose, since };
  } catch {
    return undefined;
  }
}
