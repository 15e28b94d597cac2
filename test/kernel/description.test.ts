/** A description of several files, in both notations, with ranges and names: from the command to the kernel. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('description');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-description-'));
  // Answers of masqueraded servers are forwarded; otherwise it warns.
  for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding'])
    table.namespace.run('sysctl', ['-qw', `net.${name}=1`]);
  mkdirSync(join(folder, 'conf.d'));
  const files = {
    'main.yaml': 'include: [conf.d/*]\nservices: [{ address: fwmark:1, destinations: [{ address: "localhost:80" }] }]',
    'conf.d/a.json':
      '{"services": [{"name": "a", "address": "tcp://192.0.2.1:8000-8001", "drain": {"timeout": "1m"}}]}',
    'conf.d/b.yaml':
      'services: [{ address: ["tcp://192.0.2.2:80", "tcp://[2001:db8::2]:80"], destinations: [{ address: 10.0.0.1 }, { address: fd00::1 }] }]',
    'main.json': '{"services": [{"address": "fwmark:1", "forward": "masqerade"}]}',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('is valid, and is what the kernel then has', async () => {
  const main = join(folder, 'main.yaml');
  const [valid, applied] = await Promise.all([
    cli(['validate', main]),
    cli(['apply', main, '--yes', '--json', '--netns', table.namespace.name]),
  ]);
  expect(valid).toEqual({ status: 0, stdout: `${main}: valid: 5 services, 3 destinations\n`, stderr: '' });
  expect(applied).toMatchObject({ status: 0, stderr: '' });
  const { services } = await table.ipvs.snapshot();
  expect(
    services.map(({ address, destinations }) => [address, ...destinations.map(({ address }) => address)]).sort(),
  ).toEqual([
    ['fwmark:1', '127.0.0.1:80'],
    ['tcp://192.0.2.1:8000'],
    ['tcp://192.0.2.1:8001'],
    ['tcp://192.0.2.2:80', '10.0.0.1:80'],
    ['tcp://[2001:db8::2]:80', '[fd00::1]:80'],
  ]);
});

test('is checked from standard input too, relative to the folder', async () => {
  const input = `include: [${join(folder, 'conf.d/a.json')}]`;
  expect(await cli(['validate', '-'], { input })).toMatchObject({
    status: 0,
    stdout: 'stdin: valid: 2 services, 0 destinations\n',
  });
});

test('is refused by apply in the words of validate', async () => {
  const main = join(folder, 'main.json');
  const [checked, applied] = await Promise.all([
    cli(['validate', main]),
    cli(['apply', main, '--yes', '--netns', table.namespace.name]),
  ]);
  expect(checked).toEqual({ ...applied, status: 1 });
  expect(
    applied.stderr,
  ).toBe(`${main}:1:50: services[0].forward: one of masquerade, direct, tunnel, local, bypass, or { tunnel: gue, port: 6080 }; did you mean "masquerade"?
    {"services": [{"address": "fwmark:1", "forward": "masqerade"}]}
${' '.repeat(53)}^
`);
});
