/** The kernel's defense, driven and counted in packets; and the controller of it, killed and recovered. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Action, actions, DROP_RATE, sysctlOf, THRESHOLD } from '../../src/defense/action.ts';
import { type Defense, openDefense } from '../../src/defense/defense.ts';
import { kernelStep } from '../../src/defense/kernel-step.ts';
import { normalizePolicy, type PolicySettings } from '../../src/defense/policy.ts';
import { isReading } from '../../src/defense/signal.ts';
import { openDirector } from '../../src/director/director.ts';
import { native } from '../../src/kernel/native.ts';
import { pageBytes, readMemory } from '../../src/proc/memory.ts';
import { KernelSysctls } from '../../src/sysctl/sysctls.ts';
import { built, type CommandResult } from '../helpers/cli.ts';
import { connectionsIn } from '../helpers/connections.ts';
import { kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('defense', { keep: true });
const folder = mkdtempSync(join(tmpdir(), 'ipvs-defense-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [DROP_ENTRY, DROP_PACKET, SECURE_TCP] = actions.map((action) => sysctlOf[action]) as [string, string, string];
const WEB = ['192.0.2.1', 80] as const;
const DNS = ['192.0.2.1', 53] as const;
/** A second of the kernel's, and some. */
const KERNEL_SECOND_MS = 1300;

let sysctls: KernelSysctls;
const read = (name: string) => sysctls.read(name);
const write = (name: string, value: string | number) => sysctls.write(name, String(value));
const defaults = { [DROP_ENTRY]: '0', [DROP_PACKET]: '0', [SECURE_TCP]: '0', [DROP_RATE]: '10', [THRESHOLD]: '1024' };
const settings = () => Object.fromEntries(Object.keys(defaults).map((name) => [name, read(name)]));

beforeAll(async () => {
  const { namespace, ipvs } = table;
  sysctls = new KernelSysctls(native(), `/run/netns/${namespace.name}`);
  // Destinations on a link that nobody answers at.
  namespace.run('ip', ['link', 'add', 'nowhere', 'type', 'dummy']);
  namespace.run('ip', ['link', 'set', 'nowhere', 'up', 'arp', 'off']);
  namespace.run('ip', ['address', 'add', '10.0.0.1/24', 'dev', 'nowhere']);
  namespace.run('ip', ['address', 'add', '192.0.2.1/32', 'dev', 'lo']);
  for (const service of ['tcp://192.0.2.1:80', 'udp://192.0.2.1:53'] as const) {
    await ipvs.addService({ address: service, scheduler: 'rr' });
    await ipvs.addDestination(service, { address: '10.0.0.11', forward: 'direct' });
  }
});
beforeEach(() => {
  for (const [name, value] of Object.entries(defaults)) write(name, value);
});

interface Openers {
  stop(): Promise<void>;
}

const running = new Set<Openers>();
afterEach(async () => {
  for (const openers of running) await openers.stop();
});

/** Each connection is a new one: UDP is remembered for minutes. */
let nextPort = 10_000;

