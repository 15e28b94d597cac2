/**
 * The files in which the kernel's network code shows its tables, /proc/net/NAME, of any network namespace.
 * A file is made while it is read, which can take the kernel long: so it is read on a thread of libuv's.
 */
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf, IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';

const readPiece = promisify(read);

/** The kernel gives a page with each read; no line of its tables is nearly as long as this. */
const PIECE_BYTES = 64 * 1024;

/**
 * The lines of the file, some at a time; memory does not grow with the file. Every byte becomes one character
 * (latin1), because what packets carried need not be text. Throws PROC_UNREADABLE, REPLY_MALFORMED.
 */
export async function* linesOf(native: Native, namespacePath: string, name: string): AsyncGenerator<string[]> {
  const fd = native.openProcNet(namespacePath, name);
  if (fd < 0) throw unreadable(name, -fd);
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let rest = '';
  try {
    for (;;) {
      const { bytesRead } = await readPiece(fd, piece, 0, PIECE_BYTES, null).catch((error) => {
        throw unreadable(name, errnoOf(error) ?? 0, error);
      });
      if (bytesRead === 0) break;
      const lines = (rest + piece.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > PIECE_BYTES) throw malformed(name, 'an endless line');
      if (lines.length > 0) yield lines;
    }
  } finally {
    native.close(fd);
  }
  // The kernel ends every line.
  if (rest !== '') throw malformed(name, 'it ends within a line');
}

/** All of a small file. */
export async function allLinesOf(native: Native, namespacePath: string, name: string): Promise<string[]> {
  const all: string[] = [];
  for await (const lines of linesOf(native, namespacePath, name)) all.push(...lines);
  return all;
}

function malformed(name: string, detail: string): IpvsError {
  return new IpvsError('REPLY_MALFORMED', { subject: `/proc/net/${name}`, detail });
}

function unreadable(name: string, errno: number, cause?: unknown): IpvsError {
  return new IpvsError('PROC_UNREADABLE', { subject: `/proc/net/${name}`, errno, cause });
}
