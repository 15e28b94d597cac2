/** Drains with real connections: what holds them, how they end, and who carries them on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Director, type DrainProgress, type IpvsError, openDirector } from '../../src/index.ts';
import { built, type CommandResult, command } from '../helpers/cli.ts';
import { connectionsIn } from '../helpers/connections.ts';
import { kernelTable } from '../helpers/kernel-table.ts';
import { stateOf } from '../helpers/states.ts';
import { startTraffic, type Traffic, type TrafficOptions } from '../helpers/traffic.ts';

const table = kernelTable('drain');
const VIRTUAL = '192.0.2.1';
const HOST = '127.0.0.2';

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
  return table.namespace.ipvs(['--state-dir', stateDir, ...args]);
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

let port = 5000;

/** With one destination. The kernel remembers deleted ones, with their connections: each service has a port of its own. */
async function serviceOn(protocol: 'tcp' | 'udp', more: { persistence?: { timeoutSeconds: number } } = {}) {
  const service = nextService(protocol);
  await table.ipvs.addService({ address: service, scheduler: 'rr', ...more });
  await table.ipvs.addDestination(service, { address: HOST, weight: 3 });
  return { service, destination: `${HOST}:${port}` };
}

function nextService(protocol: 'tcp' | 'udp'): string {
  return `${protocol}://${VIRTUAL}:${++port}`;
}

/** Connections to the service that was made last, or datagrams. */
const connect = (tcp: number) => traffic({ server: [HOST, port], service: [VIRTUAL, port], tcp });
const send = (everyMs?: number) =>
  traffic({ server: ['127.0.0.9', port], service: [VIRTUAL, port], udp: 1, ...(everyMs && { everyMs }) });

describe('TCP', () => {
  it('an open connection holds it; closed and forgotten, it holds no more', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('tcp');
    const clients = await connect(2);

    expect(await director.drain(service, destination)).toMatchObject({ weight: 3, by: 'verb', afterwards: 'keep' });
    expect(await weights(service)).toEqual({ [destination]: 0 });
    expect((await director.stepDrains()).left).toEqual({ drains: 1, ramps: 0 });
    const [held] = await director.drains({ details: true });
    expect(held).toMatchObject({
      over: false,
      held: { active: 2, inactive: 0 },
      details: { holders: { connections: 2, states: { ESTABLISHED: 2 }, clients: [{ client: VIRTUAL }] } },
    });

    const seen: DrainProgress['held'][] = [];
    const waiting = director.waitForDrain(service, destination, { onProgress: ({ held }) => seen.push(held) });
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    clients.reset();
    expect(await waiting).toMatchObject({ how: 'drained', held: { active: 0, inactive: 0 } });
    expect(seen[0]).toMatchObject({ active: 2 });
    expect(seen).toContainEqual({ active: 0, inactive: 2, entries: 0, templates: 0 });
    expect(await weights(service)).toEqual({ [destination]: 0 });
    expect(await director.drains()).toMatchObject([{ over: true, drain: { ended: { how: 'drained' } } }]);
  });

  it('the deadline deletes though connections are held, and the status says so', async () => {
    await fresh();
    const { service, destination } = await serviceOn('tcp');
    await connect(2);
    const options = ['--timeout', '1s', '--then', 'delete', '--wait', '--show-clients'];
    const result = await ipvs('drain', service, destination, ...options);
    expect(result.stderr).toBe(`ipvs: ${destination} of ${service}: still 2 active at the deadline, deleted\n`);
    expect(result.stdout).toContain(`2 active from ${VIRTUAL} (2)`);
    expect(result.status).toBe(1);
    expect(await weights(service)).toEqual({});
  });

  it('what both sides have closed is waited for, but does not make the deadline a cut', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('tcp');
    await (await connect(2)).stop();
    const held = { active: 0, inactive: 2 };
    await director.drain(service, destination, { timeoutMs: 3000 });
    await director.stepDrains();
    expect(await director.drains()).toMatchObject([{ over: false, held }]);
    expect(await director.waitForDrain(service, destination)).toMatchObject({ how: 'drained', held: { inactive: 0 } });
  });

  it('cancelled, it has its weight again, and the connections are as before', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('tcp');
    await connect(1);
    await director.drain(service, destination);
    expect(await director.cancelDrain(service, destination)).toMatchObject({ weight: 3 });
    expect(await director.drains()).toEqual([]);
    expect(await table.ipvs.destinations(service)).toMatchObject([{ weight: 3, activeConnections: 1 }]);
  });
});

