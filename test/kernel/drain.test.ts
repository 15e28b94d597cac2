/** Drains with real connections: what holds them, how they end, and who carries them on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Director, type DrainProgress, type IpvsError, openDirector } from '../../src/index.ts';
import { built, type CommandResult, cli } from '../helpers/cli.ts';
import { connectionsIn } from '../helpers/connections.ts';
import { kernelTable } from '../helpers/kernel-table.ts';
import { stateOf } from '../helpers/states.ts';
import { startTraffic, type Traffic, type TrafficOptions } from '../helpers/traffic.ts';

const table = kernelTable('drain');
const VIRTUAL = '192.0.2.1';
const web = `tcp://${VIRTUAL}:80`;
const dns = `udp://${VIRTUAL}:53`;

let stateDir: string;
let director: Director;
beforeAll(() => {
  table.namespace.run('ip', ['address', 'add', `${VIRTUAL}/32`, 'dev', 'lo']);
});

const running: Traffic[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  await director?.close();
  rmSync(stateDir, { recursive: true, force: true });
});

/** An empty record, and a handle of the API in this process, which is in another namespace. */
async function fresh(): Promise<Director> {
  stateDir = mkdtempSync(join(tmpdir(), 'ipvs-drain-'));
  director = await openDirector({ netns: table.namespace.name, stateDir });
  return director;
}

async function traffic(options: TrafficOptions): Promise<Traffic> {
  const started = await startTraffic(table.namespace, options);
  running.push(started);
  return started;
}

function ipvs(...args: readonly string[]): Promise<CommandResult> {
  return cli(['--netns', table.namespace.name, '--state-dir', stateDir, ...args]);
}

function sysctl(name: string, value?: number): number {
  const setting = `net.ipv4.vs.${name}`;
  const args = value === undefined ? ['-n', setting] : ['-q', '-w', `${setting}=${value}`];
  return Number(table.namespace.run('sysctl', args));
}

const ledger = () => join(stateDir, `netns-${table.namespace.name}`, 'ledger.json');

async function weights(service: string): Promise<Record<string, number>> {
  const destinations = await table.ipvs.destinations(service);
  return Object.fromEntries(destinations.map(({ address, weight }) => [address, weight]));
}

async function webService(): Promise<void> {
  await table.ipvs.addService({ address: web, scheduler: 'rr' });
  await table.ipvs.addDestination(web, { address: '127.0.0.1', weight: 3 });
}

const connect = (tcp: number) => traffic({ server: ['127.0.0.1', 80], service: [VIRTUAL, 80], tcp });

/** The kernel remembers deleted destinations, with their connections: each test of UDP has a port of its own. */
async function dnsService(port: number, more: { persistence?: { timeoutSeconds: number } } = {}): Promise<string> {
  const service = `udp://${VIRTUAL}:${port}`;
  await table.ipvs.addService({ address: service, scheduler: 'rr', ...more });
  await table.ipvs.addDestination(service, { address: `127.0.0.2:${port}` });
  return service;
}

function send(port: number, everyMs?: number): Promise<Traffic> {
  const server = ['127.0.0.9', port] as const;
  return traffic({ server, service: [VIRTUAL, port], udp: 1, ...(everyMs && { everyMs }) });
}

