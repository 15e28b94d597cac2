/** Folders of the record: opened without following links, and refused if another user can change what is in them. */
import { closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { IpvsError } from '../base/errors.ts';

/** Path of the state folder, then the names of the folders below it, down to the one that is meant. */
export type FolderChain = readonly [root: string, ...names: string[]];

/** `folder` is `root`, or lies below it. */
export function chainTo(folder: string, root: string): FolderChain {
  return [root, ...relative(root, folder).split('/').filter(Boolean)];
}

/**
 * Calls `work` with a path that stays this folder while it runs, whatever is renamed meanwhile. With `make`, creates what
 * is missing. Throws STORE_UNSAFE, and the system's own errors: ENOENT for a folder that does not exist.
 */
export function inFolder<T>([root, ...names]: FolderChain, make: boolean, work: (at: string) => T): T {
  if (make) makeFolder(root);
  let fd = openOwn(root, root, root);
  let at = pathOf(fd, root);
  let path = root;
  try {
    for (const name of names) {
      if (make) makeOne(`${at}/${name}`);
      path = join(path, name);
      const next = openOwn(`${at}/${name}`, path, root);
      closeSync(fd);
      fd = next;
      at = pathOf(fd, path);
    }
    return work(at);
  } finally {
    closeSync(fd);
  }
}

/** With those above it. Not by `recursive`: Node 20 never comes back from where nothing can be made, such as below /proc. */
export function makeFolder(path: string): void {
  try {
    makeOne(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    makeOne(path);
  }
}

/** Another process may create it at the same time. */
function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** `shown` is its path for messages. */
function openOwn(path: string, shown: string, root: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) throw linked(shown, root);
    throw error;
  }
  try {
    refuseUnsafe(fd, shown);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const OTHERS_WRITE = 0o022;

/** Root may own it: root can change everything as it is. */
function refuseUnsafe(fd: number, shown: string): void {
  const { uid, mode } = fstatSync(fd);
  const own = process.geteuid?.();
  if (own !== undefined && uid !== own && uid !== 0) {
    const detail = `user ${uid} owns it, and this is user ${own}`;
    throw unsafe(shown, detail, 'name a folder of your own with --state-dir');
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    const detail = `other users can write to it (mode ${(mode & 0o7777).toString(8)})`;
    throw unsafe(shown, detail, `"chmod go-w ${shown}" ends that; or name another folder with --state-dir`);
  }
}

function linked(shown: string, root: string): IpvsError {
  const hint =
    shown === root
      ? 'name the folder that it leads to with --state-dir'
      : 'the record creates its folders itself: remove the link';
  return unsafe(shown, 'it is a symbolic link', hint);
}

function unsafe(subject: string, detail: string, hint: string): IpvsError {
  return new IpvsError('STORE_UNSAFE', { subject, detail, hint });
}

const DESCRIPTORS = '/proc/self/fd';

/** The folder behind a descriptor; where the system does not show descriptors, by its path. */
function pathOf(fd: number, path: string): string {
  return existsSync(DESCRIPTORS) ? `${DESCRIPTORS}/${fd}` : path;
}
