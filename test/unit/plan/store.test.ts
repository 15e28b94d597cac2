import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { FolderFiles, VolatileFiles, writeDurably } from '../../../src/record/files.ts';
import { type HistoryEntry, type Ledger, ledgerFor } from '../../../src/record/ledger.ts';
import { makeFolder } from '../../../src/record/own-folder.ts';
import { isListOf, isNumber, isText, type Shape } from '../../../src/record/shapes.ts';
import { Store } from '../../../src/record/store.ts';
import { mutants } from '../../helpers/mutants.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-store-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

const anything: Shape<unknown> = { name: 'value', fits: (_): _ is unknown => true };

const ledger: Ledger = { ...ledgerFor('a', undefined), made: ['tcp://192.0.2.1:80'] };
const entry = (id: number, value: string): HistoryEntry => ({
  version: 1,
  id,
  table: 'a',
  at: new Date(id).toISOString(),
  by: { user: 'root', uid: 0 },
  command: 'apply',
  outcome: 'applied',
  changes: 1,
  files: [],
  hosts: {},
  desired: value,
  previous: null,
  plan: value,
  before: value,
  after: value,
});

describe.each([
  ['a folder', () => new FolderFiles(join(folder, 'record'))],
  ['memory', () => new VolatileFiles()],
])('a store in %s', (_, files) => {
  test('is empty at first', async () => {
    const store = new Store(files());
    expect([store.ledger(), store.journal(), store.history()]).toEqual([undefined, undefined, []]);
  });

  test('gives back what it was given; the same value has one name', async () => {
    const kept = files();
    const store = new Store(kept);
    store.writeLedger(ledger);
    const value = { services: [{ address: 'tcp://192.0.2.1:80' }] };
    const id = await store.put(value, anything);
    expect(await store.put(structuredClone(value), anything)).toBe(id);
    expect(await store.put({ services: [] }, anything)).not.toBe(id);

    const again = new Store(kept);
    expect(again.ledger()).toEqual(ledger);
    expect(await again.get(id, anything)).toEqual(value);
  });

  test('keeps a hundred applies or a few more, and of values those that they name', async () => {
    const store = new Store(files());
    store.writeLedger(ledger);
    for (let i = 1; i <= 130; i++) store.addHistory(entry(i, await store.put({ value: i }, anything)));
    const ids = store.history().map(({ id }) => id);
    expect(ids.length).toBeGreaterThanOrEqual(100);
    expect(ids.length).toBeLessThan(120);
    expect(ids.at(-1)).toBe(130);
    for (const { id, plan } of store.history()) expect(await store.get(plan, anything)).toEqual({ value: id });
  });
});

describe('of applies and direct commands', () => {
  /** The ids that are kept; "a" is an apply, "d" a direct command. */
  function keptOf(kinds: string): number[] {
    const store = new Store(new VolatileFiles());
    const value = '0'.repeat(64);
    for (const [i, kind] of [...kinds].entries())
      store.addHistory({ ...entry(i + 1, value), ...(kind === 'd' && { touched: ['fwmark:1'] }) });
    return store.history().map(({ id }) => id);
  }
  const upTo = (last: number, number: number) => Array.from({ length: number }, (_, i) => last - number + 1 + i);

  test.each([
    ['hundreds of direct commands push no apply out', 'a'.repeat(100) + 'd'.repeat(500), 600],
    ['a hundred applies push out what came before them', 'd'.repeat(60) + 'a'.repeat(120), 100],
    ['with an apply goes what came before it, so that an undo has all that follow', 'dda'.repeat(140), 3 * 100],
    ['more direct commands than are kept push out applies', 'a'.repeat(20) + 'd'.repeat(600), 500],
  ])('%s', (_, kinds, number) => {
    expect(keptOf(kinds)).toEqual(upTo(kinds.length, number));
  });

  test('an entry that cannot be read counts as an apply', () => {
    const files = new VolatileFiles();
    const store = new Store(files);
    for (let id = 1; id < 120; id++) store.addHistory(entry(id, '0'.repeat(64)));
    files.write('history/00000119.json', Buffer.from('{'));
    store.addHistory(entry(120, '0'.repeat(64)));
    expect([store.history().length, store.damagedEntries().map(({ id }) => id)]).toEqual([99, [119]]);
  });
});

