import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withDirector, withVerb } from '../../../src/cli/spec/globals.ts';
import type { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { stateDirectory } from '../../../src/record/state-directory.ts';

const WEB = 'tcp://192.0.2.1:80';
const transport = 'memory';

let folder: string;
let state: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-verbs-'));
  state = join(folder, 'table.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const add = (ipvs: Ipvs) => ipvs.addService({ address: WEB });
const made = (place: string) => JSON.parse(readFileSync(join(place, 'ledger.json'), 'utf8')).made;

describe('a verb', () => {
  test('remembers what it made beside the table', async () => {
    await withVerb({ transport, state }, 'service add', { makes: [WEB] }, add);
    expect(made(`${state}.d`)).toEqual([WEB]);
    const ownerOf = await withDirector({ transport, state }, (director) => director.owners());
    expect([ownerOf(WEB), ownerOf('fwmark:1')]).toEqual(['verb', 'foreign']);
    await withVerb({ transport, state }, 'service delete', { takes: [WEB] }, (ipvs) => ipvs.removeService(WEB));
    expect(made(`${state}.d`)).toEqual([]);
  });

  test('or where it is told to', async () => {
    const stateDir = join(folder, 'record');
    await withVerb({ transport, state, stateDir }, 'service add', { makes: [WEB] }, add);
    expect(made(stateDir)).toEqual([WEB]);
    expect(existsSync(`${state}.d`)).toBe(false);
  });

  test('that is refused remembers nothing', async () => {
    const refused = withVerb({ transport, state }, 'service add', { makes: [WEB, 'fwmark:1'] }, async (ipvs) => {
      await add(ipvs);
      await add(ipvs);
    });
    await expect(refused).rejects.toMatchObject({ code: 'SERVICE_EXISTS' });
    expect(JSON.parse(readFileSync(join(`${state}.d`, 'ledger.json'), 'utf8'))).toMatchObject({ made: [] });
  });
});

describe('records of the kernel are', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  test('where IPVS_DIRECTOR_STATE_DIR says, unless it is empty', () => {
    process.env['IPVS_DIRECTOR_STATE_DIR'] = 'record';
    expect(stateDirectory()).toBe(join(process.cwd(), 'record'));
    process.env['IPVS_DIRECTOR_STATE_DIR'] = '';
    expect(stateDirectory()).toMatch(/ipvs-director$/);
  });
});
