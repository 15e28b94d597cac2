/** The record on disk: whatever JSON its values are, commands refuse them or go on, and none has a fault of its own. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryAddresses } from '../../src/addresses/memory-addresses.ts';
import { IpvsError } from '../../src/base/errors.ts';
import { describeEntry } from '../../src/cli/words/history.ts';
import { compared } from '../../src/director/compare.ts';
import { describePlan } from '../../src/director/describe.ts';
import { Director } from '../../src/director/director.ts';
import { Ipvs } from '../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../src/ipvs/memory/backend.ts';
import type { Table } from '../../src/ipvs/memory/table.ts';
import { VolatileFiles } from '../../src/record/files.ts';
import type { Shape } from '../../src/record/shapes.ts';
import { Store } from '../../src/record/store.ts';
import { parseState } from '../../src/state/document.ts';
import type { DesiredState } from '../../src/state/state.ts';
import type { SysctlHost } from '../../src/sysctl/sysctls.ts';
import { breakingAt, Crash } from '../helpers/broken-backend.ts';
import { fuzz } from './runs.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const HELD = 'udp://192.0.2.11:5060';

const before = parseState(`
limits: { maxChange: 100%, maxWeightSteps: 1000 }
timeouts: { tcp: 10m }
sync: [{ state: master, interface: eth0, id: 1, group: 224.0.0.99, port: 9000, ttl: 2, maxLength: 1400 }]
sysctls: { net.ipv4.vs.expire_nodest_conn: 1 }
defense: { preset: balanced }
masquerade: [{ source: 10.0.0.0/24, out: eth0, protocol: tcp, ports: 61000-61100, toSource: 192.0.2.10 }]
services:
  - name: web
    address: ${WEB}
    interface: eth0
    scheduler: sh
    schedulerFlags: [sh-port]
    sourceNat: true
    rejectUnserved: true
    persistence: { timeout: 300s, netmask: 24 }
    drain: { timeout: 1h, then: keep }
    destinations: [{ address: 10.0.0.1, weight: 3, upperThreshold: 9, lowerThreshold: 5 }, { address: 10.0.0.2 }]
  - name: dns
    address: ${DNS}
    exclusive: true
    ramp: { duration: 1h, floor: 10%, curve: exponential }
    drain: { timeout: 1h }
    destinations: [{ address: 10.0.0.1, forward: { tunnel: gue, port: 6080, checksum: csum } }, { address: 10.0.0.2 }]
  - address: ${HELD}
    persistence: { engine: sip, timeout: 60s }
    destinations: [{ address: 10.0.0.3 }]
  - { address: fwmark:7, match: [{ in: eth0, protocol: tcp, ports: 80 }], destinations: [{ address: 10.0.0.1 }] }
`);
const after: DesiredState = {
  ...before,
  timeouts: { tcpSeconds: 60, udpSeconds: 30 },
  sync: [],
  services: before.services
    .filter(({ service }) => service.address !== HELD)
    .map((entry) => ({
      ...entry,
      service: { ...entry.service, scheduler: 'wrr', schedulerFlags: [] },
      destinations: [...entry.destinations.slice(1), ...entry.destinations.slice(0, 1).map(newer)],
    })),
};

function newer(destination: DesiredState['services'][number]['destinations'][number]) {
  return { ...destination, address: destination.address.replace('10.0.0.1', '10.0.0.9'), weight: 9 };
}

/** All that outlasts a process. */
interface World {
  readonly files: Readonly<Record<string, Buffer>>;
  readonly table: Table;
  readonly settings: Readonly<Record<string, string>>;
}

const NEW: World = {
  files: {},
  table: new MemoryBackend().table,
  settings: Object.fromEntries(Object.keys(before.sysctls ?? {}).map((name) => [name, '0'])),
};

class Machine {
  readonly files = new VolatileFiles();
  readonly memory: MemoryBackend;
  readonly settings: Map<string, string>;
  readonly addresses = new MemoryAddresses({ eth0: {} });

