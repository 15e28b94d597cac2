/** The commands that only look, and those for settings, on traffic that is under way. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { built, type CommandResult, command } from '../helpers/cli.ts';
import { kernelTable } from '../helpers/kernel-table.ts';
import { startTraffic } from '../helpers/traffic.ts';

const table = kernelTable('look', { keep: true });
const web = 'tcp://192.0.2.1:80';
let traffic: { stop(): Promise<void> };

beforeAll(async () => {
  const { ipvs, namespace } = table;
  namespace.run('ip', ['address', 'add', '192.0.2.1/32', 'dev', 'lo']);
  await ipvs.addService({ address: web, scheduler: 'rr', persistence: { timeoutSeconds: 600 } });
  await ipvs.addDestination(web, { address: '127.0.0.1:8080', upperThreshold: 9 });
  await ipvs.addService({ address: 'fwmark:7', scheduler: 'rr' });
  traffic = await startTraffic(namespace, { server: ['127.0.0.1', 8080], service: ['192.0.2.1', 80], tcp: 3 });
});
afterAll(() => traffic.stop());

/** Inside the namespace already; with `prefix` by another user. */
function inside(args: readonly string[], prefix: readonly string[] = []): Promise<CommandResult> {
  const run = ['ip', 'netns', 'exec', table.namespace.name, ...prefix];
  return command([...run, process.execPath, built('cli/ipvs.js'), ...args]);
}

async function lines(args: readonly string[]): Promise<string[]> {
  const result = await table.namespace.ipvs(args);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return result.stdout.trimEnd().split('\n');
}

describe('ipvs connections', () => {
  it('lists what matches, for people and one to a line for programs', async () => {
    const [head, ...rows] = await lines(['connections', '--service', web, '--kind', 'connection']);
    expect(head).toMatch(/^CLIENT +SERVICE +DESTINATION +STATE +EXPIRES/);
    expect(rows).toHaveLength(3);
    for (const row of rows)
      expect(row).toMatch(/^192\.0\.2\.1:\d+ +tcp:\/\/192\.0\.2\.1:80 +127\.0\.0\.1:8080 +ESTABLISHED +\d+s$/);
    const json = (await lines(['connections', '--json'])).map((line) => JSON.parse(line));
    expect(json.map(({ kind }) => kind).sort()).toEqual(['connection', 'connection', 'connection', 'template']);
  });

  it('counts by client', async () => {
    const [head, client, all] = await lines(['connections', '--top', 'client']);
    expect(head).toMatch(/^CLIENT +CONNECTIONS +SHARE +TEMPLATES$/);
    expect(client).toMatch(/^192\.0\.2\.1 +3 +100\.0 % +1$/);
    expect(all).toMatch(/^all +3 +1$/);
  });

  it('needs no privilege', async () => {
    const result = await inside(
      ['connections', '--limit', '1', '--json'],
      ['setpriv', '--bounding-set=-all', '--inh-caps=-all'],
    );
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({ service: web });
  });

  it('refuses filters that are none', async () => {
    expect(await inside(['connections', '--client', '192.0.2'])).toMatchObject({
      status: 64,
      stdout: '',
      stderr: expect.stringMatching(/^ipvs: malformed address: "192\.0\.2".*\n$/),
    });
  });
});

describe('ipvs list', () => {
  it('shows limits and templates', async () => {
    expect((await lines(['list', '--thresholds']))[3]).toMatch(/^ {2}127\.0\.0\.1:8080 +masquerade +1 +9 +0 +3 +0$/);
    expect((await lines(['list', '--persistent']))[3]).toMatch(/^ {2}127\.0\.0\.1:8080 +masquerade +1 +1 +3 +0$/);
  });

  it('shows counters, which the kernel publishes every 2 seconds, sorted as asked', async () => {
    await expect
      .poll(async () => (await table.ipvs.service(web, { statistics: true })).statistics?.connections, {
        timeout: 20_000,
      })
      .toBe(3n);
    const [, head, first, destination, mark] = await lines(['list', '--stats', '--sort', 'connections']);
    expect(head).toMatch(/CONNECTIONS +PACKETS IN +PACKETS OUT +BYTES IN +BYTES OUT$/);
    expect(first).toMatch(/^tcp:\/\/192\.0\.2\.1:80 +3 +\d+/);
    expect(destination).toMatch(/^ {2}127\.0\.0\.1:8080 +3 +\d+/);
    expect(mark).toMatch(/^fwmark:7 +0/);
  });

  it('again and again, until it is interrupted', async () => {
    const interrupt = { afterLines: 3, atMostMs: 60_000 };
    const result = await table.namespace.ipvs(['list', '--rate', '--watch', '2s', '--json'], { interrupt });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const frames = result.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(frames.length).toBeGreaterThan(2);
    for (const { readAtMs, services } of frames) {
      expect(readAtMs).toBeGreaterThan(0);
      expect(services).toMatchObject([{ address: web, statistics: { rates: {} } }, { address: 'fwmark:7' }]);
    }
  });

  it('refuses two views at once', async () => {
    expect((await table.namespace.ipvs(['list', '--stats', '--rate'])).stderr).toContain(
      '--stats and --rate are two views: say one',
    );
  });
});

describe('settings', () => {
  it('timeouts are set and shown', async () => {
    expect(await lines(['timeouts', 'set', '--tcp', '2h', '--udp', '45s'])).toEqual([
      'set timeouts: tcp 7200s, udp 45s',
    ]);
    expect(await lines(['timeouts'])).toEqual([
      'tcp              7200s',
      'tcp after a FIN   120s',
      'udp                45s',
    ]);
  });

  it('sync daemons are started, shown and stopped', async () => {
    expect(await lines(['sync', 'start', 'backup', '-i', 'lo', '--id', '7', '--port', '9000'])).toEqual([
      'started backup on lo',
    ]);
    expect((await lines(['sync']))[1]).toMatch(/^backup +lo +7 +224\.0\.0\.81 +9000 +1 +\d+$/);
    expect(await lines(['sync', 'stop', 'backup'])).toEqual(['stopped backup']);
    expect(await lines(['sync', 'status', '--json'])).toEqual(['{', '  "daemons": []', '}']);
  });

  it('counters are zeroed; totals stay what they were unless all are', async () => {
    const before = await lines(['totals', '--exact', '--cpus']);
    expect(before[1]).toMatch(/^total +3 /);
    expect(before.at(-1)).toMatch(/^cpu \d+ /);
    expect(await lines(['zero', web])).toEqual([`zeroed the counters of ${web}`]);
    expect((await table.ipvs.service(web, { statistics: true })).statistics?.connections).toBe(0n);
    expect((await table.ipvs.totals()).total.connections).toBe(3n);
    expect(await lines(['zero'])).toEqual(['zeroed the counters of all services']);
    expect((await table.ipvs.totals()).total.connections).toBe(0n);
  });
});
