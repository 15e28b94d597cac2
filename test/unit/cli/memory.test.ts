import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { enterNamespace, withIpvs } from '../../../src/cli/spec/globals.ts';
import { UsageError } from '../../../src/cli/terminal/exit.ts';
import type { Ipvs } from '../../../src/ipvs/ipvs.ts';

vi.mock('../../../src/kernel/native.ts', () => ({
  native() {
    throw new Error('the addon was asked for');
  },
}));

const WEB = 'tcp://192.0.2.1:80';
const transport = 'memory';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-memory-'));
  file = join(folder, 'table.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const addWeb = (ipvs: Ipvs) => ipvs.addService({ address: WEB });
const services = async (ipvs: Ipvs) => (await ipvs.snapshot()).services.map(({ address }) => address);

describe('--transport memory', () => {
  it('without a file is an empty table, and leaves nothing', async () => {
    await withIpvs({ transport }, addWeb);
    expect(await withIpvs({ transport }, services)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('with a file keeps what was done, and writes only after a change', async () => {
    expect(await withIpvs({ transport, state: file }, services)).toEqual([]);
    expect(existsSync(file)).toBe(false);

    await withIpvs({ transport, state: file }, addWeb);
    const { mtimeMs, ino } = statSync(file);
    expect(await withIpvs({ transport, state: file }, services)).toEqual([WEB]);
    await expect(withIpvs({ transport, state: file }, addWeb)).rejects.toMatchObject({ code: 'SERVICE_EXISTS' });
    expect(statSync(file)).toMatchObject({ mtimeMs, ino });
    expect(readdirSync(folder)).toEqual(['table.json']);
  });

  it('keeps what was done before a refusal', async () => {
    const work = async (ipvs: Ipvs) => {
      await addWeb(ipvs);
      await addWeb(ipvs);
    };
    await expect(withIpvs({ transport, state: file }, work)).rejects.toMatchObject({ code: 'SERVICE_EXISTS' });
    expect(await withIpvs({ transport, state: file }, services)).toEqual([WEB]);
  });

  it('follows a link, and keeps the mode of the file', async () => {
    const link = join(folder, 'link.json');
    writeFileSync(file, '');
    chmodSync(file, 0o600);
    symlinkSync('table.json', link);
    await withIpvs({ transport, state: link }, addWeb);
    expect(readlinkSync(link)).toBe('table.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8')).services).toHaveLength(1);
  });

  it('refuses a file that is no table, and leaves it', async () => {
    writeFileSync(file, '{"services": [{"address": "tcp://192.0.2.1"}]}');
    await expect(withIpvs({ transport, state: file }, addWeb)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      problems: [{ file, line: 1, path: 'services[0].address' }],
    });
    expect(readFileSync(file, 'utf8')).toContain('tcp://192.0.2.1"');
  });

  it('says what cannot be read or written', async () => {
    mkdirSync(file);
    const unreadable = { code: 'FILE_UNREADABLE', subject: file, errnoName: 'EISDIR' };
    await expect(withIpvs({ transport, state: file }, services)).rejects.toMatchObject(unreadable);
    const nowhere = join(folder, 'none', 'table.json');
    const unwritable = { code: 'FILE_UNWRITABLE', subject: nowhere, errnoName: 'ENOENT' };
    await expect(withIpvs({ transport, state: nowhere }, addWeb)).rejects.toMatchObject(unwritable);
  });

  it('is of no network namespace, and --state is of no other transport', async () => {
    await expect(enterNamespace({ transport, netns: 'blue' })).rejects.toThrow(UsageError);
    for (const other of ['auto', 'netlink', 'sockopt', undefined] as const) {
      const options = { state: file, ...(other && { transport: other }) };
      await expect(withIpvs(options, services)).rejects.toThrow(UsageError);
    }
  });
});
