/** What a host lacks for masqueraded services, on a real one: plan, apply and drift warn, and change nothing to find out. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('prerequisites');
const WEB = 'tcp://192.0.2.10:80';
let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-prerequisites-'));
  file = join(folder, 'web.yaml');
  writeFileSync(file, `services: [{ address: "${WEB}", destinations: [{ address: 10.0.0.11 }] }]`);
  setting('net.ipv4.ip_forward=0');
});
afterAll(() => rmSync(folder, { recursive: true }));

function setting(text: string): void {
  table.namespace.run('sysctl', ['-qw', text]);
}

const ipvs = (...args: readonly string[]) =>
  table.namespace.ipvs([...args.slice(0, 1), '--state-dir', join(folder, 'record'), ...args.slice(1)]);
const iptables = (...args: readonly string[]) => table.namespace.run('iptables-legacy', args);
const warned = async (...args: readonly string[]) => (await ipvs(...args)).stderr;
const codes = async (...args: readonly string[]) =>
  (JSON.parse((await ipvs(...args, '--json')).stdout).prerequisites ?? []).map(({ code }: { code: string }) => code);

it('forwarding that is off is told by plan, apply and drift, with the same exit status', async () => {
  const warning = `ipvs: warning: ${WEB}: net.ipv4.ip_forward is 0, so`;
  expect(await ipvs('plan', file)).toMatchObject({ status: 2, stderr: expect.stringContaining(warning) });
  expect(await ipvs('apply', file, '--yes')).toMatchObject({ status: 0, stderr: expect.stringContaining(warning) });
  expect(await ipvs('drift')).toMatchObject({ status: 0, stderr: expect.stringContaining(warning) });
  expect(await codes('plan', file)).toEqual(['FORWARDING_OFF']);
  expect(await codes('drift')).toEqual(['FORWARDING_OFF']);
  expect(await codes('apply', file, '--yes')).toEqual(['FORWARDING_OFF']);
  setting('net.ipv4.ip_forward=1');
  expect(await warned('plan', file)).toBe('');
});

it('looking loads no module, and makes no table', async () => {
  const loaded = () => table.namespace.run('cut', ['-d', ' ', '-f', '1', '/proc/modules']).split('\n').sort();
  const tables = () => table.namespace.run('sh', ['-c', 'cat /proc/net/ip*_tables_names 2>/dev/null || true']);
  const before = loaded();
  await ipvs('plan', file);
  await ipvs('drift');
  expect(loaded()).toEqual(before);
  expect(tables()).not.toContain('filter');
});

it('a FORWARD chain that drops is told, until a rule accepts', async () => {
  iptables('-P', 'FORWARD', 'DROP');
  expect(await codes('plan', file)).toEqual(['FORWARD_DROPS']);
  iptables('-A', 'FORWARD', '-s', '10.9.0.0/24', '-j', 'ACCEPT');
  expect(await codes('plan', file)).toEqual(['FORWARD_DROPS']);
  iptables('-A', 'FORWARD', '-s', '10.0.0.0/24', '-j', 'ACCEPT');
  expect(await codes('plan', file)).toEqual([]);
  iptables('-F', 'FORWARD');
});

it('a strict rp_filter of two interfaces in one network is told', async () => {
  iptables('-P', 'FORWARD', 'ACCEPT');
  for (const [name, address] of [
    ['one', '10.0.0.1/24'],
    ['two', '10.0.0.2/24'],
  ] as const) {
    table.namespace.run('ip', ['link', 'add', name, 'type', 'dummy']);
    table.namespace.run('ip', ['address', 'add', address, 'dev', name]);
    setting(`net.ipv4.conf.${name}.rp_filter=1`);
  }
  expect(await codes('plan', file)).toEqual(['RP_FILTER_DROPS']);
  setting('net.ipv4.conf.all.rp_filter=2');
  expect(await codes('plan', file)).toEqual([]);
});
