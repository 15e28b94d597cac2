import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBytes, readText } from '../../../src/config/text-file.ts';

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

describe('what is not a regular file is refused at once', () => {
  const refused = (path: string, detail: string) =>
    expect(() => readText(path)).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE', subject: path, detail }));

  test.each(['/dev/zero', '/dev/null', '/dev/ptmx'])('%s', (device) => {
    refused(device, 'it is not a regular file');
    const link = join(folder, `link-to-${device.slice(5)}`);
    symlinkSync(device, link);
    refused(link, 'it is not a regular file');
  });

  test('a FIFO without a writer', () => {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    refused(path, 'it is not a regular file');
  });

  test('a file that is larger than any text, before it is read', () => {
    const path = join(folder, 'large');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    refused(path, 'it is too large');
  });
});

test('no more than the bound is read', () => {
  const path = join(folder, 'bounded');
  writeFileSync(path, 'x'.repeat(200_000));
  expect(readBytes(path, 'bounded', 200_000)).toHaveLength(200_000);
  expect(() => readBytes(path, 'bounded', 199_999)).toThrow('bounded: cannot read the file: it is too large');
  // A file of /proc says that it has no bytes.
  expect(readBytes('/proc/self/stat', 'stat', 100_000).length).toBeGreaterThan(0);
  expect(() => readBytes('/proc/self/stat', 'stat', 10)).toThrow('stat: cannot read the file: it is too large');
});
