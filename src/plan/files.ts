/** Where the store keeps its files: a folder, or for what need not last the memory of this process. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, IpvsError } from '../errors.ts';

/** Names are relative paths with `/`. */
export interface Files {
  /** For messages. */
  readonly place: string;
  /** Undefined if it is not there. */
  read(name: string): Buffer | undefined;
  has(name: string): boolean;
  /** Whole and lasting, or not at all. */
  write(name: string, bytes: Uint8Array | string): void;
  remove(name: string): void;
  /** Names in a folder, sorted; none if it is not there. */
  list(folder: string): string[];
}

export class FolderFiles implements Files {
  readonly place: string;

  constructor(folder: string) {
    this.place = folder;
  }

  read(name: string): Buffer | undefined {
    try {
      return readFileSync(join(this.place, name));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw recordError('FILE_UNREADABLE', join(this.place, name), error);
    }
  }

  has(name: string): boolean {
    return statSync(join(this.place, name), { throwIfNoEntry: false }) !== undefined;
  }

  write(name: string, bytes: Uint8Array | string): void {
    const path = join(this.place, name);
    try {
      makeFolder(dirname(path));
      writeDurably(path, bytes, 0o600);
    } catch (error) {
      throw recordError('FILE_UNWRITABLE', path, error);
    }
  }

  remove(name: string): void {
    const path = join(this.place, name);
    try {
      rmSync(path, { force: true });
      syncFolder(dirname(path));
    } catch (error) {
      if (!isAbsent(error)) throw recordError('FILE_UNWRITABLE', path, error);
    }
  }

  list(folder: string): string[] {
    try {
      return readdirSync(join(this.place, folder))
        .filter((name) => !name.endsWith(UNFINISHED))
        .sort();
    } catch (error) {
      if (isAbsent(error)) return [];
      throw recordError('FILE_UNREADABLE', join(this.place, folder), error);
    }
  }
}

export class VolatileFiles implements Files {
  readonly place = 'memory';
  readonly #files = new Map<string, Buffer>();

  read(name: string): Buffer | undefined {
    return this.#files.get(name);
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  write(name: string, bytes: Uint8Array | string): void {
    this.#files.set(name, Buffer.from(bytes as Uint8Array));
  }

  remove(name: string): void {
    this.#files.delete(name);
  }

  list(folder: string): string[] {
    const prefix = `${folder}/`;
    const names = [...this.#files.keys()].filter((name) => name.startsWith(prefix));
    return names.map((name) => name.slice(prefix.length)).sort();
  }
}

/** With those above it. Not by `recursive`: Node 20 never comes back from where nothing can be made, such as below /proc. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

const UNFINISHED = '.tmp';

/** Whoever reads the file meanwhile, or after a crash, finds the old one or the new one, whole. */
export function writeDurably(path: string, bytes: Uint8Array | string, mode?: number): void {
  const temporary = `${path}.${process.pid}${UNFINISHED}`;
  try {
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(fd, bytes);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** A new name lasts when its folder was written. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** What the system said of a file of the record. */
export function recordError(code: 'FILE_UNREADABLE' | 'FILE_UNWRITABLE', subject: string, cause: unknown): IpvsError {
  const hint = 'the record of what was applied is kept there: --state-dir names another place';
  return new IpvsError(code, { subject, hint, errno: errnoOf(cause), cause });
}
