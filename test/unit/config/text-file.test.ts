import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readText } from '../../../src/config/text-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-text-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('text is read whole', () => {
  const path = join(folder, 'good.yaml');
  writeFileSync(path, 'services: [] # ÄÖ→\n');
  expect(readText(path)).toBe('services: [] # ÄÖ→\n');
});

test.each([
  ['what is not there', 'missing.yaml', undefined, { errnoName: 'ENOENT', detail: undefined }],
  ['a folder', '.', undefined, { errnoName: 'EISDIR', detail: undefined }],
  [
    'what is not UTF-8',
    'latin1.yaml',
    Buffer.from([0x61, 0xff, 0x62]),
    { errno: undefined, detail: 'it is not UTF-8' },
  ],
])('%s is refused, by its name', (_, name, bytes, expected) => {
  const path = join(folder, name);
  if (bytes) writeFileSync(path, bytes);
  expect(() => readText(path)).toThrow(
    expect.objectContaining({ code: 'FILE_UNREADABLE', subject: path, ...expected }),
  );
});
