/** Every command on a table in memory, by a user without privileges, where there is no addon. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { built, type CommandResult, command } from '../../helpers/cli.ts';

const powerless = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];
const web = 'tcp://192.0.2.1:80';
let folder: string;
let table: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-memory-'));
  table = join(folder, 'table.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

function ipvs(...args: readonly string[]): Promise<CommandResult> {
  const file = [process.execPath, built('cli/ipvs.js'), '--transport', 'memory', '--state', table];
  return command([...powerless, ...file, ...args], { environment: { IPVS_DIRECTOR_ADDON: '/nowhere.node' } });
}

async function said(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await ipvs(...args);
  expect({ status, stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' });
  return stdout.trimEnd();
}

/** An empty table, with an empty record. */
function fresh(): void {
  for (const file of [table, `${table}.d`]) rmSync(file, { recursive: true, force: true });
}

it('every verb works on it', async () => {
  const file = join(folder, 'web.yaml');
  const destinations = '[{ address: 10.0.0.1 }, { address: 10.0.0.2 }]';
  writeFileSync(file, `services: [{ address: "${web}", destinations: ${destinations} }]`);

  expect(await ipvs('apply', file, '--dry-run')).toMatchObject({ status: 2, stderr: '' });
  expect(await said('apply', file, '--yes')).toContain('3 changes made');
  expect(await said('apply', file, '--yes')).toContain('nothing to change');
  expect(await said('service', 'add', 'udp://[2001:db8::1]:53', '-s', 'rr')).toBe('added udp://[2001:db8::1]:53');
  expect(await said('service', 'edit', web, '--persistence', '5m')).toBe(`edited ${web}`);
  expect(await said('destination', 'add', web, '10.0.0.3', '--weight', '7')).toContain('added');
  expect(await said('destination', 'edit', web, '10.0.0.3', '--weight', '8')).toContain('edited');
  expect(await ipvs('destination', 'delete', web, '10.0.0.1')).toEqual({
    status: 0,
    stdout: `deleted 10.0.0.1:80 of ${web}\n`,
    stderr: `ipvs: warning: 10.0.0.1:80 of ${web}: ${file} describes it: the next apply creates it again\n`,
  });
  expect(await said('service', 'delete', 'udp://[2001:db8::1]:53')).toContain('deleted');
  expect(await said('zero')).toContain('zeroed');
  expect(await said('timeouts', 'set', '--udp', '45s')).toBeTruthy();
  expect(await said('sync', 'start', 'backup', '--interface', 'eth0')).toBe('started backup on eth0');

  expect(await said('drain', web, '10.0.0.3', '--wait')).toContain('drained, kept with weight 0');
  expect(await said('drain', 'list')).toMatch(/10\.0\.0\.3:80 .* drained .* 0 +0 +8$/m);
  expect(await said('list')).toMatch(/10\.0\.0\.3:80 .* 0 {2}drained, stays at 0 /);
  expect(await said('drain', 'cancel', web, '10.0.0.3')).toContain('weight 8');
  expect(await said('drain', 'run', '--follow')).toBe('no drains or ramps in progress');

  expect(await said('list')).toMatch(/10\.0\.0\.3:80 +masquerade +8 /);
  expect(await said('service', 'show', web)).toContain('300s/32');
  expect(JSON.parse(await said('timeouts', '--json'))).toMatchObject({ udpSeconds: 45 });
  expect(await said('sync')).toContain('backup');
  expect(await said('sync', 'stop', 'backup')).toBe('stopped backup');
  expect(await said('totals')).toContain('per second');
  expect(await said('connections')).toMatch(/^CLIENT/);
  expect(await said('info')).toMatch(/transport +memory/);
  expect(await said('flush', '--yes')).toBe('removed all services');
  expect(JSON.parse(await said('list', '--json'))).toEqual({ services: [] });
});

it('refusals are those of the kernel, and a file that is no table is none', async () => {
  expect(await ipvs('service', 'delete', 'fwmark:9')).toEqual({
    status: 1,
    stdout: '',
    stderr: `ipvs: delete service fwmark:9: there is no such service (ESRCH)\n`,
  });
  writeFileSync(table, '{"services": 5}');
  const { status, stderr } = await ipvs('list');
  expect(status).toBe(1);
  expect(stderr).toMatch(/table\.json:1:14: services: /);
});

it('a damaged file of the history is one damaged entry; the others and undo keep working', async () => {
  const [file, own] = [join(folder, 'web.yaml'), join(folder, 'own.json')];
  const run = (...args: string[]) =>
    command([process.execPath, built('cli/ipvs.js'), '--transport', 'memory', '--state', own, ...args]);
  for (const host of [1, 2, 3]) {
    writeFileSync(file, `services: [{ address: "tcp://192.0.2.${host}:80" }]`);
    expect(await run('apply', file, '--yes')).toMatchObject({ status: 0 });
  }
  const entry = join(`${own}.d`, 'history', '00000001.json');
  writeFileSync(entry, '');
  const { status, stdout, stderr } = await run('history');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.split('\n').map((line) => line.trim().split(/ +/)[0])).toEqual(['ID', '3', '2', '1', `${entry}:`, '']);
  expect(stdout).toContain(`repair ${entry}, or move it away\n`);
  const { entries } = JSON.parse((await run('history', '--json')).stdout);
  expect(entries).toMatchObject([{ id: 3 }, { id: 2 }, { id: 1, outcome: 'damaged', file: entry }]);
  expect((await run('history', 'show', '1')).stderr).toContain(`repair ${entry}, or move it away\n`);
  expect(await run('undo', '--yes')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('+ tcp://192.0.2.2:80'),
  });

  rmSync(entry);
  writeFileSync(join(`${own}.d`, 'history', '.00000001.json.swp'), '');
  expect((await run('history')).stdout).not.toContain('damaged');
});

