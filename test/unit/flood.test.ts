/** The flood of the bench is bounded: what could reach anything real, or for long, is refused before a socket is opened. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileFlood } from '../helpers/flood.ts';

const folder = mkdtempSync(join(tmpdir(), 'ipvs-flood-'));
let program: string;

beforeAll(() => {
  program = compileFlood(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const within = { network: '198.18.0.0/16', address: '192.0.2.10', port: '80', rate: '20000', seconds: '120' };

/** Where there is no such interface: what is not refused does not get far either. */
function refusal(words: Partial<typeof within>): string {
  const { network, address, port, rate, seconds } = { ...within, ...words };
  const { status, stderr } = spawnSync(program, ['no-such-link', network, address, port, rate, seconds], {
    encoding: 'utf8',
  });
  expect(status).toBe(64);
  return stderr;
}

test.each([
  [{ network: '10.0.0.0/16' }, 'not inside of 198.18.0.0/15'],
  [{ network: '198.17.0.0/16' }, 'not inside of 198.18.0.0/15'],
  [{ network: '198.20.0.0/16' }, 'not inside of 198.18.0.0/15'],
  [{ network: '198.16.0.0/14' }, 'not inside of 198.18.0.0/15'],
  [{ network: '198.18.0.0/14' }, 'bits of hosts are set'],
  [{ network: '198.18.0.1/16' }, 'bits of hosts are set'],
  [{ network: '0.0.0.0/0' }, 'a number from 1 to 30'],
  [{ network: '198.18.0.0' }, 'is no network'],
  [{ network: '198.18.0.0/16x' }, 'a number from 1 to 30'],
  [{ address: '192.0.3.10' }, 'nothing real may be a target'],
  [{ address: '10.0.0.1' }, 'nothing real may be a target'],
  [{ address: 'localhost' }, 'is no IPv4 address'],
  [{ port: '0' }, 'from 1 to 65535'],
  [{ rate: '20001' }, 'from 1 to 20000'],
  [{ rate: '0' }, 'from 1 to 20000'],
  [{ rate: '-1' }, 'from 1 to 20000'],
  [{ rate: '4294967297' }, 'from 1 to 20000'],
  [{ rate: '99999999999999999999999' }, 'from 1 to 20000'],
  [{ seconds: '121' }, 'from 1 to 120'],
  [{ seconds: '1e1' }, 'from 1 to 120'],
])('%j is refused', (words, why) => {
  expect(refusal(words)).toContain(why);
});

test.each([{}, { network: '198.18.0.0/15' }, { network: '198.19.255.252/30' }, { address: '198.19.0.1' }])(
  '%j is within the bounds, but not in the first network namespace',
  (words) => {
    // Whoever may not look where that is, is refused as well.
    expect(refusal(words)).toMatch(/network namespace/);
  },
);