/** Opens so many connections at once. */
async function open(
  protocol: 'tcp' | 'udp',
  [address, port]: readonly [string, number],
  connections: number,
): Promise<Openers> {
  const program = fileURLToPath(new URL('../programs/openers.mjs', import.meta.url));
  const words = [program, protocol, address, String(port), String(connections), String(nextPort)];
  nextPort += connections;
  const child = spawn('ip', ['netns', 'exec', table.namespace.name, process.execPath, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const openers = {
    async stop() {
      child.stdin.end();
      await ended;
      running.delete(openers);
    },
  };
  running.add(openers);
  expect(await once(createInterface({ input: child.stdout }), 'line')).toEqual(['ready']);
  return openers;
}

/** How many new connections the kernel took. */
async function taken(): Promise<number> {
  const { cpus } = await table.ipvs.totals();
  return Number(cpus.reduce((sum, { connections }) => sum + connections, 0n));
}

async function takenOf(connections: number): Promise<number> {
  const before = await taken();
  await (await open('udp', DNS, connections)).stop();
  return (await taken()) - before;
}

async function states(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { service, state } of await connectionsIn(table.namespace.name))
    if (service.startsWith('tcp:')) found[state] = (found[state] ?? 0) + 1;
  return found;
}

function inputs() {
  const { freeBytes, buffersBytes } = readMemory();
  return {
    freePages: freeBytes / pageBytes(),
    bufferPages: buffersBytes / pageBytes(),
    thresholdPages: Number(read(THRESHOLD)),
    dropRate: Number(read(DROP_RATE)),
    modes: Object.fromEntries(actions.map((action) => [action, Number(read(sysctlOf[action]))])) as Record<
      Action,
      number
    >,
  };
}

describe('the computation of the kernel', () => {
  it('is the one that is repeated: every mode, with memory and without', async () => {
    const { freePages, bufferPages } = inputs();
    const available = freePages + bufferPages;
    // Away from what is free now: that moves while it is looked at.
    const amounts = [-1, 0, Math.floor(available / 2), Math.ceil(available * 1.5), 2 ** 31 - 1];
    for (const thresholdPages of amounts) {
      write(THRESHOLD, thresholdPages);
      for (const mode of [0, 1, 2, 3]) {
        for (const action of actions) write(sysctlOf[action], (mode + actions.indexOf(action)) % 4);
        const before = inputs();
        const foreseen = kernelStep(before);
        await sleep(KERNEL_SECOND_MS);
        for (const action of actions) {
          const subject = `${action} ${before.modes[action]} with amemthresh ${thresholdPages} of ${available}`;
          expect(Number(read(sysctlOf[action])), subject).toBe(foreseen.actions[action].becomes);
        }
      }
    }
  });

  it('drives automatic modes from 1 to 2 and back, as amemthresh says', async () => {
    for (const action of actions) write(sysctlOf[action], 1);
    for (let round = 0; round < 2; round++) {
      write(THRESHOLD, 2 ** 31 - 1);
      await vi.waitFor(() => expect(actions.map((action) => read(sysctlOf[action]))).toEqual(['2', '2', '2']), 5000);
      write(THRESHOLD, 1);
      await vi.waitFor(() => expect(actions.map((action) => read(sysctlOf[action]))).toEqual(['1', '1', '1']), 5000);
    }
  });

  it('comes to the drop rate that packets show, in the automatic mode', async () => {
    const { freePages, bufferPages } = inputs();
    // A third more than there is: 1 in 4; twice: 1 in 2; much more: all.
    for (const [times, rate] of [
      [1.3, 4],
      [1.8, 2],
      [8, 1],
    ] as const) {
      write(THRESHOLD, Math.round((freePages + bufferPages) * times));
      write(DROP_PACKET, 1);
      const foreseen = kernelStep(inputs());
      expect(foreseen.dropRate).toBe(rate);
      const count = await takenOf(400);
      // Each second the kernel begins to count anew.
      expect(Math.abs(count - 400 * (1 - 1 / rate)), `1 in ${rate}: ${count} of 400`).toBeLessThanOrEqual(
        rate === 1 ? 0 : 12,
      );
      write(DROP_PACKET, 0);
    }
  });
});

describe('a level, seen in packets', () => {
  it('drop-packet drops exactly one in N new connections, and none that is there', async () => {
    expect(await takenOf(300)).toBe(300);
    for (const rate of [2, 3, 10, 100]) {
      write(DROP_RATE, rate);
      write(DROP_PACKET, 3);
      await sleep(KERNEL_SECOND_MS);
      const count = await takenOf(600);
      expect(Math.abs(count - (600 - 600 / rate)), `1 in ${rate}: ${count} of 600`).toBeLessThanOrEqual(1);
      write(DROP_PACKET, 0);
    }
  });

  it('drop-entry makes half-open entries vanish', async () => {
    const openers = await open('tcp', WEB, 400);
    await openers.stop();
    const before = (await states())['SYN_RECV'] ?? 0;
    expect(before).toBeGreaterThan(350);
    await sleep(KERNEL_SECOND_MS);
    // Without it they stay for a minute.
    expect((await states())['SYN_RECV']).toBe(before);
    write(DROP_ENTRY, 3);
    // A 32nd of the table each second.
    await vi.waitFor(async () => expect((await states())['SYN_RECV'] ?? 0).toBeLessThan(before * 0.8), {
      timeout: 40_000,
      interval: 500,
    });
  });

  it('secure-tcp follows TCP by another table of states', async () => {
    const openers = await open('tcp', WEB, 20);
    await openers.stop();
    const before = await states();
    write(SECURE_TCP, 3);
    await (await open('tcp', WEB, 20)).stop();
    const after = await states();
    // Of direct routing only the client's side is seen: its SYN is answered elsewhere, or not at all.
    expect(before['SYNACK'] ?? 0).toBe(0);
    expect(after['SYNACK']).toBe(20);
  });
});

/** Everything is an attack: there is never so much memory. */
const SCARCE = { enter: { memoryAvailableBelow: 0.999 }, leave: { memoryAvailableBelow: 1 } };
const ESCALATION: PolicySettings = {
  levels: [
    { actions: ['drop-entry'], ...SCARCE, minHoldSeconds: 1 },
    { actions: ['drop-entry', 'drop-packet'], dropRate: 3, ...SCARCE, minHoldSeconds: 1 },
    { actions: ['drop-entry', 'drop-packet', 'secure-tcp'], dropRate: 2, ...SCARCE, minHoldSeconds: 1 },
  ],
};
const HIGHEST = { [DROP_ENTRY]: '3', [DROP_PACKET]: '3', [SECURE_TCP]: '3', [DROP_RATE]: '2' };

/** A folder of its own for each test. */
let made = 0;
const stateDir = () => join(folder, String(++made));

async function withDefense<T>(dir: string, work: (defense: Defense, lines: object[]) => Promise<T>): Promise<T> {
  const lines: object[] = [];
  const log = (details: object) => void lines.push(details);
  const defense = await openDefense({
    netns: table.namespace.name,
    stateDir: dir,
    logger: { debug: log, info: log, warn: log, error: log },
  });
  try {
    return await work(defense, lines);
  } finally {
    await defense.close();
  }
}

describe('the controller', () => {
  it('goes up a level at a time, and puts everything back when it is told to end', async () => {
    write(DROP_ENTRY, 1);
    await withDefense(stateDir(), async (defense, lines) => {
      const stop = new AbortController();
      const run = await defense.start({ policy: ESCALATION, signal: stop.signal });
      await vi.waitFor(() => expect(settings()).toMatchObject(HIGHEST), { timeout: 60_000, interval: 200 });
      const status = await defense.status();
      expect(status).toMatchObject({
        kernel: { modes: { 'drop-entry': 'always', 'secure-tcp': 'always' }, step: { dropRate: 2 } },
        controller: { running: true, holder: { pid: process.pid, purpose: 'ipvs defense run' } },
        policy: normalizePolicy(ESCALATION),
        course: { level: 3, enter: [], leave: [{ threshold: 'memoryAvailableBelow', limit: 1, crossed: true }] },
        held: { level: 3, originals: { [DROP_ENTRY]: '1', [DROP_PACKET]: '0', [SECURE_TCP]: '0', [DROP_RATE]: '10' } },
      });
      // Somebody else, who thinks that it is over.
      write(DROP_PACKET, 0);
      await vi.waitFor(() => expect(read(DROP_PACKET)).toBe('3'), { timeout: 20_000 });
      stop.abort();
      expect((await run.ended).refused).toEqual([]);
      expect(settings()).toEqual({ ...defaults, [DROP_ENTRY]: '1' });
      expect(lines).toContainEqual(expect.objectContaining({ event: 'defense.changed', sysctl: DROP_PACKET, to: '0' }));
      const steps = lines.filter((line) => eventOf(line) === 'defense.step');
      expect(steps.map((line) => 'to' in line && line.to)).toEqual([1, 2, 3]);
      expect((await defense.status()).controller).toEqual({ running: false });
    });
  });

  it('sees a flood of half-open connections, and lets go when it is over', async () => {
    const policy = normalizePolicy({
      sampleEntries: 1000,
      leastEntries: 100,
      levels: [
        {
          actions: ['drop-entry', 'drop-packet'],
          dropRate: 2,
          enter: { halfOpenAbove: 0.5 },
          leave: { halfOpenAbove: 0.2 },
          minHoldSeconds: 2,
        },
      ],
    });
    await withDefense(stateDir(), async (defense, lines) => {
      const stop = new AbortController();
      const run = await defense.start({ policy, signal: stop.signal });
      const before = await takenOf(0);
      expect(before).toBe(0);
      await (await open('tcp', WEB, 400)).stop();
      await vi.waitFor(() => expect(run.state.level).toBe(1), { timeout: 20_000 });
      expect(settings()).toMatchObject({ [DROP_ENTRY]: '3', [DROP_PACKET]: '3', [DROP_RATE]: '2' });
      // What it saw then: the kernel throws them out, from now on.
      expect(lines.find((line) => eventOf(line) === 'defense.step')).toMatchObject({
        to: 1,
        numbers: { halfOpen: expect.closeTo(1, 1) },
      });
      await vi.waitFor(() => expect(run.state.level).toBe(0), { timeout: 110_000, interval: 500 });
      await vi.waitFor(() => expect(settings()).toEqual(defaults), { timeout: 10_000 });
      stop.abort();
      await run.ended;
    });
  });

  it('counts new connections, and the table against its limit', async () => {
    await withDefense(stateDir(), async (defense) => {
      await defense.status({ tableLimit: 100_000, sampleEntries: 100, leastEntries: 10 });
      await sleep(600);
      await (await open('udp', DNS, 300)).stop();
      const began = performance.now();
      const { readings } = await defense.status({ tableLimit: 100_000, sampleEntries: 100, leastEntries: 10 });
      const { newConnections, table: fullness } = readings;
      expect(isReading(newConnections) && newConnections.value).toBeGreaterThan(
        300 / ((performance.now() - began) / 1000 + 60),
      );
      expect(isReading(fullness) && fullness.value * 100_000).toBeGreaterThanOrEqual(300);
      expect(fullness).toMatchObject({ of: 100_000 });
    });
  });

  it('writes nothing in a dry run, beside another one', async () => {
    const dir = stateDir();
    await withDefense(dir, async (defense, lines) => {
      const stop = new AbortController();
      const real = await defense.start({ policy: 'off', signal: stop.signal });
      const dry = await defense.start({ policy: ESCALATION, dryRun: true, signal: stop.signal });
      await vi.waitFor(() => expect(dry.state.level).toBe(3), { timeout: 60_000 });
      expect(settings()).toEqual(defaults);
      stop.abort();
      await Promise.all([real.ended, dry.ended]);
      expect(lines).toContainEqual(
        expect.objectContaining({ event: 'defense.write', sysctl: DROP_ENTRY, to: '3', dryRun: true }),
      );
    });
    expect(files(dir)).toEqual(['defense-lock']);
  });

  it('is one in a namespace', async () => {
    await withDefense(stateDir(), async (defense) => {
      const stop = new AbortController();
      const first = await defense.start({ policy: 'memory', signal: stop.signal });
      await expect(defense.start({ policy: 'off', signal: stop.signal })).rejects.toMatchObject({
        code: 'LOCKED',
        message: expect.stringContaining(`"ipvs defense run", process ${process.pid}`),
      });
      await expect(defense.restore()).rejects.toMatchObject({ code: 'LOCKED' });
      stop.abort();
      await first.ended;
      expect(await defense.restore()).toEqual({ written: [], refused: [], kept: [] });
    });
  });

  it('writes nothing where what was there cannot be recorded', async () => {
    const dir = stateDir();
    await withDefense(dir, async (defense, lines) => {
      const stop = new AbortController();
      const run = await defense.start({ policy: ESCALATION, signal: stop.signal });
      // A folder has the name that the file needs.
      const [home = ''] = readdirSync(dir);
      mkdirSync(join(dir, home, `defense.json.${process.pid}.tmp`));
      await vi.waitFor(() => expect(lines.map(eventOf)).toContain('defense.unrecorded'), { timeout: 20_000 });
      await sleep(2 * KERNEL_SECOND_MS);
      expect(run.state.level).toBe(0);
      expect(settings()).toEqual(defaults);
      stop.abort();
      await run.ended;
      expect(lines.map(eventOf)).toEqual(['defense.started', 'defense.unrecorded', 'defense.ended']);
    });
  });

  it('goes by the policy that is applied, and watches when it leaves the file', async () => {
    const dir = stateDir();
    await using director = await openDirector({ netns: table.namespace.name, stateDir: dir });
    await withDefense(dir, async (defense, lines) => {
      const stop = new AbortController();
      const run = await defense.start({ signal: stop.signal });
      const { services } = await table.ipvs.snapshot();
      const desired = {
        services: services.map(({ destinations, ...service }) => ({ service, destinations })),
        defense: normalizePolicy(ESCALATION),
      };
      await director.apply({ desired }, { adopt: true });
      await vi.waitFor(() => expect(settings()).toMatchObject(HIGHEST), { timeout: 60_000, interval: 200 });
      expect((await defense.status()).policy).toEqual(desired.defense);
      await director.apply({ desired: { services: desired.services } });
      await vi.waitFor(() => expect(settings()).toEqual(defaults), { timeout: 60_000, interval: 200 });
      await vi.waitFor(async () => expect((await defense.status()).course?.level).toBe(0), 10_000);
      stop.abort();
      await run.ended;
      expect(lines.filter((line) => eventOf(line) === 'defense.policy')).toHaveLength(2);
    });
  });

  it('keeps its settings from others, who are told of it before', async () => {
    const dir = stateDir();
    await using director = await openDirector({ netns: table.namespace.name, stateDir: dir });
    await withDefense(dir, async (defense) => {
      const stop = new AbortController();
      const run = await defense.start({ policy: ESCALATION, signal: stop.signal });
      await vi.waitFor(() => expect(settings()).toMatchObject(HIGHEST), { timeout: 60_000, interval: 200 });
      const sysctl = (...words: readonly string[]) => inside(['--state-dir', dir, 'sysctl', ...words]);
      expect(await sysctl('set', 'conntrack=1', 'drop_entry=off')).toEqual({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(/^ipvs: set sysctl net\.ipv4\.vs\.drop_entry: the defense has changed[^\n]+\n$/),
      });
      expect([read('net.ipv4.vs.conntrack'), read(DROP_ENTRY)]).toEqual(['0', '3']);
      expect((await sysctl('get', 'drop_entry', 'conntrack')).stdout).toBe(
        'net.ipv4.vs.drop_entry = always (held by the defense, which puts back off)\nnet.ipv4.vs.conntrack = 0\n',
      );
      expect(JSON.parse((await sysctl('list', '--json')).stdout)).toContainEqual({
        name: DROP_RATE,
        value: '2',
        default: '10',
        heldBy: 'defense',
        original: '10',
        changed: true,
      });
      const intent = { desired: { services: [], sysctls: { [DROP_ENTRY]: '1' } } };
      const { changes } = await director.plan(intent);
      expect(changes.find(({ subject }) => subject === DROP_ENTRY)).toMatchObject({
        detail: 'off → automatic',
        effects: ['held by the defense: an apply is refused until that is over'],
      });
      const { outcome, failed } = await director.apply(intent, { force: true });
      expect([outcome, failed.map(({ error }) => error.code)]).toEqual(['undone', ['SYSCTL_HELD']]);
      stop.abort();
      await run.ended;
      expect((await director.apply(intent, { force: true })).outcome).toBe('applied');
      expect(read(DROP_ENTRY)).toBe('1');
    });
  });
});

function eventOf(line: object): unknown {
  return 'event' in line ? line.event : undefined;
}

function files(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes('/'))
    .map((name) => name.slice(name.indexOf('/') + 1))
    .sort();
}

