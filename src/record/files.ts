/** Where the store keeps its files: a folder, or for what need not last the memory of this process. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errno, errnoOf, IpvsError } from '../base/errors.ts';
import { chainTo, inFolder } from './own-folder.ts';

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
  /** Names in a folder, whoever gave them, sorted; none if it is not there. */
  list(folder: string): string[];
}

/** Every call opens the folder anew and checks it: throws STORE_UNSAFE if another user can change it. */
export class FolderFiles implements Files {
  readonly place: string;
  readonly #root: string;

  /** `root`: the state folder, where `folder` is one of those in it. */
  constructor(folder: string, root: string = folder) {
    this.place = folder;
    this.#root = root;
  }

  read(name: string): Buffer | undefined {
    return this.#in('FILE_UNREADABLE', name, (path) => readRegular(path));
  }

  has(name: string): boolean {
    return this.#in('FILE_UNREADABLE', name, (path) => lstatSync(path).isFile()) ?? false;
  }

  write(name: string, bytes: Uint8Array | string): void {
    const path = join(this.place, name);
    try {
      inFolder(this.#chainTo(dirname(name)), true, (at) => writeDurably(join(at, basename(name)), bytes, 0o600));
    } catch (error) {
      throw recordError('FILE_UNWRITABLE', path, error);
    }
  }

  remove(name: string): void {
    this.#in('FILE_UNWRITABLE', name, (path) => {
      rmSync(path, { force: true });
      syncFolder(dirname(path));
    });
  }

  list(folder: string): string[] {
    return this.#in('FILE_UNREADABLE', `${folder}/`, (path) => readdirSync(path).sort()) ?? [];
  }

  /** Undefined if it is not there. */
  #in<T>(code: 'FILE_UNREADABLE' | 'FILE_UNWRITABLE', name: string, work: (path: string) => T): T | undefined {
    const isFolder = name.endsWith('/');
    try {
      return inFolder(this.#chainTo(isFolder ? name : dirname(name)), false, (at) =>
        work(isFolder ? at : join(at, basename(name))),
      );
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw recordError(code, join(this.place, name), error);
    }
  }

  #chainTo(folder: string) {
    return chainTo(join(this.place, folder), this.#root);
  }
}

export class VolatileFiles implements Files {
  readonly place = 'memory';
  readonly #files: Map<string, Buffer>;

  constructor(files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#files = new Map(files);
  }

  /** Others with the same contents. */
  copy(): VolatileFiles {
    return new VolatileFiles(this.#files);
  }

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

/** A name that `writeDurably` gives a file of this name until it is whole. */
export function isUnfinished(name: string, isFile: (name: string) => boolean): boolean {
  const [, file] = /^(.+)\.\d+\.tmp$/.exec(name) ?? [];
  return file !== undefined && isFile(file);
}

/** Whoever reads the file meanwhile, or after a crash, finds the old one or the new one, whole. */
export function writeDurably(path: string, bytes: Uint8Array | string, mode?: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
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

/** Of a file, and of nothing else: a link is not followed, and a pipe is not waited for. */
export function readRegular(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw Object.assign(new Error('it is no regular file'), { errno: errno.EINVAL });
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
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
  if (cause instanceof IpvsError) return cause;
  const hint = 'the record of what was applied is kept there: --state-dir names another place';
  return new IpvsError(code, { subject, hint, errno: errnoOf(cause), cause });
}