describe('UDP', () => {
  it('each entry holds it until its timeout', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 1 });
    const { service, destination } = await serviceOn('udp');
    await send();
    await director.drain(service, destination, { afterwards: 'delete' });
    expect(await director.drains()).toMatchObject([{ held: { entries: 1 } }]);
    expect(await director.waitForDrain(service, destination)).toMatchObject({ how: 'drained' });
    expect(await weights(service)).toEqual({});
  });

  it('a sender that never stops is cut at the deadline, whom it affects is said, and the setting is back', async () => {
    await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 300 });
    const { service: other } = await serviceOn('udp');
    await send();
    await table.ipvs.removeDestination(other, HOST);
    const { service, destination } = await serviceOn('udp');
    await send(20);
    await table.ipvs.addDestination(service, { address: '127.0.0.3' });

    const result = await ipvs('drain', service, destination, '--timeout', '1s', '--then', 'delete', '--wait');
    // Those of the tests before may be among them.
    const named = new RegExp(`destinations? .*\\b${other}\\b`);
    expect(result.stdout).toMatch(/net\.ipv4\.vs\.expire_nodest_conn=1 for a moment: also connections to destinations/);
    expect(result.stdout).toMatch(named);
    expect(result.stderr).toMatch(/^ipvs: \S+ of \S+: still 1 entry at the deadline, deleted, with connections/);
    expect(result.stderr).toMatch(named);
    expect(result.status).toBe(1);
    expect(sysctl('expire_nodest_conn')).toBe(0);
    expect(JSON.parse(readFileSync(ledger(), 'utf8'))).not.toHaveProperty('changedSysctls');
    const left = async () => (await connectionsIn(table.namespace.name)).map(({ destination }) => destination);
    await expect.poll(left).toEqual([`127.0.0.3:${port}`]);
  });

  it('the setting is changed in the namespace of the table, from a process that is in another', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('udp');
    await send(20);
    await director.drain(service, destination, { timeoutMs: 0, afterwards: 'delete' });
    const { moves, problems } = await director.stepDrains();
    expect(problems).toEqual([]);
    expect(moves).toMatchObject([{ ended: { how: 'deadline' } }]);
    expect(await weights(service)).toEqual({});
    const left = async () => (await connectionsIn(table.namespace.name)).map(({ service }) => service);
    await expect.poll(left).not.toContain(service);
    expect(sysctl('expire_nodest_conn')).toBe(0);
  });

  it('a setting that a crash left changed is given back by the next command that takes the lock', async () => {
    const director = await fresh();
    await director.stepDrains();
    const { service, destination } = await serviceOn('udp');
    await director.drain(service, destination);
    const { ...record } = JSON.parse(readFileSync(ledger(), 'utf8'));
    writeFileSync(ledger(), JSON.stringify({ ...record, changedSysctls: { 'net.ipv4.vs.expire_nodest_conn': 0 } }));
    sysctl('expire_nodest_conn', 1);
    expect(await ipvs('drain', 'cancel', service, destination)).toMatchObject({ status: 0, stderr: '' });
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
    const { service, destination } = await serviceOn('udp', { persistence: { timeoutSeconds: 600 } });
    await send();
    const begun = await ipvs('drain', service, destination);
    expect(begun.stdout).toMatch(/expire_quiescent_template=1 they go elsewhere/);
    const held = async () => JSON.parse((await ipvs('drain', 'list', '--json')).stdout).drains[0].held;
    await expect.poll(held, { timeout: 30_000 }).toEqual({ active: 0, inactive: 0, entries: 0, templates: 1 });

    sysctl('expire_quiescent_template', 1);
    expect(await ipvs('drain', 'run')).toMatchObject({
      status: 0,
      stdout: `${destination} of ${service}: drained, kept with weight 0\nno drains or ramps in progress\n`,
    });
  });
});

