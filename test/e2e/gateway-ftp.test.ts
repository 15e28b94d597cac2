/** FTP through a gateway: the kernel's helper follows the control connection, and data connections find their way. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Program } from '../../scripts/lib/program.mjs';
import type { Mapping } from '../../src/conntrack/mapping.ts';
import { openMappings } from '../../src/conntrack/open.ts';
import { openMasquerade } from '../../src/iptables/open.ts';
import { command } from '../helpers/cli.ts';
import { type Gateway, inner, mapped, outer, startGateway } from '../helpers/gateway.ts';
import { natAbsence } from '../helpers/nat.ts';

const serverProgram = fileURLToPath(new URL('../helpers/ftp-server.py', import.meta.url));
const content = randomBytes(100_000);
const absent = await natAbsence('auto');

let lab: Gateway;
let folder: string;
let server: Program;

beforeAll(async () => {
  if (absent) return;
  // Built in, or loaded now; else the rules below are refused.
  spawnSync('modprobe', ['nf_nat_ftp']);
  folder = mkdtempSync(join(tmpdir(), 'ipvs-gateway-ftp-'));
  writeFileSync(join(folder, 'file'), content);
  lab = await startGateway();
  server = new Program(lab.outside.name, ['/usr/bin/python3', serverProgram, folder]);
  lab.gateway.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  const table = await openMasquerade({ netns: lab.gateway.name });
  await table.add({ source: '10.0.0.0/24', out: 'out0', ports: '61000-61063' });
  await table.add({ source: 'fd00::/64', out: 'out0', ports: '62000-62063' });
  table.close();
  expect(await server.line()).toBe('ready');
  // Kernels give helpers to nobody by themselves any more.
  for (const program of ['iptables', 'ip6tables'])
    lab.gateway.run(program, '-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp'.split(' '));
});
afterAll(async () => {
  await server?.stop();
  await lab?.close();
  if (folder) rmSync(folder, { recursive: true });
});
beforeEach(({ skip }) => skip(absent !== undefined, absent));

async function mappings(): Promise<Mapping[]> {
  const table = await openMappings({ netns: lab.gateway.name });
  const found: Mapping[] = [];
  for await (const mapping of table.list()) found.push(mapping);
  table.close();
  return found;
}

test.each([
  ['passive', 'IPv4', 'inet', []],
  ['passive', 'IPv6', 'inet6', []],
  ['active', 'IPv4', 'inet', ['--ftp-port', '-']],
  ['active', 'IPv6', 'inet6', ['--ftp-port', '-']],
] as const)('%s over %s: the file arrives, and what belongs together is seen', async (mode, _, family, options) => {
  const before = new Set((await mappings()).map(({ inner }) => inner));
  const file = join(folder, 'received');
  rmSync(file, { force: true });
  const host = family === 'inet6' ? `[${outer.inet6}]` : outer.inet;
  const common = ['--silent', '--show-error', '--globoff', '--max-time', '60', '--output', file];
  const client = ['ip', 'netns', 'exec', lab.inside.name, 'curl', ...common, ...options];
  expect(await command([...client, `ftp://${host}/file`])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(file).equals(content)).toBe(true);

  const made = (await mappings()).filter((mapping) => !before.has(mapping.inner));
  const control = made.find((mapping) => mapping.outer === `${host}:21`);
  expect(control).toMatchObject({
    helper: 'ftp',
    inner: expect.stringContaining(inner[family]),
    mapped: expect.stringContaining(mapped[family]),
  });
  const data = made.filter((mapping) => mapping !== control);
  // An active one begins outside: it is none of an inner host.
  expect(data.map((mapping) => mapping.control)).toEqual(
    mode === 'active' ? [] : [{ inner: control?.inner, outer: control?.outer }],
  );
});