describe('a value with long lists', () => {
  const service = (i: number) => ({ service: { address: `tcp://192.0.2.1:${i}` }, destinations: [] });
  const services = Array.from({ length: 1000 }, (_, i) => service(i + 1));
  const state = { services, limits: { maxChange: 0.5 } };

  test.each([
    ['a list of it', state],
    ['two of them', { ...state, others: services.toReversed(), none: [] }],
    ['the list itself', services],
    ['a list that is not long', [1, 2]],
    ['none', null],
  ])('comes back as it was: %s', async (_, value) => {
    const files = new FolderFiles(folder);
    const id = await new Store(files).put(value, anything);
    const again = await new Store(files).get(id, anything);
    expect(again).toEqual(value);
    expect(JSON.stringify(again)).toBe(JSON.stringify(value));
    expect(await new Store(files).put(again, anything)).toBe(id);
  });

  test('is read only where it differs from one that was looked at', async () => {
    const files = new FolderFiles(folder);
    const id = await new Store(files).put(state, anything);
    const store = new Store(files);
    const next = { ...state, services: services.with(700, service(7000)) };
    await store.look(next, anything);
    const read = await store.get(id, anything as Shape<typeof state>);
    expect(read).toEqual(state);
    expect(read.services[0]).toBe(services[0]);
    expect(read.services[999]).toBe(services[999]);
    expect(read.services[700]).not.toBe(services[700]);
    expect(await new Store(files).get(await store.put(next, anything), anything)).toEqual(next);
  });

  test('that differs in one place has another name', async () => {
    const store = new Store(new VolatileFiles());
    const id = await store.put(state, anything);
    expect(await store.put({ ...state, services: services.with(999, service(1)) }, anything)).not.toBe(id);
    expect(await store.put({ ...state, services: services.toSpliced(0, 1) }, anything)).not.toBe(id);
    expect(await store.put({ ...state, limits: {} }, anything)).not.toBe(id);
    expect(await store.put({ limits: state.limits, other: services }, anything)).not.toBe(id);
  });

  test('of an earlier release is read: compressed whole, and named by that', async () => {
    const bytes = gzipSync(JSON.stringify(state));
    const id = createHash('sha256').update(bytes).digest('hex');
    const files = new FolderFiles(folder);
    files.write(`objects/${id}.json.gz`, bytes);
    expect(await new Store(files).get(id, anything)).toEqual(state);
    files.write(`objects/${id}.json.gz`, bytes.with(100, 0));
    await expect(new Store(files).get(id, anything)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });
});

describe('a damaged store says so', () => {
  test.each([
    ['cut off', (text: string) => text.slice(0, 20), 'it is no JSON'],
    ['of another release', (text: string) => text.replace('"version": 1', '"version": 2'), 'of another release'],
    ['without its parts', () => '{"version":1}', 'parts of it are missing'],
    ['something else', () => '[]', 'it is no object'],
    ['a word', () => '"x"', 'it is no object'],
  ])('a ledger that is %s', (_, damage, words) => {
    const store = new Store(new FolderFiles(folder));
    store.writeLedger(ledger);
    const path = join(folder, 'ledger.json');
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    expect(() => store.ledger()).toThrow(
      expect.objectContaining({ code: 'STORE_DAMAGED', subject: path, message: expect.stringContaining(words) }),
    );
  });

  test('a value that is not what was written, or gone', async () => {
    const value = { a: [1], list: Array.from({ length: 300 }, (_, i) => i % 3) };
    const files = new VolatileFiles();
    const id = await new Store(files).put(value, anything);
    const name = `objects/${id}.pieces`;
    const bytes = files.read(name) as Buffer;
    for (let i = 0; i < bytes.length; i++) {
      files.write(name, bytes.with(i, (bytes[i] as number) ^ 1));
      await expect(new Store(files).get(id, anything), `byte ${i}`).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
      files.write(name, bytes.subarray(0, i));
      await expect(new Store(files).get(id, anything), `${i} bytes`).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    }
    // What has all of its pieces would take them from there.
    const store = new Store(files);
    await store.look({ ...value, more: true }, anything);
    await expect(store.get(id, anything)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    files.remove(name);
    await expect(new Store(files).get(id, anything)).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
  });
});

describe('a value of another shape', () => {
  const texts: Shape<string[]> = { name: 'list of texts', fits: (value): value is string[] => isListOf(value, isText) };
  const numbers: Shape<number[]> = {
    name: 'list of numbers',
    fits: (value): value is number[] => isListOf(value, isNumber),
  };

  test('is damage, with the name of its file and what to do; also where it is at hand', async () => {
    const files = new FolderFiles(folder);
    const store = new Store(files);
    const id = await store.put(['a'], texts);
    for (const each of [store, new Store(files)]) {
      expect(await each.get(id, texts)).toEqual(['a']);
      const subject = join(folder, 'objects', `${id}.pieces`);
      const error = await each.get(id, numbers).catch((error) => error);
      expect(error).toMatchObject({ code: 'STORE_DAMAGED', subject, detail: 'it is no list of numbers' });
      expect(error.hint).toContain(`restore ${subject} from a copy`);
    }
  });

  test('is looked for once in each value that is read, and never in what was put', async () => {
    let looks = 0;
    const counting: Shape<string[]> = {
      name: 'list of texts',
      fits: (value): value is string[] => {
        looks++;
        return texts.fits(value);
      },
    };
    const files = new FolderFiles(folder);
    const store = new Store(files);
    const id = await store.put(['a'], counting);
    await store.get(id, counting);
    expect(looks).toBe(0);
    const again = new Store(files);
    await again.get(id, counting);
    await again.get(id, counting);
    expect(looks).toBe(1);
  });
});

describe('the history with a file that is not as it was written', () => {
  const path = (name: string) => join(folder, 'history', name);
  let store: Store;
  beforeEach(async () => {
    store = new Store(new FolderFiles(folder));
    for (let id = 1; id <= 3; id++) store.addHistory(entry(id, await store.put({ value: id }, anything)));
  });

  test.each([
    ['empty', () => writeFileSync(path('00000002.json'), '')],
    ['of another shape', () => writeFileSync(path('00000002.json'), '{"version":1,"id":2,"files":{},"by":null}')],
    ['a copy of another', () => copyFileSync(path('00000001.json'), path('00000002.json'))],
    [
      'a link',
      () => {
        rmSync(path('00000002.json'));
        symlinkSync(path('00000001.json'), path('00000002.json'));
      },
    ],
    [
      'a folder',
      () => {
        rmSync(path('00000002.json'));
        mkdirSync(path('00000002.json'));
      },
    ],
  ])('has one damaged entry and all others: %s', (_, damage) => {
    damage();
    expect(store.history().map(({ id }) => id)).toEqual([1, 3]);
    expect(store.lastApplied()).toMatchObject({ id: 3 });
    const [damaged, ...none] = store.damagedEntries();
    expect(none).toEqual([]);
    expect(damaged).toMatchObject({ id: 2, error: { code: 'STORE_DAMAGED', subject: path('00000002.json') } });
    expect(damaged?.error.hint).toContain(path('00000002.json'));
  });

  test('does not take an older entry for the last one, if the last one is damaged', () => {
    writeFileSync(path('00000003.json'), '{');
    const hint = `name the entry that is meant, such as 2; or repair ${path('00000003.json')}, or move it away`;
    expect(() => store.lastApplied()).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED', hint }));
  });

  test('goes on while an entry is damaged, and keeps all values until that is forgotten', async () => {
    const value = await store.put({ value: 'perhaps named by the damaged entry' }, anything);
    const add = async (from: number, to: number) => {
      for (let id = from; id <= to; id++) store.addHistory(entry(id, await store.put({ value: 0 }, anything)));
    };
    await add(4, 50);
    writeFileSync(path('00000050.json'), '');
    await add(51, 130);
    expect(store.damagedEntries()).toMatchObject([{ id: 50 }]);
    expect(await new Store(new FolderFiles(folder)).get(value, anything)).toBeDefined();
    await add(131, 170);
    expect(store.damagedEntries()).toEqual([]);
    await expect(new Store(new FolderFiles(folder)).get(value, anything)).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    });
  });

  test('ignores files of others, and removes only what an interrupted write left', async () => {
    const others = ['.00000001.json.swp', '00000001.json~', 'notes.txt', 'x.1.tmp', '00000001.json.tmp'];
    for (const name of others) writeFileSync(path(name), '');
    for (const name of ['00000002.json.1.tmp', '00000007.json.4194304.tmp']) writeFileSync(path(name), '{');
    const value = `${'0f'.repeat(32)}.pieces.1.tmp`;
    writeFileSync(join(folder, 'objects', value), '');
    writeFileSync(join(folder, 'objects', 'x.pieces'), '');
    writeFileSync(join(folder, 'ledger.json.1.tmp'), '');
    store.writeLedger(ledger);
    for (let id = 4; id <= 130; id++) store.addHistory(entry(id, await store.put({ value: id }, anything)));
    const kept = readdirSync(join(folder, 'history'));
    expect(kept.filter((name) => !/^\d{8}\.json$/.test(name))).toEqual(others.toSorted());
    expect(readdirSync(join(folder, 'objects'))).not.toContain(value);
    expect(readdirSync(join(folder, 'objects'))).toContain('x.pieces');
    expect(readdirSync(folder)).not.toContain('ledger.json.1.tmp');
    expect(store.damagedEntries()).toEqual([]);
  });
});