describe('who carries it on', () => {
  function waiting(service: string, destination: string) {
    const words = ['--netns', table.namespace.name, '--state-dir', stateDir, 'drain', service, destination, '--wait'];
    return spawn(process.execPath, [built('cli/ipvs.js'), ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  it('kill -9 of the one who waits leaves it to the next verb, whatever it does', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 2 });
    const { service, destination } = await serviceOn('udp');
    const sender = await send(100);
    const child = waiting(service, destination);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    await sender.stop();
    expect(await weights(service)).toEqual({ [destination]: 0 });
    const over = async () => (await director.drains())[0]?.over;
    await expect.poll(over, { timeout: 20_000, interval: 200 }).toBe(true);
    expect(await ipvs('zero')).toMatchObject({ status: 0, stderr: '' });
    expect(await director.drains()).toMatchObject([{ drain: { ended: { how: 'drained' } } }]);
  });

  it('ctrl-c ends only the waiting, and says who goes on', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('tcp');
    await connect(1);
    const child = waiting(service, destination);
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
    expect(said).toBe(`ipvs: ${destination} of ${service} goes on draining; "ipvs drain run --follow" carries it on\n`);
    expect(await director.drains()).toMatchObject([{ over: false }]);
  });
});

describe('in the history', () => {
  it('a drain and its cancellation are entries; each is undone, and connections stay', async () => {
    const director = await fresh();
    const { service, destination } = await serviceOn('tcp');
    await connect(1);
    const held = async () => {
      const [{ weight, activeConnections } = expect.fail()] = await table.ipvs.destinations(service);
      return { weight, activeConnections, drains: (await director.drains()).map(({ drain }) => drain.deadlineBootMs) };
    };
    await ipvs('drain', service, destination, '--timeout', '30m');
    const draining = await held();
    expect(draining).toMatchObject({ weight: 0, activeConnections: 1, drains: [expect.any(Number)] });

    const undone = await ipvs('undo', '--yes');
    expect(undone).toMatchObject({ status: 0, stderr: '' });
    expect(undone.stdout).toContain(`= ${destination} of ${service}  drains no more\n`);
    expect(await held()).toEqual({ weight: 3, activeConnections: 1, drains: [] });
    expect((await ipvs('undo', '--dry-run')).stdout).toMatch(/ {2}drains again, 29m\d+s left\n/);
    await ipvs('undo', '--yes');
    expect(await held()).toEqual(draining);

    await ipvs('drain', 'cancel', service, destination);
    expect(await held()).toEqual({ weight: 3, activeConnections: 1, drains: [] });
    await ipvs('undo', '--yes');
    expect(await held()).toEqual(draining);

    await ipvs('drain', service, destination, '--timeout', '2h');
    expect((await ipvs('undo', '--yes')).stdout).toContain('the table stays as it is, drains change');
    expect(await held()).toEqual(draining);
    expect(director.history().map(({ command, by }) => [command, by.uid])).toEqual(
      ['drain', 'undo 1', 'undo 2', 'drain cancel', 'undo 4', 'drain', 'undo 6'].map((command) => [command, 0]),
    );
  });
});

