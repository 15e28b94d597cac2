import { beforeEach, describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { describeEntry, entryJson, historyTable } from '../../../src/cli/words/history.ts';
import { Director } from '../../../src/director/director.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const plain = (_: string, text: string) => text;
const source = { files: [{ path: 'web.yaml', sha256: 'ab'.repeat(32) }], hosts: {} };
const included = { ...source, files: [...source.files, { path: 'more.yaml', sha256: 'cd'.repeat(32) }] };
const two = stateOf({ [WEB]: { '10.0.0.11': 1, '10.0.0.12': 1 } });
const refused = stateOf({ [WEB]: { '10.0.0.11': 2, '127.255.255.255': 1 } });

let director: Director;
beforeEach(() => {
  const now = () => ({ wallMs: Date.UTC(2026, 10, 25, 7, 13, 2, 345), bootMs: 1000 });
  director = new Director({ ipvs: openMemory(), by: { user: 'alice', uid: 1000 }, now });
});

describe('the history', () => {
  test('of nothing', () => expect(historyTable(director.history(), plain)).toBe('nothing was applied'));

  test('is a line for each entry', async () => {
    await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.11': 1 } }) });
    await director.apply({ desired: two, source });
    await director.apply({ desired: refused, source: included });
    await director.apply((await director.undoIntent(2)).intent, { command: 'undo 2' });
    expect(historyTable(director.history().reverse(), plain).split('\n')).toEqual([
      'ID  WHEN                  WHO    COMMAND  OUTCOME  CHANGES  FILE',
      ' 4  2026-11-25T07:13:02Z  alice  undo 2   applied        1  -',
      ' 3  2026-11-25T07:13:02Z  alice  apply    undone         3  web.yaml and 1 more',
      ' 2  2026-11-25T07:13:02Z  alice  apply    applied        1  web.yaml',
      ' 1  2026-11-25T07:13:02Z  alice  apply    applied        2  -',
    ]);
  });
});

test('a damaged entry is a line too, and the file is named below', async () => {
  await director.apply({ desired: two });
  const error = new IpvsError('STORE_DAMAGED', { subject: '/st/history/00000002.json', hint: 'repair it' });
  const entries = [{ id: 2, error }, ...director.history()];
  expect(historyTable(entries, plain).split('\n').slice(1)).toEqual([
    ' 2  -                     -      -        damaged        -  -',
    ' 1  2026-11-25T07:13:02Z  alice  apply    applied        3  -',
    '/st/history/00000002.json: the record of what was applied is damaged; repair it',
  ]);
  expect(entries.map(entryJson)).toMatchObject([
    { id: 2, outcome: 'damaged', file: '/st/history/00000002.json', error: { code: 'STORE_DAMAGED' } },
    { id: 1, outcome: 'applied' },
  ]);
});

describe('an entry', () => {
  test('that was applied', async () => {
    await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.11': 1 } }) });
    await director.apply({ desired: two, source });
    expect(describeEntry(await director.entry(2), plain).split('\n')).toEqual([
      'entry    2',
      'when     2026-11-25T07:13:02Z',
      'who      alice (1000)',
      'command  apply',
      'file     web.yaml (sha256 abababababab)',
      'outcome  applied',
      'before   1 service, 1 destination (entry 1)',
      'after    1 service, 2 destinations',
      '',
      `  ${WEB}`,
      '    + 10.0.0.12:80  masquerade, weight 1',
      '1 added',
    ]);
  });

  test('that was undone says why, and what it was to do', async () => {
    await director.apply({ desired: refused });
    const lines = describeEntry(await director.entry(1), plain).split('\n');
    expect(lines.slice(4, 8)).toEqual([
      'outcome  undone: the table was as before',
      expect.stringMatching(/^error {4}add destination 127\.255\.255\.255:80 of .*EINVAL\)$/),
      'before   nothing',
      'wanted   1 service, 2 destinations',
    ]);
    expect(lines.at(-1)).toBe('3 to add');
  });

  test('that is not kept, or of which nothing stayed, is refused', async () => {
    await director.apply({ desired: refused });
    await expect(director.entry(7)).rejects.toMatchObject({ code: 'NO_SUCH_ENTRY', subject: '7' });
    await expect(director.undoIntent(1)).rejects.toMatchObject({
      code: 'NO_SUCH_ENTRY',
      detail: 'it was undone at once',
    });
    await expect(director.undoIntent()).rejects.toMatchObject({ code: 'NO_SUCH_ENTRY', detail: 'nothing was applied' });
  });
});

test('an undo goes back, and another one forth again', async () => {
  const one = stateOf({ [WEB]: { '10.0.0.11': 1 } });
  await director.apply({ desired: one, source });
  await director.apply({ desired: two, source: included });
  const back = await director.undoIntent();
  expect(back).toEqual({ id: 2, intent: { desired: one, source, undo: { id: 2, side: 'before' } } });
  await director.apply(back.intent, { command: 'undo 2' });
  expect(await director.undoIntent()).toEqual({
    id: 3,
    intent: { desired: two, source: included, undo: { id: 3, side: 'before' } },
  });
});