  constructor({ files, table, settings }: World) {
    for (const [name, bytes] of Object.entries(files)) this.files.write(name, bytes);
    this.memory = new MemoryBackend({ table });
    this.settings = new Map(Object.entries(settings));
  }

  director({ table = 'this', crashAt = -1 }: { readonly table?: string; readonly crashAt?: number } = {}): Director {
    const { settings, addresses, memory, files } = this;
    const sysctls: SysctlHost = {
      read(name) {
        const value = settings.get(name);
        if (value === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { subject: name });
        return value;
      },
      write: (name, value) => void settings.set(name, value),
      interfaces: () => ['eth0'],
      loadModule: () => true,
    };
    const ipvs = new Ipvs(crashAt < 0 ? memory : breakingAt(memory, crashAt, 'crash'));
    return new Director({ ipvs, store: new Store(files), table, sysctls, addresses });
  }

  world(): World {
    const names = [...['ledger.json', 'journal.json'].filter((name) => this.files.has(name))];
    for (const folder of ['history', 'objects'])
      names.push(...this.files.list(folder).map((name) => `${folder}/${name}`));
    const files = Object.fromEntries(names.map((name) => [name, this.files.read(name) as Buffer]));
    return { files, table: this.memory.table, settings: Object.fromEntries(this.settings) };
  }
}

/** A record in which every kind of value is named: two applies, a direct command, drains and ramps, what was adopted. */
async function recorded(): Promise<Machine> {
  const machine = new Machine(NEW);
  await new Ipvs(machine.memory).addService({ address: DNS, scheduler: 'rr' });
  const director = machine.director();
  expect((await director.apply({ desired: before }, { adopt: true, force: true })).failed).toEqual([]);
  await director.verb('service add', { makes: ['tcp://192.0.2.99:99'] }, (ipvs) =>
    ipvs.addService({ address: 'tcp://192.0.2.99:99' }),
  );
  await director.drain(WEB, '10.0.0.2');
  expect((await director.apply({ desired: after }, { force: true })).failed).toEqual([]);
  return machine;
}

/** The same, after a crash in the middle of an apply or of an undo. */
async function interrupted(how: 'apply' | 'undo'): Promise<World> {
  const machine = await recorded();
  const director = machine.director({ crashAt: 3 });
  const intent = how === 'apply' ? { desired: before } : (await director.undoIntent(1, 'after')).intent;
  await expect(director.apply(intent, { force: true })).rejects.toThrow(Crash);
  expect(machine.director().isInterrupted).toBe(true);
  return machine.world();
}

const worlds = [(await recorded()).world(), await interrupted('apply'), await interrupted('undo')];

const anything: Shape<unknown> = { name: 'value', fits: (_): _ is unknown => true };

/** The values of a record, by their names; ledger, journal and entries by those of their files. */
async function valuesIn({ files }: World): Promise<Map<string, unknown>> {
  const store = new Store(new Machine({ ...NEW, files }).files);
  const ids = Object.keys(files).flatMap((name) => /^objects\/(\w+)\.pieces$/.exec(name)?.[1] ?? []);
  const values = new Map<string, unknown>();
  for (const id of ids) values.set(id, await store.get(id, anything));
  for (const [name, bytes] of Object.entries(files))
    if (name.endsWith('.json')) values.set(name, JSON.parse(bytes.toString('utf8')));
  return values;
}

/** The record with another value in place of one. Whatever names it names the other one, by what that is called. */
async function replaced(world: World, id: string, value: unknown): Promise<World> {
  const machine = new Machine(world);
  // Values that name each other would be renamed without end.
  const renamed = new Set<string>();
  const put = async (old: string, next: unknown): Promise<void> => {
    if (old.endsWith('.json')) return machine.files.write(old, JSON.stringify(next));
    const name = await new Store(machine.files).put(next, anything);
    if (name === old) return;
    renamed.add(name);
    machine.files.remove(`objects/${old}.pieces`);
    for (const [other, held] of await valuesIn(machine.world())) {
      const text = JSON.stringify(held);
      if (!renamed.has(other) && text.includes(old)) await put(other, JSON.parse(text.replaceAll(old, name)));
    }
  };
  await put(id, value);
  return machine.world();
}