it('what a list or a warning cannot read of the record is said to be unknown', async () => {
  fresh();
  const file = join(folder, 'web.yaml');
  writeFileSync(file, `services: [{ address: "${web}", destinations: [{ address: 10.0.0.1 }] }]`);
  await said('apply', file, '--yes');
  const objects = join(`${table}.d`, 'objects');
  for (const name of readdirSync(objects)) writeFileSync(join(objects, name), '{}');
  const { status, stderr } = await ipvs('destination', 'delete', web, '10.0.0.1');
  expect(status).toBe(0);
  expect(stderr).toContain('whether the next apply restores it is unknown: ');

  writeFileSync(join(`${table}.d`, 'ledger.json'), '{');
  const unknown = 'which weights drains and ramps hold is unknown: ';
  expect(await said('list')).toMatch(new RegExp(`${web}[^]*\\n\\n${unknown}`));
  expect(await ipvs('list', '--json')).toMatchObject({ status: 0, stderr: expect.stringContaining(unknown) });
});

it('a dry run of what cuts traffic changes nothing, and tells what it would', async () => {
  fresh();
  await said('service', 'add', web, '-s', 'wrr');
  await said('destination', 'add', web, '10.0.0.1');
  const before = readFileSync(table);
  const last = `  takes the last weight of ${web}, which then refuses new connections\n`;
  const dry = (...args: readonly string[]) => ipvs(...args, '--dry-run');
  expect(await dry('service', 'delete', web)).toEqual({
    status: 2,
    stdout: `would delete ${web}\n  deletes 1 destination with it\n`,
    stderr: '',
  });
  expect(await dry('destination', 'delete', web, '10.0.0.1')).toEqual({
    status: 2,
    stdout: `would delete 10.0.0.1:80 of ${web}\n${last}`,
    stderr: '',
  });
  expect(await dry('destination', 'edit', web, '10.0.0.1', '-w', '0')).toEqual({
    status: 2,
    stdout: `would edit 10.0.0.1:80 of ${web}\n${last}`,
    stderr: '',
  });
  expect(await dry('service', 'delete', 'fwmark:9')).toMatchObject({ status: 1, stdout: '' });
  expect(await dry('destination', 'delete', web, '10.0.0.9')).toMatchObject({ status: 1, stdout: '' });
  const json = JSON.parse((await dry('service', 'delete', web, '--json')).stdout);
  expect(json).toMatchObject({ would: 'delete', subject: web, cut: { destinations: 1, activeConnections: 0 } });
  expect(readFileSync(table)).toEqual(before);
  expect(await said('service', 'delete', web, '--yes')).toBe(`${web}: deletes 1 destination with it\ndeleted ${web}`);
});

it('an edit of what drains warns that its weight stays 0', async () => {
  fresh();
  await said('service', 'add', web);
  await said('destination', 'add', web, '10.0.0.1');
  await said('drain', web, '10.0.0.1');
  const { status, stderr } = await ipvs('destination', 'edit', web, '10.0.0.1', '-w', '5');
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: `ipvs: warning: 10.0.0.1:80 of ${web}: it drains: the next pass sets its weight to 0, until "ipvs drain cancel ${web} 10.0.0.1:80"\n`,
  });
});

it('single commands refuse weights that are too uneven for wrr, unless they are forced', async () => {
  fresh();
  await said('service', 'add', web, '-s', 'wrr');
  await said('destination', 'add', web, '10.0.0.1', '-w', '300000000');
  const refused = {
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/wrr takes too many steps .*: 300000000; the limit is 65535; .*--force/),
  };
  expect(await ipvs('destination', 'add', web, '10.0.0.2')).toEqual(refused);
  await said('destination', 'add', web, '10.0.0.2', '-w', '0');
  expect(await ipvs('destination', 'edit', web, '10.0.0.2', '-w', '7')).toEqual(refused);
  expect(await ipvs('destination', 'edit', web, '10.0.0.2', '-w', '7', '--dry-run')).toEqual(refused);
  await said('destination', 'edit', web, '10.0.0.2', '-w', '100000000');
  await said('service', 'edit', web, '-s', 'rr');
  await said('destination', 'edit', web, '10.0.0.2', '-w', '7');
  expect(await ipvs('service', 'edit', web, '-s', 'wrr')).toEqual(refused);
  await said('service', 'edit', web, '-s', 'wrr', '--force');
  await said('destination', 'edit', web, '10.0.0.2', '--upper-threshold', '5');
});