it('every command that takes the lock prints what the pass before it did, not among JSON', async () => {
  await fresh();
  const { service } = await serviceOn('tcp');
  await table.ipvs.addDestination(service, { address: '127.0.0.4', weight: 1 });
  await table.ipvs.addDestination(service, { address: '127.0.0.5', weight: 1 });
  const drained = `127.0.0.4:${port} of ${service}: drained, kept with weight 0`;
  const file = join(stateDir, 'more.yaml');
  writeFileSync(file, `services: [{ address: 'fwmark:71', destinations: [] }]`);
  const commands = [
    ['service', 'add', 'fwmark:70'],
    ['service', 'edit', 'fwmark:70', '-s', 'rr'],
    ['destination', 'add', 'fwmark:70', '10.0.0.1'],
    ['destination', 'edit', 'fwmark:70', '10.0.0.1', '-w', '5'],
    ['destination', 'delete', 'fwmark:70', '10.0.0.1'],
    ['service', 'delete', 'fwmark:70'],
    ['zero'],
    ['timeouts', 'set', '--udp', '300s'],
    ['sync', 'start', 'backup', '-i', 'lo'],
    ['sync', 'stop', 'backup'],
    ['sysctl', 'set', 'sync_retries=0'],
    ['masquerade', 'add', '--source', '10.99.0.0/24'],
    ['masquerade', 'delete', '10.99.0.0/24'],
    ['adopt', service],
    ['disown', service],
    ['drain', service, '127.0.0.5', '--timeout', '1h'],
    ['drain', 'cancel', service, '127.0.0.5'],
    ['recover'],
    ['apply', file, '--yes'],
    ['undo', '--yes'],
    ['flush', '--yes'],
  ];
  const beginsDrain = () => ipvs('drain', service, '127.0.0.4');
  for (const words of commands) {
    await beginsDrain();
    const { status, stdout, stderr } = await ipvs(...words);
    expect({ words, status, stderr, told: stdout.split('\n').includes(drained) }).toMatchObject({
      status: 0,
      told: true,
    });
  }
  await table.ipvs.addService({ address: service });
  await table.ipvs.addDestination(service, { address: '127.0.0.4' });
  await beginsDrain();
  const quiet = 'added fwmark:72\n';
  expect((await ipvs('service', 'add', 'fwmark:72')).stdout).toBe(`${drained}\n${quiet}`);
  expect((await ipvs('service', 'add', 'fwmark:73')).stdout).toBe(quiet.replace('72', '73'));
  await beginsDrain();
  expect(await ipvs('zero', '--json')).toEqual({
    status: 0,
    stdout: `${JSON.stringify({ done: 'zeroed the counters of', subject: 'all services' }, null, 2)}\n`,
    stderr: `ipvs: ${drained}\n`,
  });
  await beginsDrain();
  expect(JSON.parse((await ipvs('recover', '--json')).stdout)).toMatchObject({
    outcome: 'nothing',
    pass: { moves: [{ destination: `127.0.0.4:${port}`, ended: { how: 'drained' } }] },
  });
});

describe('an apply', () => {
  const drain = { timeoutSeconds: 600, afterwards: 'delete' } as const;

  it('drains a destination that leaves the file of a service with "drain"', async () => {
    const director = await fresh();
    await table.ipvs.setTimeouts({ udpSeconds: 2 });
    const service = nextService('udp');
    const destination = `${HOST}:${port}`;
    const both = stateOf({ [service]: { [HOST]: 2, '127.0.0.3': 0 } }, { drain });
    const one = stateOf({ [service]: { '127.0.0.3': 0 } }, { drain });
    await director.apply({ desired: both });
    const sender = await send(100);

    const plan = await director.plan({ desired: one });
    expect(plan.changes).toMatchObject([
      { phase: 'drain', effects: [expect.stringContaining('no new'), expect.stringContaining('expire_nodest_conn')] },
    ]);
    expect(await director.apply(plan)).toMatchObject({ outcome: 'applied' });
    expect(await weights(service)).toEqual({ [destination]: 0, [`127.0.0.3:${port}`]: 0 });
    expect((await director.plan({ desired: one })).changes).toEqual([]);
    expect(await director.drains()).toMatchObject([{ held: { entries: 1 }, drain: { by: 'apply', weight: 2 } }]);

    await sender.stop();
    expect(await director.waitForDrain(service, destination)).toMatchObject({ how: 'drained' });
    expect(await weights(service)).toEqual({ [`127.0.0.3:${port}`]: 0 });
    expect((await director.plan({ desired: one })).changes).toEqual([]);
  });

  it('leaves what a verb drains at weight 0, until it is cancelled', async () => {
    const director = await fresh();
    const service = nextService('tcp');
    const desired = stateOf({ [service]: { [HOST]: 2 } });
    await director.apply({ desired });
    await director.drain(service, HOST);
    await director.stepDrains();
    expect((await director.plan({ desired })).changes).toEqual([]);
    await director.apply({ desired: stateOf({ [service]: { [HOST]: 5 } }) });
    expect(await weights(service)).toEqual({ [`${HOST}:${port}`]: 0 });
    expect(await director.cancelDrain(service, HOST)).toMatchObject({ weight: 5, drain: { weight: 2 } });
    expect(await weights(service)).toEqual({ [`${HOST}:${port}`]: 5 });
  });

  it('begins a destination slowly, and passes bring it to its whole weight', async () => {
    const director = await fresh();
    const service = nextService('tcp');
    const ramp = { durationSeconds: 2, floor: 0.1, curve: 'linear' } as const;
    await director.apply({ desired: stateOf({ [service]: { [HOST]: 100 } }, { ramp }) });
    const desired = stateOf({ [service]: { [HOST]: 100, '127.0.0.3': 100 } }, { ramp });
    await director.apply({ desired });
    const seen: number[] = [];
    const step = async () => {
      const { left } = await director.stepDrains();
      seen.push((await weights(service))[`127.0.0.3:${port}`] ?? -1);
      return left.ramps;
    };
    await expect.poll(step, { timeout: 30_000, interval: 100 }).toBe(0);
    expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    expect(seen[0]).toBeLessThan(100);
    expect(seen.at(-1)).toBe(100);
    expect((await director.plan({ desired })).changes).toEqual([]);
  });
});