type Path = readonly (string | number)[];

function pathsIn(value: unknown, path: Path = []): Path[] {
  const parts = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [path, ...parts.flatMap(([key, part]) => pathsIn(part, [...path, Array.isArray(value) ? Number(key) : key]))];
}

function partAt(value: unknown, path: Path): unknown {
  return path.reduce((part, key) => (part as Record<string | number, unknown>)[key], value);
}

/** `with`: undefined leaves the part out. */
function changed(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const part = changed((value as Record<string | number, unknown>)[key], rest, other);
  if (!Array.isArray(value)) return { ...(value as object), [key]: part };
  return part === undefined ? value.toSpliced(key as number, 1) : value.with(key as number, part);
}

const strange = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  '',
  'x',
  '\n',
  [],
  {},
  [null],
  [[]],
  { a: null },
  'fwmark:7',
];

/** What commands make of a record: none may have a fault, whatever they say. Returns what they refused. */
async function refusals(world: World): Promise<IpvsError[]> {
  const errors: IpvsError[] = [];
  const trying = async (work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      errors.push(error);
    }
  };
  const look = new Machine(world).director();
  for (const desired of [before, after]) await trying(async () => describePlan(await look.plan({ desired })));
  await trying(() => look.drift());
  await trying(() => look.drift({ desired: before }));
  await trying(() => look.drains({ details: true }));
  await trying(() => look.owners());
  await trying(() => look.missingPrerequisites());
  for (const { id } of look.history()) {
    await trying(async () => describeEntry(await look.entry(id), (_, text) => text));
    await trying(async () => compared({ tables: await look.tables(id) }, { tables: await look.tables('kernel') }));
    for (const side of ['before', 'after'] as const)
      await trying(async () => {
        const director = new Machine(world).director();
        const { intent } = await director.undoIntent(id, side);
        describePlan(await director.plan(intent));
        await director.apply(intent, { force: true });
      });
  }
  for (const table of ['this', 'another'])
    await trying(() => new Machine(world).director({ table }).recover({ adopt: true }));
  for (const desired of [before, after])
    await trying(() => new Machine(world).director().apply({ desired }, { adopt: true, force: true }));
  await trying(() => new Machine(world).director().disown('all'));
  await trying(() => new Machine(world).director().cancelDrain(WEB, '10.0.0.2'));
  return errors;
}

test('a record as it was written is not refused', async () => {
  for (const world of worlds) expect(await refusals(world)).toEqual([]);
});

test('a record of which a value is something else is refused, or read; it leads to no fault', async () => {
  const given = await Promise.all(worlds.map(async (world) => ({ world, values: [...(await valuesIn(world))] })));
  const place = fc.record({ world: fc.nat(), value: fc.nat(), path: fc.nat() });
  type Place = { readonly world: number; readonly value: number; readonly path: number };
  const valueAt = ({ world, value, path }: Place) => {
    const { world: chosen, values } = given[world % given.length] as (typeof given)[number];
    const [id, whole] = values[value % values.length] as [string, unknown];
    const paths = pathsIn(whole);
    return { world: chosen, id, whole, path: paths[path % paths.length] as Path };
  };
  const partOf = (place: Place) => partAt(valueAt(place).whole, valueAt(place).path);
  const broken = fc.oneof(
    fc.tuple(place, place).map(([at, from]) => ({ at, value: valueAt(from).whole })),
    fc.tuple(place, fc.oneof(fc.constantFrom(...strange), place.map(partOf))).map(([at, part]) => {
      const { whole, path } = valueAt(at);
      return { at, value: changed(whole, path, part) ?? null };
    }),
  );
  let refused = 0;
  await fuzz(
    80,
    fc.asyncProperty(broken, async ({ at, value }) => {
      const { world, id } = valueAt(at);
      const errors = await refusals(await replaced(world, id, value));
      if (errors.some(({ code }) => code === 'STORE_DAMAGED')) refused++;
    }),
  );
  expect(refused).toBeGreaterThan(20);
});
