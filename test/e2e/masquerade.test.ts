/** From the file to the packets: the example applied by the command, requests sent, answers counted. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientAddresses, type Lab, startLab } from '../../scripts/lib/lab.mjs';

const program = 'dist/cli/ipvs.js';
const example = 'examples/web.yaml';
const hostSettings = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/default/accept_ra'];

let lab: Lab;
let folder: string;
const settingsBefore = readSettings();

beforeAll(async () => {
  if (!existsSync(program)) throw new Error(`${program} is missing: run "npm run build" first`);
  folder = mkdtempSync(join(tmpdir(), 'ipvs-e2e-'));
  lab = await startLab('e2e');
});

afterAll(async () => {
  await lab?.close();
  if (folder) rmSync(folder, { recursive: true });
});

function apply(file: string): string {
  const words = [program, 'apply', file, '--yes', '--netns', lab.director];
  return execFileSync(process.execPath, words, { encoding: 'utf8', stdio: 'pipe' });
}

function readSettings(): string[] {
  return hostSettings.map((name) => readFileSync(`/proc/sys/net/${name}`, 'utf8'));
}

/** Without the server that has a third of the weight. */
function withoutReal2(): string {
  const lines = readFileSync(example, 'utf8').split('\n');
  const kept = lines.filter((line) => !/10\.0\.0\.12,|2001:db8:a::12"/.test(line));
  expect(lines.length - kept.length).toBe(3);
  const file = join(folder, 'web.yaml');
  writeFileSync(file, kept.join('\n'));
  return file;
}

test('an applied file is in force, and applying it again changes nothing', () => {
  expect(apply(example)).toContain('12 changes made');
  expect(apply(example)).toMatch(/^nothing to change/);
});

test.each([
  ['TCP over IPv4', 'http://192.0.2.10/', clientAddresses.ipv4, 1],
  ['TCP over IPv6', 'http://[2001:db8::10]/', clientAddresses.ipv6, 1],
  ['UDP', 'udp://192.0.2.10:53', clientAddresses.ipv4, 1],
  ['TCP, several at a time', 'http://192.0.2.10/', clientAddresses.ipv4, 6],
])('%s: servers get exactly their shares, and see the client', async (_, url, client, concurrency) => {
  expect(await lab.send({ url, count: 60, concurrency })).toEqual({
    sent: 60,
    failed: 0,
    servers: { real1: 30, real2: 20, real3: 10 },
    clients: [client],
    errors: {},
  });
});

test('a server that left the file gets no request, and none fails', async () => {
  expect(apply(withoutReal2())).toContain('3 changes made');
  for (const url of ['http://192.0.2.10/', 'http://[2001:db8::10]/', 'udp://192.0.2.10:53']) {
    expect(await lab.send({ url, count: 40 }), url).toMatchObject({
      failed: 0,
      servers: { real1: 30, real3: 10 },
      errors: {},
    });
  }
});

test('the lab leaves nothing behind, and never touched the settings of its host', async () => {
  const namespaces = () => readdirSync('/run/netns').filter((name) => name.startsWith(`ipvs-e2e-${process.pid}-`));
  expect(namespaces()).toHaveLength(5);
  await lab.close();
  expect(namespaces()).toEqual([]);
  expect(readSettings()).toEqual(settingsBefore);
});