describe('a wall clock that is set', () => {
  /** The command, for which the wall clock is so many days off: what a step of the clock does to it. */
  function daysOff(days: number, ...args: readonly string[]): Promise<CommandResult> {
    const code = `const Real = Date, off = ${days * 86_400_000}; globalThis.Date = class extends Real {
      constructor(...given) { if (given.length === 0) super(Real.now() + off); else super(...given); }
      static now() { return Real.now() + off; }
    };`;
    const preload = ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
    const where = ['--netns', table.namespace.name, '--state-dir', stateDir];
    return command([process.execPath, ...preload, built('cli/ipvs.js'), ...where, ...args]);
  }

  it.each([-30, 30])('%i days off, a drain goes on, and its deadline stays', async (days) => {
    await fresh();
    const { service, destination } = await serviceOn('tcp');
    await connect(1);
    await ipvs('drain', service, destination, '--timeout', '30m', '--then', 'delete');
    const run = await daysOff(days, 'drain', 'run');
    expect(run).toEqual({ status: 0, stdout: '1 drain goes on\n', stderr: '' });
    const { drains } = JSON.parse((await daysOff(days, 'drain', 'list', '--json')).stdout);
    expect(drains).toMatchObject([{ over: false, held: { active: 1 } }]);
    expect(drains[0].leftMs).toBeGreaterThan(1_700_000);
    expect(drains[0].leftMs).toBeLessThanOrEqual(1_800_000);
    expect(Date.parse(drains[0].startedAt) - Date.now()).toBeCloseTo(days * 86_400_000, -6);
    expect(await weights(service)).toEqual({ [destination]: 0 });
  });
});

