import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../../../src/ipvs/connection.ts';
import { KernelFiles } from '../../../src/ipvs/kernel-files.ts';
import type { Native } from '../../../src/kernel/native.ts';
import { interfaceNames } from '../../../src/proc/interfaces.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-proc-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** /proc/net/NAME has the next of these contents each time that it is opened; the last one stays. */
function files(...contents: readonly string[]): Native {
  const left = [...contents];
  const native: Pick<Native, 'openProcNet' | 'close'> = {
    openProcNet() {
      const path = join(folder, 'content');
      writeFileSync(path, (left.length > 1 ? left.shift() : left[0]) ?? '');
      return openSync(path, 'r');
    },
    close(fd) {
      closeSync(fd);
      return 0;
    },
  };
  return native as Native;
}

describe('the connection table', () => {
  const heading = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n';
  const line = 'TCP C0000207 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     899\n';

  async function read(content: string): Promise<Connection[]> {
    const all: Connection[] = [];
    const view = new KernelFiles({ native: files(content), namespacePath: '' });
    for await (const connection of view.connections()) all.push(connection);
    return all;
  }

  test('without connections is its heading', async () => {
    expect(await read(heading)).toEqual([]);
    expect(await read(heading + line)).toHaveLength(1);
  });

  test('without a heading is not a table without connections', async () => {
    await expect(read('')).rejects.toMatchObject({ code: 'REPLY_MALFORMED', subject: '/proc/net/ip_vs_conn' });
    await expect(read(line)).rejects.toMatchObject({ code: 'REPLY_MALFORMED' });
  });
});

describe('the network interfaces', () => {
  const devices = (...names: readonly string[]) =>
    `Inter-|   Receive |  Transmit\n face |bytes |bytes\n${names.map((name) => `${name}: ${'0 '.repeat(60)}\n`).join('')}`;
  const many = Array.from({ length: 40 }, (_, i) => `eth${i}`);

  test('of one page are read once', () => {
    expect(interfaceNames(files(devices('lo', 'eth0')), '')).toEqual(['lo', 'eth0']);
  });

  test('of several pages are those that two reads agree on', () => {
    const [torn, whole] = [devices(...many.slice(1)), devices(...many)];
    expect(interfaceNames(files(torn, whole, whole), '')).toEqual(many);
  });

  test('that never stay the same are an error, not a shorter list', () => {
    const changing = many.map((_, i) => devices(...many.filter((_, j) => j !== i)));
    expect(() => interfaceNames(files(...changing), '')).toThrow(expect.objectContaining({ code: 'TABLE_CHANGING' }));
  });
});