function inside(args: readonly string[]): Promise<CommandResult> {
  return table.namespace.ipvs(args);
}

const POLICY = join(folder, 'escalation.yaml');
writeFileSync(
  POLICY,
  `defense:
  levels:
    - actions: [drop-entry]
      enter: { memoryAvailableBelow: 99.9% }
      leave: { memoryAvailableBelow: 100% }
      minHold: 1s
    - actions: [drop-entry, drop-packet, secure-tcp]
      dropRate: 2
      enter: { memoryAvailableBelow: 99.9% }
      leave: { memoryAvailableBelow: 100% }
      minHold: 1s
`,
);

interface Running {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
  end(signal: NodeJS.Signals): Promise<number | null>;
}

const commands = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of commands) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
});

/** `ipvs defense run`, until it is at the highest level. */
async function startCommand(dir: string): Promise<Running> {
  const words = ['--state-dir', dir, 'defense', 'run', '--file', POLICY];
  const child = spawn('ip', ['netns', 'exec', table.namespace.name, process.execPath, built('cli/ipvs.js'), ...words], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => lines.push(JSON.parse(line)));
  const closed = once(child, 'close');
  commands.add(child);
  child.on('close', () => commands.delete(child));
  await vi.waitFor(() => expect(lines).toContainEqual(expect.objectContaining({ event: 'defense.step', to: 2 })), {
    timeout: 100_000,
    interval: 100,
  });
  await vi.waitFor(() => expect(settings()).toMatchObject(HIGHEST), 10_000);
  return {
    child,
    lines,
    async end(signal) {
      child.kill(signal);
      return (await closed)[0] as number | null;
    },
  };
}

