/** Files of text, read whole. */
import { constants as buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type ErrorCode, errnoOf, IpvsError } from '../base/errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** O_NONBLOCK: a FIFO in place of the file would wait for a writer. O_NOCTTY: a terminal would become the process's. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const CHUNK_BYTES = 64 * 1024;
const STDIN = 0;
/** Between two looks at a standard input that is non-blocking and empty. */
const WAIT_MS = 20;

/** Reads a regular file, or standard input for 0. Throws FILE_UNREADABLE. */
export function readText(source: string | 0, name: string = String(source)): string {
  return textOf(readBytes(source, name, buffer.MAX_STRING_LENGTH), name);
}

/** Reads a regular file, or standard input for 0, of at most `mostBytes`. Throws FILE_UNREADABLE. */
export function readBytes(source: string | 0, name: string, mostBytes: number): Buffer {
  try {
    if (source === STDIN) return readAll(STDIN, name, mostBytes);
    // Opening a device can already have an effect, so the type is checked before, and again of what was opened.
    refuseOther(statSync(source), name);
    const fd = openSync(source, FLAGS);
    try {
      const stats = fstatSync(fd);
      refuseOther(stats, name);
      if (stats.size > mostBytes) throw tooLarge(name);
      return readAll(fd, name, mostBytes);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw error instanceof IpvsError ? error : fileError('FILE_UNREADABLE', name, error);
  }
}

/** Folders pass: reading one fails with EISDIR, which says more. */
function refuseOther(stats: Stats, subject: string): void {
  if (stats.isFile() || stats.isDirectory()) return;
  throw new IpvsError('FILE_UNREADABLE', {
    subject,
    detail: 'it is not a regular file',
    hint: '"-" reads from a pipe',
  });
}

function tooLarge(subject: string): IpvsError {
  return new IpvsError('FILE_UNREADABLE', { subject, detail: 'it is too large' });
}

function readAll(fd: number, name: string, mostBytes: number): Buffer {
  const chunks: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSome(fd, chunk);
    if (length === 0) return Buffer.concat(chunks, bytes);
    bytes += length;
    if (bytes > mostBytes) throw tooLarge(name);
    chunks.push(chunk.subarray(0, length));
  }
}

/**
 * Waits for data on a standard input that another program made non-blocking. `process.stdin` would wait by itself, but
 * a terminal that was read to its end by it can no longer be asked for a confirmation.
 */
function readSome(fd: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, chunk);
    } catch (error) {
      if (fd !== STDIN || (error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
    }
  }
}

/** Throws FILE_UNREADABLE for what is not UTF-8. */
export function textOf(bytes: Uint8Array, name: string): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new IpvsError('FILE_UNREADABLE', { subject: name, detail: 'it is not UTF-8', cause });
  }
}

/** What the system said of a file. */
export function fileError(code: ErrorCode, subject: string, cause: unknown): IpvsError {
  return new IpvsError(code, { subject, errno: errnoOf(cause), cause });
}