describe('TCP', () => {
  it('an open connection holds it; closed and forgotten, it holds no more', async () => {
    const director = await fresh();
    await webService();
    const clients = await connect(2);

    expect(await director.drain(web, '127.0.0.1')).toMatchObject({ weight: 3, by: 'verb', afterwards: 'keep' });
    expect(await weights(web)).toEqual({ '127.0.0.1:80': 0 });
    expect((await director.stepDrains()).left).toEqual({ drains: 1, ramps: 0 });
    const [held] = await director.drains({ details: true });
    expect(held).toMatchObject({
      over: false,
      held: { active: 2, inactive: 0 },
      details: { holders: { connections: 2, states: { ESTABLISHED: 2 }, clients: [{ client: VIRTUAL }] } },
    });

    const seen: DrainProgress['held'][] = [];
    const waiting = director.waitForDrain(web, '127.0.0.1', { onProgress: ({ held }) => seen.push(held) });
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    clients.reset();
    expect(await waiting).toMatchObject({ how: 'drained', held: { active: 0, inactive: 0 } });
    expect(seen[0]).toMatchObject({ active: 2 });
    expect(seen).toContainEqual({ active: 0, inactive: 2, entries: 0, templates: 0 });
    expect(await weights(web)).toEqual({ '127.0.0.1:80': 0 });
    expect(await director.drains()).toMatchObject([{ over: true, drain: { ended: { how: 'drained' } } }]);
  });

  it('the deadline deletes though connections are held, and the status says so', async () => {
    await fresh();
    await webService();
    await connect(2);
    const result = await ipvs(
      'drain',
      web,
      '127.0.0.1',
      '--timeout',
      '1s',
      '--then',
      'delete',
      '--wait',
      '--show-clients',
    );
    expect(result.stderr).toBe(`ipvs: 127.0.0.1:80 of ${web}: still 2 active at the deadline, deleted\n`);
    expect(result.stdout).toContain(`2 active from ${VIRTUAL} (2)`);
    expect(result.status).toBe(1);
    expect(await weights(web)).toEqual({});
  });

  it('what both sides have closed is waited for, but does not make the deadline a cut', async () => {
    const director = await fresh();
    await webService();
    await (await connect(2)).stop();
    const held = { active: 0, inactive: 2 };
    await director.drain(web, '127.0.0.1', { timeoutMs: 3000 });
    await director.stepDrains();
    expect(await director.drains()).toMatchObject([{ over: false, held }]);
    expect(await director.waitForDrain(web, '127.0.0.1')).toMatchObject({ how: 'drained', held: { inactive: 0 } });
  });

  it('cancelled, it has its weight again, and the connections are as before', async () => {
    const director = await fresh();
    await webService();
    await connect(1);
    await director.drain(web, '127.0.0.1');
    expect(await director.cancelDrain(web, '127.0.0.1')).toMatchObject({ weight: 3 });
    expect(await director.drains()).toEqual([]);
    expect(await table.ipvs.destinations(web)).toMatchObject([{ weight: 3, activeConnections: 1 }]);
  });
});

describe('UDP', () => {
  it('each entry holds it until its timeout', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 1 });
    const service = await dnsService(5301);
    await send(5301);
    await director.drain(service, '127.0.0.2', { afterwards: 'delete' });
    expect(await director.drains()).toMatchObject([{ held: { entries: 1 } }]);
    expect(await director.waitForDrain(service, '127.0.0.2')).toMatchObject({ how: 'drained' });
    expect(await weights(service)).toEqual({});
  });

  it('a sender that never stops is cut at the deadline, whom it affects is said, and the setting is back', async () => {
    await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 300 });
    const [service, other] = [await dnsService(5302), await dnsService(5303)];
    await table.ipvs.addDestination(service, { address: '127.0.0.3:5302', weight: 0 });
    await send(5303);
    await table.ipvs.removeDestination(other, '127.0.0.2');
    await send(5302, 20);
    await table.ipvs.editDestination(service, '127.0.0.3', { weight: 1 });

    const result = await ipvs('drain', service, '127.0.0.2', '--timeout', '1s', '--then', 'delete', '--wait');
    // Those of the tests before may be among them.
    const named = new RegExp(`destinations? .*\\b${other}\\b`);
    expect(result.stdout).toMatch(/net\.ipv4\.vs\.expire_nodest_conn=1 for a moment: also connections to destinations/);
    expect(result.stdout).toMatch(named);
    expect(result.stderr).toMatch(/^ipvs: 127\.0\.0\.2:5302 of \S+: still 1 entry at the deadline, deleted, with/);
    expect(result.stderr).toMatch(named);
    expect(result.status).toBe(1);
    expect(sysctl('expire_nodest_conn')).toBe(0);
    expect(JSON.parse(readFileSync(ledger(), 'utf8'))).not.toHaveProperty('changedSysctls');
    const left = async () => (await connectionsIn(table.namespace.name)).map(({ destination }) => destination);
    await expect.poll(left).toEqual(['127.0.0.3:5302']);
  });

  it('without the settings of the namespace at hand, that is said, and it is deleted all the same', async () => {
    const director = await fresh();
    const service = await dnsService(5304);
    await send(5304, 20);
    await director.drain(service, '127.0.0.2', { timeoutMs: 0, afterwards: 'delete' });
    const { moves, problems } = await director.stepDrains();
    expect(problems).toMatchObject([{ code: 'SYSCTL_FAILED', detail: expect.stringContaining('another network') }]);
    expect(moves).toMatchObject([{ ended: { how: 'deadline', problem: expect.stringContaining('expire_nodest') } }]);
    expect(await weights(service)).toEqual({});
  });

  it('a setting that a crash left changed is given back by the next command that takes the lock', async () => {
    const director = await fresh();
    await director.stepDrains();
    const service = await dnsService(5305);
    await director.drain(service, '127.0.0.2');
    const { ...record } = JSON.parse(readFileSync(ledger(), 'utf8'));
    writeFileSync(ledger(), JSON.stringify({ ...record, changedSysctls: { 'net.ipv4.vs.expire_nodest_conn': 0 } }));
    sysctl('expire_nodest_conn', 1);
    expect(await ipvs('drain', 'cancel', service, '127.0.0.2')).toMatchObject({ status: 0, stderr: '' });
    expect(sysctl('expire_nodest_conn')).toBe(0);
    expect(JSON.parse(readFileSync(ledger(), 'utf8'))).not.toHaveProperty('changedSysctls');
  });
});