describe('ipvs defense', () => {
  it('run ends on SIGTERM with everything as it was, and tells each write', async () => {
    const dir = stateDir();
    const running = await startCommand(dir);
    expect(await running.end('SIGTERM')).toBe(0);
    expect(settings()).toEqual(defaults);
    const written = running.lines.filter(({ event }) => event === 'defense.write');
    expect(written.map(({ sysctl, from, to }) => `${String(sysctl).slice(12)} ${from} ${to}`)).toEqual([
      'drop_entry 0 3',
      'am_droprate 10 2',
      'drop_packet 0 3',
      'secure_tcp 0 3',
      'secure_tcp 3 0',
      'drop_packet 3 0',
      'am_droprate 2 10',
      'drop_entry 3 0',
    ]);
    for (const line of written) expect(line['reasons']).toHaveLength(1);
    expect(files(dir)).toEqual(['defense-lock']);
  });

  it('killed leaves its settings, and the next run puts them back first', async () => {
    const dir = stateDir();
    write(DROP_PACKET, 1);
    await (await startCommand(dir)).end('SIGKILL');
    expect(settings()).toMatchObject(HIGHEST);
    expect(files(dir)).toEqual(['defense-lock', 'defense.json']);
    const status = await inside(['--state-dir', dir, 'defense']);
    expect(status.stdout).toContain('one died at level 2 of a policy of its own');

    const next = await startCommand(dir);
    const recovered = next.lines.filter(({ reasons }) => String(reasons) === 'a controller that died left it');
    expect(recovered.map(({ sysctl, to }) => [sysctl, to])).toEqual([
      [SECURE_TCP, '0'],
      [DROP_PACKET, '1'],
      [DROP_RATE, '10'],
      [DROP_ENTRY, '0'],
    ]);
    await next.end('SIGINT');
    expect(settings()).toEqual({ ...defaults, [DROP_PACKET]: '1' });
  });

  it('restore puts back what a killed one left, and is refused while one runs', async () => {
    const dir = stateDir();
    const running = await startCommand(dir);
    const refused = await inside(['--state-dir', dir, 'defense', 'restore']);
    expect(refused).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^ipvs: defense restore: .*process \d+.*\n$/),
    });
    await running.end('SIGKILL');
    // Somebody could not wait.
    write(SECURE_TCP, 1);
    expect(await inside(['--state-dir', dir, 'defense', 'restore'])).toEqual({
      status: 0,
      stdout: `put back 3 settings\nsecure_tcp is automatic: somebody else set it meanwhile, so it stays (before the defense: off)\n`,
      stderr: '',
    });
    expect(settings()).toEqual({ ...defaults, [SECURE_TCP]: '1' });
    expect(await inside(['--state-dir', dir, 'defense', 'restore'])).toMatchObject({
      stdout: 'there was nothing to put back\n',
    });
  });

  it('restore writes nothing of another boot or namespace', async () => {
    const dir = stateDir();
    await (await startCommand(dir)).end('SIGKILL');
    const [home = ''] = readdirSync(dir);
    const path = join(dir, home, 'defense.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"table": "[^/]+/, '"table": "another-boot'));
    expect(await inside(['--state-dir', dir, 'defense', 'restore'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('of another boot or namespace'),
    });
    expect(settings()).toMatchObject(HIGHEST);
    expect(files(dir)).toEqual(['defense-lock']);
  });

  it('status shows modes as people mean them, and the computation', async () => {
    write(DROP_ENTRY, 1);
    write(SECURE_TCP, 3);
    write(THRESHOLD, 2 ** 31 - 1);
    await vi.waitFor(() => expect(read(DROP_ENTRY)).toBe('2'), 5000);
    const { status, stdout, stderr } = await inside(['defense', 'status']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ {2}drop_entry {3}automatic, engaged$/m);
    expect(stdout).toMatch(/^ {2}drop_packet {2}off$/m);
    expect(stdout).toMatch(/^ {2}secure_tcp {3}always$/m);
    expect(stdout).toMatch(/^ {2}MemFree [\d,]+ \+ Buffers [\d,]+ = [\d,]+ pages available$/m);
    expect(stdout).toMatch(/^ {2}amemthresh 2,147,483,647: [\d,]+ is below 2,147,483,647, so automatic modes engage$/m);
    expect(stdout).toMatch(/^ {2}new connections +0 per second$/m);
    const json = JSON.parse((await inside(['defense', 'status', '--json'])).stdout);
    expect(json).toMatchObject({
      kernel: {
        modes: { 'drop-entry': 'engaged', 'drop-packet': 'off', 'secure-tcp': 'always' },
        step: { short: true },
      },
      controller: { running: false },
    });
  });

  it.each([
    [['run', '--policy', 'gentle'], '--policy is none of'],
    [['run', '--policy', 'off', '--file', 'x.yaml'], 'say --policy or --file, not both'],
    [['explain', 'gentle'], '"gentle" is no preset'],
    [['nonsense'], 'unknown argument'],
    [['status', '--watch', '0s'], '--watch takes 1s to 1d'],
    [['status', '--transport', 'memory'], "the defense is the kernel's"],
  ])('refuses %s in one line', async (words, message) => {
    const { status, stdout, stderr } = await inside(['defense', ...words]);
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toContain(message);
  });
});
