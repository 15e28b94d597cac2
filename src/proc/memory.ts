/** Memory of the whole host: /proc/meminfo, /proc/pressure/memory (since Linux 4.20, where it is not left out). */
import { readFileSync } from 'node:fs';
import { errno, errnoOf, IpvsError } from '../base/errors.ts';

export interface MemoryInfo {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly buffersBytes: number;
  /** What programs could have without swapping: with the cache that can be given up. */
  readonly availableBytes: number;
}

/** Throws PROC_UNREADABLE, REPLY_MALFORMED. */
export function readMemory(): MemoryInfo {
  return memoryOf(textOf(MEMINFO));
}

/** The share of the last 10 seconds in which some task waited for memory, 0 to 1; undefined where the kernel does not tell. */
export function readMemoryPressure(): number | undefined {
  try {
    return pressureOf(textOf(PRESSURE));
  } catch (error) {
    // EOPNOTSUPP: it is built in, and switched off at boot.
    if (error instanceof IpvsError && (error.errno === errno.ENOENT || error.errno === errno.EOPNOTSUPP))
      return undefined;
    throw error;
  }
}

const MEMINFO = '/proc/meminfo';
const PRESSURE = '/proc/pressure/memory';

/** Throws REPLY_MALFORMED. */
export function memoryOf(text: string): MemoryInfo {
  const bytes = (name: string) => {
    const [, kibibytes] = new RegExp(`^${name}: *(\\d{1,15}) kB$`, 'm').exec(text) ?? [];
    if (kibibytes === undefined) throw malformed(MEMINFO, `it has no ${name}`);
    return Number(kibibytes) * 1024;
  };
  return {
    totalBytes: bytes('MemTotal'),
    freeBytes: bytes('MemFree'),
    buffersBytes: bytes('Buffers'),
    availableBytes: bytes('MemAvailable'),
  };
}

/** Throws REPLY_MALFORMED. */
export function pressureOf(text: string): number {
  const [, percent] = /^some avg10=(\d{1,3}\.\d\d) /m.exec(text) ?? [];
  if (percent === undefined) throw malformed(PRESSURE, 'it has no avg10');
  return Number(percent) / 100;
}

const AT_PAGESZ = 6n;
const FALLBACK_PAGE_BYTES = 4096;
let page: number | undefined;

/** Of this machine, as the kernel told it to the process (/proc/self/auxv, getauxval(3)): 4096, on arm64 up to 65536. */
export function pageBytes(): number {
  page ??= pageOf(readFileSync('/proc/self/auxv'));
  return page;
}

export function pageOf(auxiliary: Buffer): number {
  for (let at = 0; at + 16 <= auxiliary.length; at += 16) {
    if (auxiliary.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxiliary.readBigUInt64LE(at + 8));
  }
  return FALLBACK_PAGE_BYTES;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (cause) {
    throw new IpvsError('PROC_UNREADABLE', { subject: path, errno: errnoOf(cause), cause });
  }
}

function malformed(subject: string, detail: string): IpvsError {
  return new IpvsError('REPLY_MALFORMED', { subject, detail });
}
