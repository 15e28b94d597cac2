/** Commands that cut traffic, with real connections; and the steps of wrr that cost a connection time. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { built, type CommandResult } from '../helpers/cli.ts';
import { kernelTable } from '../helpers/kernel-table.ts';
import { startTraffic, type Traffic } from '../helpers/traffic.ts';

const table = kernelTable('cuts');
const VIRTUAL = '192.0.2.1';
const HOST = '127.0.0.2';
let port = 6000;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-cuts-'));
  table.namespace.run('ip', ['address', 'add', `${VIRTUAL}/32`, 'dev', 'lo']);
});
afterAll(() => rmSync(folder, { recursive: true }));

const running: Traffic[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

/** A service with one destination, and so many connections that are open. */
async function busyService(tcp: number) {
  const service = `tcp://${VIRTUAL}:${++port}`;
  await table.ipvs.addService({ address: service, scheduler: 'wrr' });
  await table.ipvs.addDestination(service, { address: HOST });
  running.push(await startTraffic(table.namespace, { server: [HOST, port], service: [VIRTUAL, port], tcp }));
  return { service, destination: `${HOST}:${port}` };
}

const state = () => ['--state-dir', join(folder, 'record')];
const ipvs = (...args: readonly string[]): Promise<CommandResult> => table.namespace.ipvs([...args, ...state()]);

/** Runs a command on a terminal, and answers its question. */
function onTerminal(answer: string, ...args: readonly string[]) {
  const line = [process.execPath, built('cli/ipvs.js'), ...args, ...state()].join(' ');
  const words = ['netns', 'exec', table.namespace.name, 'script', '-qec', line, '/dev/null'];
  const { status, stdout } = spawnSync('ip', words, { input: answer, encoding: 'utf8', timeout: 60_000 });
  return { status, shown: stdout };
}

const services = async () => (await table.ipvs.snapshot()).services.map(({ address }) => address);

describe('with open connections', () => {
  it('a deletion prints what it cuts, and asks nothing without a terminal', async () => {
    const { service, destination } = await busyService(2);
    expect(await ipvs('destination', 'delete', service, HOST, '--dry-run')).toEqual({
      status: 2,
      stdout: `would delete ${destination} of ${service}\n  takes the last weight of ${service}, which then refuses new connections\n  cuts 2 active connections\n`,
      stderr: '',
    });
    expect(await ipvs('service', 'delete', service)).toEqual({
      status: 0,
      stdout: `${service}: deletes 1 destination with it\n${service}: cuts 2 active connections\ndeleted ${service}\n`,
      stderr: '',
    });
    expect(await services()).toEqual([]);
  });

  it('it asks on a terminal, and a no leaves everything', async () => {
    const { service } = await busyService(1);
    const no = onTerminal('n\n', 'service', 'delete', service);
    expect(no).toEqual({ status: 1, shown: expect.stringContaining(`1 connection is open: delete ${service}? [y/N]`) });
    expect(await services()).toEqual([service]);
    expect(onTerminal('y\n', 'service', 'delete', service).status).toBe(0);
    expect(await services()).toEqual([]);
  });

  it('it does not ask with --yes', async () => {
    const { service } = await busyService(1);
    const { status, shown } = onTerminal('', 'destination', 'edit', service, HOST, '-w', '0', '--yes');
    expect({ status, asked: shown.includes('[y/N]') }).toEqual({ status: 0, asked: false });
    expect(shown).toContain('leaves 1 active connection open');
  });
});

it('it does not ask where nothing is open', async () => {
  await table.ipvs.addService({ address: 'fwmark:1' });
  const { status, shown } = onTerminal('', 'service', 'delete', 'fwmark:1');
  expect({ status, shown: shown.trim() }).toEqual({ status: 0, shown: 'deleted fwmark:1' });
});

it('the most uneven weights that an apply takes cost a connection milliseconds', async () => {
  const file = join(folder, 'uneven.yaml');
  const service = `tcp://${VIRTUAL}:${++port}`;
  const describe = (weight: number) =>
    writeFileSync(
      file,
      `services: [{ address: "${service}", scheduler: wrr, destinations: [{ address: 127.0.0.8, weight: ${weight}, upperThreshold: 1 }, { address: ${HOST} }] }]`,
    );
  describe(300_000_000);
  expect(await ipvs('apply', file, '--yes')).toMatchObject({ status: 1, stderr: expect.stringContaining('300000000') });
  expect(await services()).toEqual([]);
  describe(65_535);
  expect((await ipvs('apply', file, '--yes')).status).toBe(0);
  // Nobody listens: the first connection is refused and fills the heaviest, the second one steps down.
  const attempt = () => {
    const program = `const t = performance.now(); require('net').connect(${port}, '${VIRTUAL}').on('error', () => console.log(performance.now() - t))`;
    return Number(table.namespace.run(process.execPath, ['-e', program]));
  };
  attempt();
  expect(attempt()).toBeLessThan(500);
  const [{ destinations } = { destinations: [] }] = (await table.ipvs.snapshot({ statistics: true })).services;
  expect(
    destinations.every(({ inactiveConnections, activeConnections }) => inactiveConnections + activeConnections > 0),
  ).toBe(true);
});