describe('JSON of another shape is damage, whatever it is', () => {
  const applied = { id: 1, table: 'a', at: '2026-11-25T07:13:02Z', desired: '0f'.repeat(32), files: [], hosts: {} };
  const place = { service: 'tcp://192.0.2.1:80', destination: '10.0.0.1:80' };
  const held = { active: 0, inactive: 0, entries: 0, templates: 0 };
  const drain = { ...place, startedBootMs: 1, deadlineBootMs: 2, afterwards: 'keep', weight: 1, by: 'verb' };
  const over = { ...drain, ended: { bootMs: 1, how: 'drained', held } };
  const ramp = { ...place, startedBootMs: 1, durationSeconds: 1, floor: 0.1, curve: 'linear', weight: 5 };
  const whole = { ...ledger, applied, drains: [drain, over], ended: [over], ramps: [ramp] };
  const journal = {
    version: 1,
    command: 'apply',
    by: { user: 'root', uid: 0 },
    next: { ...whole, changedSysctls: { 'net.ipv4.vs.expire_nodest_conn': 0 } },
    before: '0f'.repeat(32),
    plan: '0f'.repeat(32),
  };

  test.each([
    ['ledger.json', whole, (store: Store) => store.ledger()],
    ['journal.json', journal, (store: Store) => store.journal()],
    ['history/00000001.json', entry(1, '0f'.repeat(32)), (store: Store) => store.entry(1)],
  ] as const)('%s', (name, value, read) => {
    const files = new VolatileFiles();
    const store = new Store(files);
    files.write(name, JSON.stringify(value));
    expect(read(store)).toEqual(value);
    let refused = 0;
    for (const changed of mutants(value)) {
      files.write(name, JSON.stringify(changed));
      try {
        read(store);
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORE_DAMAGED' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});

test('a folder is made with those above it; where none can be made that is said', () => {
  makeFolder(join(folder, 'a', 'b', 'c'));
  makeFolder(join(folder, 'a', 'b', 'c'));
  expect(readdirSync(join(folder, 'a', 'b'))).toEqual(['c']);
  expect(() => makeFolder('/proc/nowhere/below')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => makeFolder('/dev/null/below')).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
});

test('a file is written whole or not at all, and nothing is left beside it', () => {
  const path = join(folder, 'file');
  writeDurably(path, 'old');
  rmSync(path);
  writeDurably(path, 'new', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(() => writeDurably(join(folder, 'none', 'file'), 'x')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  chmodSync(folder, 0o700);
  expect(readdirSync(folder)).toEqual(['file']);
});

test('of another table only what should be is known', () => {
  const applied = { id: 3, table: 'a', at: '', desired: 'x', files: [], hosts: {} };
  const known = { ...ledger, applied, nextId: 4 };
  expect(ledgerFor('a', known)).toBe(known);
  expect(ledgerFor('b', known)).toEqual({ ...ledgerFor('b', undefined), applied, nextId: 4 });
});
