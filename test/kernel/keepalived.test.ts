/**
 * keepalived beside us, in one network namespace: its real servers die and return while we apply, adopt and undo. What
 * the table should be follows from its file and from ours; ipvsadm says what it is.
 *
 * IPVS_KEEPALIVED_MINUTES=10 goes on for so long; without it everything is done once.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../../scripts/lib/lab.mjs';
import { endResident, residentCli } from '../helpers/cli.ts';
import { destinationLine, Keepalived, serviceLine, type VirtualServer } from '../helpers/keepalived.ts';
import { ip } from '../helpers/namespace.ts';

const minutes = Number(process.env['IPVS_KEEPALIVED_MINUTES'] ?? 0);
const programOf = (name: string) => fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url));

const [ONE, TWO, THREE] = ['10.0.0.11', '10.0.0.12', '10.0.0.13'] as const;
/** keepalived's. The first server of each never dies. */
const web: VirtualServer = {
  address: '192.0.2.10:8001',
  scheduler: 'rr',
  kind: 'NAT',
  servers: { [`${ONE}:9001`]: 1, [`${TWO}:9001`]: 1, [`${THREE}:9001`]: 1 },
};
const adopted: VirtualServer = {
  address: '192.0.2.10:8002',
  scheduler: 'wlc',
  kind: 'NAT',
  servers: { [`${ONE}:9002`]: 1, [`${TWO}:9002`]: 2, [`${THREE}:9002`]: 3 },
};
const marked: VirtualServer = {
  address: 'fwmark 7',
  scheduler: 'wrr',
  kind: 'DR',
  servers: { [`${ONE}:9003`]: 1, [`${TWO}:9003`]: 4 },
};
/** As keepalived's file has them now. */
let theirs: readonly VirtualServer[] = [web, adopted, marked];
const ADOPTED = `tcp://${adopted.address}`;

/** Ours, as our file has them. Nobody talks to the second, which comes and goes. */
const OWN = '192.0.2.10:8101';
const OTHER = '192.0.2.10:8102';
const ownStates = [
  [own(OWN, 1, 2, 3), own(OTHER, 1)],
  [own(OWN, 5, 2, 3)],
  [own(OWN, 5, 2, 7), own(OTHER, 3, 3)],
  [own(OWN, 1, 1, 7), own(OTHER, 0, 2, 4)],
];
let ours: readonly VirtualServer[] = [];

function own(address: string, ...weights: readonly number[]): VirtualServer {
  const hosts = [ONE, TWO, THREE];
  const servers = Object.fromEntries(weights.map((weight, i) => [`${hosts[i]}:9101`, weight]));
  return { address, scheduler: 'wrr', kind: 'NAT', servers };
}

const names = [...new Set([...theirs, ...ownStates.flat()].flatMap(({ servers }) => Object.keys(servers)))];
const mortal = theirs.flatMap(({ servers }) => Object.keys(servers).slice(1));
const adoptable = Object.keys(adopted.servers);

/** What happened, for whoever reads the long run. */
const counts = {
  rounds: 0,
  applies: 0,
  adopts: 0,
  undos: 0,
  disowns: 0,
  commands: 0,
  reloads: 0,
  deaths: 0,
  returns: 0,
};
const seen = { looks: 0, newConnections: 0, reopened: 0, answers: 0, lostWithTheirServer: 0 };

let lab: Lab;
let folder: string;
let keepalived: Keepalived;
let orders: Orders;

