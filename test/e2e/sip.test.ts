/** SIP over UDP with the persistence engine sip: calls stay together by their Call-ID, not by where they come from. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { clientAddresses, type Lab, realServers, startLab } from '../../scripts/lib/lab.mjs';
import { type Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { command } from '../helpers/cli.ts';
import { connectionsIn } from '../helpers/connections.ts';
import { absence } from '../helpers/feature.ts';

const scenario = fileURLToPath(new URL('../helpers/sip-server.xml', import.meta.url));
const service = 'udp://192.0.2.10:5060';
const destinations = ['10.0.0.11', '10.0.0.12', '10.0.0.13'];
const first = clientAddresses.ipv4;
const second = '198.51.100.11';
// Of its many screens it draws none, of the terminal it needs the name all the same.
const sipp = ['env', 'TERM=dumb', 'sipp', '-nostdin', '-max_socket', '100', '-watchdog_interval', '0'];
const absent = await absence('engine sip');

let lab: Lab;
let ipvs: Ipvs;
let folder: string;

beforeAll(async () => {
  if (absent) return;
  folder = mkdtempSync(join(tmpdir(), 'ipvs-sip-'));
  lab = await startLab('sip');
  execFileSync('ip', ['-netns', lab.namespace('client'), 'address', 'add', `${second}/24`, 'dev', 'eth0']);
  realServers.forEach((name, index) => {
    const listen = ['-i', destinations[index] as string, '-p', '5060'];
    // A call may come again under the same Call-ID at once.
    const calls = ['-deadcall_wait', '0', '-trace_msg', '-message_file', messages(name)];
    lab.launch(name, ...sipp, '-sf', scenario, ...listen, ...calls);
  });
  ipvs = await openIpvs({ netns: lab.director });
  for (const name of realServers) await vi.waitFor(() => expect(listens(name)).toBe(true), { timeout: 30_000 });
});

afterAll(async () => {
  await ipvs?.close();
  await lab?.close();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(({ skip }) => skip(absent !== undefined, absent));
afterEach(() => ipvs?.flush());

function messages(server: string): string {
  return join(folder, `${server}.messages`);
}

function listens(server: string): boolean {
  const sockets = execFileSync('ip', ['netns', 'exec', lab.namespace(server), 'cat', '/proc/net/udp']);
  return sockets.includes(':13C4 ');
}

async function balance(netmask: number): Promise<void> {
  const persistence = { timeoutSeconds: 300, netmask, engine: 'sip' };
  await ipvs.addService({ address: service, scheduler: 'rr', persistence, onePacket: true });
  for (const address of destinations) {
    await ipvs.addDestination(service, { address: `${address}:5060`, forward: 'masquerade' });
  }
}

/** Calls, from the invitation to the goodbye; resolves when all of them were answered in full. */
async function call(from: string, port: number, callId: string, count = 1): Promise<void> {
  const caller = ['-i', from, '-p', String(port), '-m', String(count), '-cid_str', callId];
  const bounds = ['-timeout', '60s', '-timeout_error'];
  const client = [...sipp, '-sn', 'uac', '192.0.2.10:5060', ...caller, ...bounds];
  const { status, stdout, stderr } = await command(['ip', 'netns', 'exec', lab.namespace('client'), ...client]);
  expect(status, stdout + stderr).toBe(0);
}

/** The Call-IDs that begin so, of each server that saw one. */
function callsOf(beginning: string): string[][] {
  return realServers
    .map((name) => readFileSync(messages(name), 'utf8').match(/(?<=^Call-ID: )\S+/gm) ?? [])
    .map((ids) => [...new Set(ids.filter((id) => id.startsWith(beginning)))])
    .filter((ids) => ids.length > 0);
}

/** What the kernel remembers of those Call-IDs. */
async function templates(beginning: string): Promise<string[]> {
  const kept = (await connectionsIn(lab.director)).map(({ engineData }) => engineData ?? '');
  return kept.filter((id) => id.startsWith(beginning));
}

test('different Call-IDs are spread, though they come from one port', async () => {
  await balance(32);
  await call(first, 6000, 'spread-%u', 6);
  expect(callsOf('spread-').map((ids) => ids.length)).toEqual([2, 2, 2]);
  expect((await templates('spread-')).sort()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `spread-${n}`));
});

test('the same Call-ID from other ports, and other addresses of the netmask, goes to the same server', async () => {
  await balance(24);
  await call(first, 6100, 'same');
  await call(first, 6200, 'same');
  await call(second, 6300, 'same');
  expect(callsOf('same')).toEqual([['same']]);
  expect(await templates('same')).toEqual(['same']);
});

test('the same Call-ID from an address outside the netmask is another call', async () => {
  await balance(32);
  await call(first, 6400, 'other');
  await call(second, 6500, 'other');
  expect(callsOf('other')).toEqual([['other'], ['other']]);
  expect(await templates('other')).toEqual(['other', 'other']);
});