describe('drains and ramps that no process advances', () => {
  const second = '127.0.0.3';

  /** A destination leaves the file, another comes. */
  async function given() {
    await fresh();
    const service = nextService('tcp');
    const file = (address: string) => {
      const path = join(stateDir, `${address}.yaml`);
      const slow = 'ramp: { duration: 4s }, drain: { timeout: 2s, then: delete }';
      const destinations = `[{ address: 127.0.0.9, weight: 100 }, { address: ${address}, weight: 100 }]`;
      writeFileSync(
        path,
        `services: [{ address: '${service}', scheduler: wrr, ${slow}, destinations: ${destinations} }]`,
      );
      return path;
    };
    expect((await ipvs('apply', file(HOST), '--yes')).stdout).toMatch(/3 changes made\n$/);
    return { service, file: file(second) };
  }

  it('are announced, shown everywhere, and done by the next apply, which says so', async () => {
    const { service, file } = await given();
    const applied = await ipvs('apply', file, '--yes');
    expect(applied.stdout).toMatch(/\n1 drain and 1 ramp go on: continue with "ipvs drain run --follow"/);
    expect((await ipvs('list')).stdout).toMatch(/127\.0\.0\.3:\d+ +masquerade +10 {2}ramping to 100, \ds +0/);
    await sleep(4100);

    const gone = `${HOST}:${port} of ${service}`;
    const ramped = `${second}:${port} of ${service}`;
    const list = (await ipvs('list')).stdout;
    expect(list).toMatch(/ 0 {2}draining, none left, ends with the next pass /);
    expect(list).toMatch(/ 10 {2}ramping to 100, 100 is due /);
    const drains = (await ipvs('drain', 'list')).stdout.split('\n').map((line) => line.split(/ {2,}/).slice(-3));
    expect(drains.slice(0, 3)).toEqual([
      ['WEIGHT', 'DUE', 'WHOLE'],
      ['0', '0', '100'],
      ['10', '100', '100'],
    ]);
    const drift = await ipvs('drift');
    expect(drift.stdout).toContain(`${ramped}  weight 10 ramping to 100, 100 is due\n`);
    expect([drift.status, drift.stdout.split('\n').at(-2)]).toEqual([
      0,
      'nothing differs; 2 weights held by drains and ramps',
    ]);
    const plan = await ipvs('plan', file);
    expect([plan.status, plan.stdout]).toEqual([
      2,
      expect.stringContaining(`next pass: ${gone}  deleted: it is drained\n`),
    ]);
    expect(plan.stdout).toContain(`next pass: ${ramped}  weight 100 of 100, its ramp ends\n`);
    expect(plan.stdout).not.toContain('nothing to change');

    const again = await ipvs('apply', file, '--yes');
    expect(again.stdout).toContain(`${gone}: drained, deleted\n${ramped}: weight 100, the whole\n`);
    expect(again.stdout).not.toMatch(/nothing to change|continue with/);
    expect(await weights(service)).toEqual({ [`127.0.0.9:${port}`]: 100, [`${second}:${port}`]: 100 });
    expect(await ipvs('plan', file)).toMatchObject({ status: 0, stdout: 'nothing to change; 3 unchanged\n' });
  });

  it('are followed to the end by an apply that waits', async () => {
    const { service, file } = await given();
    const applied = await ipvs('apply', file, '--yes', '--wait');
    expect(applied.status).toBe(0);
    expect(applied.stdout).toContain(`${HOST}:${port} of ${service}: drained, deleted\n`);
    expect(applied.stdout).toMatch(/: weight 100, the whole\nno drains or ramps in progress\n$/);
    expect(await weights(service)).toEqual({ [`127.0.0.9:${port}`]: 100, [`${second}:${port}`]: 100 });
  });

  it('need no hint while a process follows them', async () => {
    const { file } = await given();
    const follower = await director.follow();
    expect((await ipvs('apply', file, '--yes')).stdout).not.toContain('continue with');
    follower.release();
    expect((await ipvs('apply', file, '--yes')).stdout).toContain('continue with');
  });

  it('are not shown by a list that cannot read the record', async () => {
    const { file } = await given();
    await ipvs('apply', file, '--yes');
    writeFileSync(ledger(), '{');
    expect(await ipvs('list')).toMatchObject({ status: 0, stderr: '', stdout: expect.not.stringContaining('ramping') });
  });
});

it('what is not drained, and what is not there', async () => {
  const director = await fresh();
  const { service, destination } = await serviceOn('tcp');
  const codeOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => undefined,
      (error: IpvsError) => error.code,
    );
  expect(await codeOf(director.drain(nextService('udp'), HOST))).toBe('SERVICE_NOT_FOUND');
  expect(await codeOf(director.drain(service, '127.0.0.7'))).toBe('DESTINATION_NOT_FOUND');
  expect(await codeOf(director.drain(service, destination, { timeoutMs: -1 }))).toBe('INVALID_DURATION');
  expect(await codeOf(director.cancelDrain(service, destination))).toBe('NO_SUCH_DRAIN');
  expect(await codeOf(director.waitForDrain(service, destination))).toBe('NO_SUCH_DRAIN');
  await director.drain(service, destination);
  await table.ipvs.removeDestination(service, destination);
  expect(await director.waitForDrain(service, destination)).toMatchObject({ how: 'gone' });
  expect(await codeOf(director.cancelDrain(service, destination))).toBe('NO_SUCH_DRAIN');
});