describe('persistence', () => {
  afterEach(() => {
    sysctl('expire_quiescent_template', 0);
  });

  it('holds it as long as a client is pinned, unless the kernel lets such clients go', async () => {
    await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 1 });
    const service = await dnsService(5306, { persistence: { timeoutSeconds: 600 } });
    await send(5306);
    const begun = await ipvs('drain', service, '127.0.0.2');
    expect(begun.stdout).toMatch(/expire_quiescent_template=1 they go elsewhere/);
    const held = async () => JSON.parse((await ipvs('drain', 'list', '--json')).stdout).drains[0].held;
    await expect.poll(held, { timeout: 30_000 }).toEqual({ active: 0, inactive: 0, entries: 0, templates: 1 });

    sysctl('expire_quiescent_template', 1);
    expect(await ipvs('drain', 'run')).toMatchObject({
      status: 0,
      stdout: `127.0.0.2:5306 of ${service}: drained, kept with weight 0\nnothing is on its way\n`,
    });
  });
});

describe('who carries it on', () => {
  function waiting(service: string, destination: string) {
    const words = ['--netns', table.namespace.name, '--state-dir', stateDir, 'drain', service, destination, '--wait'];
    return spawn(process.execPath, [built('cli/ipvs.js'), ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  it('kill -9 of the one who waits leaves it to the next', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 2 });
    const service = await dnsService(5307);
    const sender = await send(5307, 100);
    const child = waiting(service, '127.0.0.2');
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    await sender.stop();
    expect(await weights(service)).toEqual({ '127.0.0.2:5307': 0 });
    const left = async () => (await director.stepDrains()).left.drains;
    await expect.poll(left, { timeout: 20_000, interval: 200 }).toBe(0);
    expect(await director.drains()).toMatchObject([{ drain: { ended: { how: 'drained' } } }]);
  });

  it('ctrl-c ends only the waiting, and says who goes on', async () => {
    const director = await fresh();
    await webService();
    await connect(1);
    const child = waiting(web, '127.0.0.1');
    let [seen, said] = ['', ''];
    child.stdout.on('data', (text) => {
      seen += text;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    await expect.poll(() => seen, { timeout: 30_000 }).toContain('░  1 active');
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(1);
    expect(said).toBe(`ipvs: 127.0.0.1:80 of ${web} goes on draining; "ipvs drain run --follow" carries it on\n`);
    expect(await director.drains()).toMatchObject([{ over: false }]);
  });
});

describe('an apply', () => {
  const drain = { timeoutSeconds: 600, afterwards: 'delete' } as const;
  const state = (destinations: Record<string, number>, more = {}) =>
    stateOf({ [web]: destinations }, { scheduler: 'rr', ...more });

  it('drains a destination that leaves the file of a service with "drain"', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 2 });
    const service = `udp://${VIRTUAL}:5308`;
    const both = stateOf({ [service]: { '127.0.0.2': 2, '127.0.0.3': 0 } }, { drain });
    const one = stateOf({ [service]: { '127.0.0.3': 0 } }, { drain });
    await director.apply({ desired: both });
    const sender = await send(5308, 100);

    const plan = await director.plan({ desired: one });
    expect(plan.changes).toMatchObject([
      { phase: 'drain', effects: [expect.stringContaining('no new'), expect.stringContaining('expire_nodest_conn')] },
    ]);
    expect(await director.apply(plan)).toMatchObject({ outcome: 'applied' });
    expect(await weights(service)).toEqual({ '127.0.0.2:5308': 0, '127.0.0.3:5308': 0 });
    expect((await director.plan({ desired: one })).changes).toEqual([]);
    expect(await director.drains()).toMatchObject([{ held: { entries: 1 }, drain: { by: 'apply', weight: 2 } }]);

    await sender.stop();
    expect(await director.waitForDrain(service, '127.0.0.2')).toMatchObject({ how: 'drained' });
    expect(await weights(service)).toEqual({ '127.0.0.3:5308': 0 });
    expect((await director.plan({ desired: one })).changes).toEqual([]);
  });

  it('leaves what a verb drains at weight 0, until it is cancelled', async () => {
    const director = await fresh();
    const desired = state({ '127.0.0.1': 2 });
    await director.apply({ desired });
    await director.drain(web, '127.0.0.1');
    await director.stepDrains();
    expect((await director.plan({ desired })).changes).toEqual([]);
    await director.apply({ desired: state({ '127.0.0.1': 5 }) });
    expect(await weights(web)).toEqual({ '127.0.0.1:80': 0 });
    expect(await director.cancelDrain(web, '127.0.0.1')).toMatchObject({ weight: 5, drain: { weight: 2 } });
    expect(await weights(web)).toEqual({ '127.0.0.1:80': 5 });
  });

  it('begins a destination slowly, and passes bring it to its whole weight', async () => {
    const director = await fresh();
    const ramp = { durationSeconds: 2, floor: 0.1, curve: 'linear' } as const;
    await director.apply({ desired: state({ '127.0.0.1': 100 }, { ramp }) });
    const desired = state({ '127.0.0.1': 100, '127.0.0.2': 100 }, { ramp });
    await director.apply({ desired });
    const seen: number[] = [];
    const step = async () => {
      const { left } = await director.stepDrains();
      seen.push((await weights(web))['127.0.0.2:80'] ?? -1);
      return left.ramps;
    };
    await expect.poll(step, { timeout: 30_000, interval: 100 }).toBe(0);
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(seen[0]).toBeLessThan(100);
    expect(seen.at(-1)).toBe(100);
    expect((await director.plan({ desired })).changes).toEqual([]);
  });
});

it('what is not drained, and what is not there', async () => {
  const director = await fresh();
  await webService();
  const codeOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => undefined,
      (error: IpvsError) => error.code,
    );
  expect(await codeOf(director.drain(dns, '127.0.0.1'))).toBe('SERVICE_NOT_FOUND');
  expect(await codeOf(director.drain(web, '127.0.0.7'))).toBe('DESTINATION_NOT_FOUND');
  expect(await codeOf(director.drain(web, '127.0.0.1', { timeoutMs: -1 }))).toBe('INVALID_DURATION');
  expect(await codeOf(director.cancelDrain(web, '127.0.0.1'))).toBe('NO_SUCH_DRAIN');
  expect(await codeOf(director.waitForDrain(web, '127.0.0.1'))).toBe('NO_SUCH_DRAIN');
  await director.drain(web, '127.0.0.1');
  await table.ipvs.removeDestination(web, '127.0.0.1');
  expect(await director.waitForDrain(web, '127.0.0.1')).toMatchObject({ how: 'gone' });
  expect(await codeOf(director.cancelDrain(web, '127.0.0.1'))).toBe('NO_SUCH_DRAIN');
});