/** The program with the real servers, one order after the other. */
class Orders {
  readonly #program: ReturnType<Lab['launch']>;
  readonly dead = new Set<string>();
  readonly deaths: { readonly server: string; readonly atMs: number }[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(program: ReturnType<Lab['launch']>) {
    this.#program = program;
  }

  ask(order: object): Promise<{ readonly checks: number; readonly connections: number }> {
    const answer = this.#last.then(async () => {
      this.#program.write(`${JSON.stringify(order)}\n`);
      return JSON.parse(await this.#program.line());
    });
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async kill(server: string): Promise<void> {
    if (this.dead.has(server)) return;
    this.dead.add(server);
    this.deaths.push({ server, atMs: Date.now() });
    counts.deaths++;
    await this.ask({ down: server });
  }

  async revive(server: string): Promise<void> {
    if (!this.dead.has(server)) return;
    await this.ask({ up: server });
    this.dead.delete(server);
    counts.returns++;
  }
}

/** The lines that ipvsadm prints. */
async function look(): Promise<Set<string>> {
  const { stdout } = await promisify(execFile)('ip', ['netns', 'exec', lab.director, 'ipvsadm', '-Sn']);
  seen.looks++;
  return new Set(stdout.split('\n').filter((line) => line !== ''));
}

function linesOf(service: VirtualServer, isThere: (server: string) => boolean = () => true): string[] {
  const servers = Object.entries(service.servers).filter(([server]) => isThere(server));
  return [serviceLine(service), ...servers.map(([server, weight]) => destinationLine(service, server, weight))];
}

/** The lines of the table that are about some services. */
function about(table: ReadonlySet<string>, services: readonly VirtualServer[]): string[] {
  const heads = services.map((service) => serviceLine(service).split(' ').slice(1, 3).join(' '));
  return [...table].filter((line) => heads.includes(line.split(' ').slice(1, 3).join(' '))).sort();
}

const alive = (server: string) => !orders.dead.has(server);

/** Whatever happens, services are there, and the first destination of each, which never dies. */
function expectLasting(table: ReadonlySet<string>): void {
  for (const service of [...theirs, ...ours.filter(({ address }) => address === OWN)]) {
    expect(table).toContain(serviceLine(service));
    const [server = ''] = Object.keys(service.servers);
    const anyWeight = destinationLine(service, server, 0).replace(/\d+$/, '');
    expect([...table].filter((line) => line.startsWith(anyWeight))).toHaveLength(1);
  }
}

const POLL = { timeout: 60_000, interval: 200 };

/** Until the table is what both files and the real servers come to: keepalived needs its time, we need none. */
async function settled(): Promise<void> {
  const differences = async () => {
    const table = await look();
    const wanted = new Set([
      ...ours.flatMap((each) => linesOf(each)),
      ...theirs.flatMap((each) => linesOf(each, alive)),
    ]);
    return [
      ...[...wanted].filter((line) => !table.has(line)).map((line) => `missing: ${line}`),
      ...[...table].filter((line) => !wanted.has(line)).map((line) => `not expected: ${line}`),
    ];
  };
  await expect.poll(differences, POLL).toEqual([]);
}

/** The same of the service that we adopt, while the real servers of others die and return. */
async function settledAdopted(): Promise<void> {
  await expect.poll(async () => about(await look(), [adopted]), POLL).toEqual(linesOf(adopted, alive).sort());
}

/** Ours are as our file says, from the moment that a command has ended. */
async function oursAreThere(): Promise<void> {
  expect(about(await look(), ownStates.flat())).toEqual(ours.flatMap((each) => linesOf(each)).sort());
}

async function ipvs(...args: readonly string[]) {
  const result = await residentCli(lab.director, [...args, '--state-dir', join(folder, 'record')]);
  expect(result, args.join(' ')).toMatchObject({ status: 0 });
  return result;
}

function described(services: readonly VirtualServer[]): string {
  const file = join(folder, 'own.yaml');
  const state = services.map(({ address, scheduler, servers }) => ({
    address: `tcp://${address}`,
    scheduler,
    destinations: Object.entries(servers).map(([server, weight]) => ({ address: server, weight })),
  }));
  writeFileSync(file, JSON.stringify({ services: state }));
  return file;
}

async function ownerOf(service: string): Promise<string> {
  const { services } = JSON.parse((await ipvs('list', '--owner', '--json')).stdout);
  return services.find(({ address }: { address: string }) => address === service)?.owner;
}

async function apply(): Promise<void> {
  ours = ownStates[++counts.applies % ownStates.length] ?? [];
  await ipvs('apply', described(ours), '--yes');
  await oursAreThere();
}

type Fate = 'lives' | 'dies' | 'dies and returns' | 'is dead';

/**
 * A file of ours adopts a service of keepalived's, perhaps with other weights, and an undo releases it again; one of its
 * real servers has a fate meanwhile. What keepalived did meanwhile is not undone, and it goes on managing the service.
 */
async function adoptAndUndo(fate: Fate, weight?: number): Promise<void> {
  const server = `${TWO}:9002`;
  await (fate === 'is dead' ? orders.kill(server) : orders.revive(server));
  await settledAdopted();
  const weights = Object.entries(adopted.servers).map(([name, own]) => [name, weight ?? own]);
  const wanted = { ...adopted, servers: Object.fromEntries(weights) };
  await ipvs('apply', described([...ours, wanted]), '--adopt', '--yes');
  counts.adopts++;
  expect(about(await look(), [adopted])).toEqual(linesOf(wanted).sort());
  expect(await ownerOf(ADOPTED)).toBe('ours');
  if (fate.startsWith('dies')) {
    await orders.kill(server);
    await untilListed(server, false);
  }
  if (fate === 'dies and returns') {
    await orders.revive(server);
    await untilListed(server, true);
  }
  await ipvs('undo', '--yes');
  counts.undos++;
  expect(about(await look(), [adopted])).toEqual(linesOf(adopted, alive).sort());
  expect(await ownerOf(ADOPTED)).toBe('foreign');
  await oursAreThere();
  if (fate === 'lives') {
    await orders.kill(server);
    await settledAdopted();
  }
  await orders.revive(server);
  await settledAdopted();
}

/** Until keepalived puts a real server in, or takes it out. */
async function untilListed(server: string, isThere: boolean): Promise<void> {
  const listed = async () => about(await look(), [adopted]).some((line) => line.includes(` -r ${server} `));
  await expect.poll(listed, POLL).toBe(isThere);
}

async function adoptAndDisown(): Promise<void> {
  await ipvs('adopt', ADOPTED);
  expect(await ownerOf(ADOPTED)).toBe('verb');
  await ipvs('disown', ADOPTED);
  expect(await ownerOf(ADOPTED)).toBe('foreign');
  counts.disowns++;
}

async function commands(): Promise<void> {
  const [service, server] = ['tcp://192.0.2.10:8103', `${ONE}:9101`];
  await ipvs('service', 'add', service, '-s', 'rr');
  await ipvs('destination', 'add', service, server);
  await ipvs('destination', 'edit', service, server, '-w', '9');
  await ipvs('service', 'delete', service);
  await ipvs('drain', `tcp://${OWN}`, `${ONE}:9101`);
  await ipvs('drain', 'cancel', `tcp://${OWN}`, `${ONE}:9101`);
  counts.commands += 6;
  await oursAreThere();
}

/** Its file changes, and it takes that. */
async function reload(): Promise<void> {
  const [first, ...rest] = theirs as [VirtualServer, ...VirtualServer[]];
  const [server = ''] = Object.keys(first.servers);
  theirs = [{ ...first, servers: { ...first.servers, [server]: 3 - (first.servers[server] ?? 0) } }, ...rest];
  keepalived.write(theirs);
  keepalived.reload();
  counts.reloads++;
}

interface Opened {
  readonly opened: readonly string[];
  readonly failed: readonly string[];
}

interface Report {
  readonly open: Readonly<Record<string, number>>;
  readonly answers: number;
  readonly lost: readonly {
    readonly to: string;
    readonly server: string;
    readonly openedAtMs: number;
    readonly lostAtMs: number;
  }[];
}

const talkedTo = [web.address, adopted.address, OWN];
const TALKERS = 6;

/** A long connection ends with its real server, and for no other reason. */
async function connectionsGoOn(): Promise<void> {
  const { open, answers, lost }: Report = await lab.ask({ report: true });
  const isExplained = ({ server, openedAtMs, lostAtMs }: Report['lost'][number]) =>
    orders.deaths.some((death) => death.server === server && death.atMs >= openedAtMs && death.atMs <= lostAtMs);
  expect(lost.filter((each) => !isExplained(each))).toEqual([]);
  seen.answers += answers;
  seen.lostWithTheirServer += lost.length;
  for (const to of talkedTo) {
    expect((open[to] ?? 0) + lost.filter((each) => each.to === to).length).toBe(TALKERS);
    const count = TALKERS - (open[to] ?? 0);
    if (count === 0) continue;
    const again: Opened = await lab.ask({ open: to, count });
    expect(again.failed, to).toEqual([]);
    seen.reopened += count;
  }
}

/** While nobody dies, every new connection finds a server that lives. */
async function newConnectionsFind(): Promise<void> {
  for (const to of talkedTo) {
    const { opened, failed }: Opened = await lab.ask({ once: to, count: 4 });
    expect(failed, to).toEqual([]);
    expect(opened.filter((server) => !alive(server))).toEqual([]);
    seen.newConnections += opened.length;
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-keepalived-'));
  lab = await startLab('keepalived', { servers: 1, client: programOf('talkers') });
  for (const address of [TWO, THREE])
    ip('-netns', lab.namespace('real1'), 'address', 'add', `${address}/24`, 'dev', 'eth0');
  const servers = lab.launch('real1', process.execPath, programOf('real-servers'), ...names);
  expect(await servers.line()).toBe('ready');
  orders = new Orders(servers);
  keepalived = new Keepalived(folder, lab.director);
  keepalived.write(theirs);
  keepalived.start();
});

afterAll(async () => {
  await keepalived?.stop();
  if (lab) endResident(lab.director);
  await lab?.close();
  if (folder) rmSync(folder, { recursive: true });
});

it('nothing of either is lost, and each keeps what is its own', { timeout: (minutes + 5) * 60_000 }, async () => {
  await apply();
  await settled();
  for (const to of talkedTo) expect((await lab.ask({ open: to, count: TALKERS })).failed).toEqual([]);

  /** What neither dies nor returns by itself for now. */
  let resting: readonly string[] = [];
  let isOver = false;
  const flapping = (async () => {
    for (let turn = 0; !isOver; turn++) {
      await wait(300 + ((turn * 137) % 700));
      const server = mortal[(turn * 7) % mortal.length] ?? '';
      if (isOver || resting.includes(server)) continue;
      await (alive(server) ? orders.kill(server) : orders.revive(server));
    }
  })();
  const watching = (async () => {
    for (; !isOver; await wait(100)) expectLasting(await look());
  })();
  watching.catch(() => undefined);

  const whileResting = async (rest: readonly string[], work: () => Promise<void>) => {
    resting = rest;
    await work().finally(() => {
      resting = [];
    });
  };
  const deeds = [
    () => apply(),
    () => whileResting(adoptable, () => adoptAndUndo('lives', 7)),
    () => commands(),
    () => whileResting(adoptable, () => adoptAndUndo('dies')),
    () => reload(),
    () => adoptAndDisown(),
    () => whileResting(adoptable, () => adoptAndUndo('dies and returns', 7)),
    () => apply(),
    () => whileResting(adoptable, () => adoptAndUndo('is dead')),
  ];
  const end = performance.now() + minutes * 60_000;
  while (performance.now() < end || counts.rounds < deeds.length) {
    await deeds[counts.rounds++ % deeds.length]?.();
    await whileResting(mortal, async () => {
      await settled();
      await connectionsGoOn();
      await newConnectionsFind();
    });
    expect(keepalived.isRunning).toBe(true);
  }
  isOver = true;
  await Promise.all([flapping, watching]);

  const { checks } = await orders.ask({ report: true });
  const errors = keepalived
    .log()
    .split('\n')
    .filter((line) => /IPVS.*error|IPVS cmd/i.test(line));
  console.log(JSON.stringify({ checks, ...counts, ...seen, errors }));
  expect(errors).toEqual([]);

  // It takes with it what it made, and nothing else.
  await keepalived.stop();
  expect([...(await look())].sort()).toEqual(ours.flatMap((each) => linesOf(each)).sort());
});
