/** A state folder that another user can change is refused, before anything in it is read, written or removed. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { native } from '../../../src/kernel/native.ts';
import { FolderFiles } from '../../../src/record/files.ts';
import { lock } from '../../../src/record/lock.ts';
import { chainTo, inFolder } from '../../../src/record/own-folder.ts';

let place: string;
let root: string;
let folder: string;
let victim: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ipvs-own-'));
  root = join(place, 'state');
  folder = join(root, 'host');
  victim = join(place, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'ledger.json'), 'theirs');
  return () => rmSync(place, { recursive: true, force: true });
});

const link = (target: string, path: string) => {
  rmSync(path, { recursive: true, force: true });
  symlinkSync(target, path);
};

test.each([
  ['others can write to the state folder', () => chmodSync(root, 0o702), /: other users can write to it \(mode 702\)$/],
  ['its group can write to the folder of the table', () => chmodSync(folder, 0o1770), /host: .*\(mode 1770\)$/],
  ['others can write to a folder in it', () => chmodSync(join(folder, 'history'), 0o777), /history: .*mode 777/],
  ['the state folder is a link', () => renameSync(root, `${root}2`) ?? link(`${root}2`, root), /symbolic link$/],
  ['the folder of the table is a link', () => link(victim, folder), /host: .*symbolic link$/],
  ['a folder in it is a link', () => link(victim, join(folder, 'history')), /history: .*symbolic link$/],
])('%s: nothing is read, written, listed, removed or locked', async (_, spoil, message) => {
  const files = new FolderFiles(folder, root);
  files.write('history/ledger.json', 'ours');
  spoil();
  const unsafe = expect.objectContaining({ code: 'STORE_UNSAFE', message: expect.stringMatching(message) });
  expect(() => files.read('history/ledger.json')).toThrow(unsafe);
  expect(() => files.has('history/ledger.json')).toThrow(unsafe);
  expect(() => files.list('history')).toThrow(unsafe);
  expect(() => files.write('history/ledger.json', 'x')).toThrow(unsafe);
  expect(() => files.remove('history/ledger.json')).toThrow(unsafe);
  const options = { native: native(), purpose: 'test', root };
  await expect(lock(join(folder, 'history', 'lock'), options)).rejects.toEqual(unsafe);
  expect(readdirSync(victim)).toEqual(['ledger.json']);
});

test('a file that is a link, or no file, is not read', () => {
  const files = new FolderFiles(folder, root);
  files.write('ledger.json', 'ours');
  link(join(victim, 'ledger.json'), join(folder, 'ledger.json'));
  expect(() => files.read('ledger.json')).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE' }));
  files.write('ledger.json', 'new');
  expect(lstatSync(join(folder, 'ledger.json')).isFile()).toBe(true);
  mkdirSync(join(folder, 'drift.json'));
  expect(() => files.read('drift.json')).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE' }));
  expect(new FolderFiles(victim).read('ledger.json')?.toString()).toBe('theirs');
});

test('a folder stays the one that was checked, if it is renamed meanwhile', () => {
  new FolderFiles(folder, root).write('ledger.json', 'ours');
  inFolder(chainTo(folder, root), false, (at) => {
    renameSync(folder, `${folder}2`);
    symlinkSync(victim, folder);
    writeFileSync(join(at, 'ledger.json'), 'new');
  });
  expect(new FolderFiles(victim).read('ledger.json')?.toString()).toBe('theirs');
  expect(new FolderFiles(`${folder}2`).read('ledger.json')?.toString()).toBe('new');
});

test('a folder of its own is created where there is none, with those above it', () => {
  const files = new FolderFiles(join(place, 'a', 'b', 'host'), join(place, 'a', 'b'));
  expect(files.read('ledger.json')).toBeUndefined();
  expect(files.list('history')).toEqual([]);
  files.remove('ledger.json');
  files.write('history/00000001.json', 'x');
  expect(files.list('history')).toEqual(['00000001.json']);
  expect(lstatSync(join(place, 'a', 'b', 'host', 'history')).mode & 0o777).toBe(0o700);
});
