/** Files of text, read whole. */
import { readFileSync } from 'node:fs';
import { type ErrorCode, errnoOf, IpvsError } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** 0 is standard input. Throws FILE_UNREADABLE. */
export function readText(source: string | 0, name: string = String(source)): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(source);
  } catch (error) {
    throw fileError('FILE_UNREADABLE', name, error);
  }
  return textOf(bytes, name);
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
