/**
 * One writer of a table at a time. The lock is the kernel's own (flock(2)): whoever holds it and dies has released it,
 * so that a file left behind locks nothing.
 */
import { ftruncateSync, mkdirSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errno, IpvsError } from '../errors.ts';
import type { Native } from '../native.ts';

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

/** Throws LOCKED, which names the holder. */
export async function lock(path: string, options: LockOptions): Promise<Lock> {
  const { native, purpose, timeoutMs = 10_000, signal } = options;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(path, Math.abs((error as NodeJS.ErrnoException).errno ?? 0));
  }
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const fd = native.lockFile(path);
    if (fd >= 0) {
      ftruncateSync(fd);
      writeSync(fd, `${JSON.stringify({ pid: process.pid, purpose, since: new Date().toISOString() })}\n`);
      return { release: () => native.close(fd) };
    }
    if (fd !== -errno.EAGAIN) throw unusable(path, -fd);
    if (performance.now() >= deadline) throw new IpvsError('LOCKED', { subject: path, detail: holderOf(path) });
    await wait(TRY_AGAIN_MS, undefined, signal && { signal });
  }
}

function unusable(subject: string, code: number): IpvsError {
  const hint = 'the record of what was applied is kept there: --state-dir names another place';
  return new IpvsError('FILE_UNWRITABLE', { subject, errno: code, hint });
}

function holderOf(path: string): string {
  try {
    const { pid, purpose, since } = JSON.parse(readFileSync(path, 'utf8'));
    return `"${purpose}", process ${pid}, since ${since}`;
  } catch {
    return 'its holder says nothing of itself';
  }
}
