/** Many operations, large tables, other writers, lost answers. */
import { Worker } from 'node:worker_threads';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { IpvsError } from '../../src/base/errors.ts';
import { type Destination, normalizeDestination } from '../../src/ipvs/destination.ts';
import { Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService, type VirtualService } from '../../src/ipvs/service.ts';
import { type Native, native } from '../../src/kernel/native.ts';
import { built, command } from '../helpers/cli.ts';
import { boastful, failingReceive } from '../helpers/kernel-native.ts';
import { type ConfiguredService, codes, configured, done, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('bulk');

/** Every service differs from the others in more than its address. */
function service(number: number): VirtualService {
  return normalizeService({
    address: `tcp://192.0.${number >> 8}.${number & 0xff}:80`,
    scheduler: number % 2 ? 'rr' : 'wrr',
    persistence: { timeoutSeconds: 1 + number },
  });
}

function destination(number: number, of: string): Destination {
  return normalizeDestination({ address: `10.0.${number >> 8}.${number & 0xff}`, weight: number }, of);
}

/** As the kernel holds it: the newest destination first. */
function configuration(number: number, destinations: number): ConfiguredService {
  const { address, ...settings } = service(number);
  const list = Array.from({ length: destinations }, (_, i) => destination(number + i, address));
  return { address, ...settings, destinations: list.reverse() };
}

function additions({ destinations, ...service }: ConfiguredService): Operation[] {
  return [
    { type: 'service.add', service },
    ...destinations
      .toReversed()
      .map((destination) => ({ type: 'destination.add', service: service.address, destination }) as const),
  ];
}

function sorted(services: readonly ConfiguredService[]): ConfiguredService[] {
  return services.toSorted((a, b) => (a.address < b.address ? -1 : 1));
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

describe('execute', () => {
  it('carries out 1200 operations, and a snapshot shows all of them', async () => {
    const wanted = range(300).map((number) => configuration(number, 3));
    const operations = wanted.flatMap(additions);

    const results = await table.ipvs.execute(operations);

    expect(results).toEqual(operations.map((operation) => ({ operation })));
    expect(configured(await table.ipvs.snapshot())).toEqual(sorted(wanted));
  });

  it('a refusal belongs to its operation, and the rest is done', async () => {
    const wanted = range(300).map((number) => configuration(number, 1));
    const { address } = service(0);
    const refused: [Operation, string][] = [
      [{ type: 'service.add', service: service(0) }, 'SERVICE_EXISTS'],
      [{ type: 'destination.add', service: address, destination: destination(0, address) }, 'DESTINATION_EXISTS'],
      [{ type: 'service.delete', service: 'fwmark:9' }, 'SERVICE_NOT_FOUND'],
      [{ type: 'destination.delete', service: address, destination: '10.9.9.9:80' }, 'DESTINATION_NOT_FOUND'],
      [{ type: 'service.add', service: { ...service(999), scheduler: 'fastest' } }, 'SCHEDULER_NOT_FOUND'],
    ];
    const mixed = wanted.flatMap((service, i) => [
      ...additions(service).map((operation) => ({ operation, code: undefined })),
      // Seldom: for an unknown scheduler the kernel runs modprobe.
      ...(i % 60 === 5 ? refused.map(([operation, code]) => ({ operation, code })) : []),
    ]);

    const results = await table.ipvs.execute(mixed.map(({ operation }) => operation));

    expect(results.map(({ operation }) => operation)).toEqual(mixed.map(({ operation }) => operation));
    expect(codes(results)).toEqual(mixed.map(({ code }) => code));
    expect(configured(await table.ipvs.snapshot())).toEqual(sorted(wanted));
  });

  it('all refused: every one says so', async () => {
    const operations = range(600).map(
      (number): Operation => ({ type: 'service.delete', service: `fwmark:${number + 1}` }),
    );
    expect(new Set(codes(await table.ipvs.execute(operations)))).toEqual(new Set(['SERVICE_NOT_FOUND']));
  });

  it('later operations build on earlier ones', async () => {
    const { address } = service(1);
    const first = destination(1, address);
    await done(table.ipvs, [
      { type: 'service.add', service: service(1) },
      { type: 'destination.add', service: address, destination: first },
      { type: 'destination.edit', service: address, destination: { ...first, weight: 7 } },
      { type: 'service.edit', service: { ...service(1), scheduler: 'lc' } },
      { type: 'destination.delete', service: address, destination: first.address },
      { type: 'service.delete', service: address },
      { type: 'service.add', service: service(2) },
      { type: 'flush' },
      { type: 'service.add', service: service(3) },
    ]);
    expect(configured(await table.ipvs.snapshot())).toEqual([{ ...service(3), destinations: [] }]);
  });

  it('nothing to do is done', async () => {
    expect(await table.ipvs.execute([])).toEqual([]);
  });

  it('others get their turn meanwhile', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await done(
      table.ipvs,
      range(1000).flatMap((number) => additions(configuration(number, 1))),
    );
    const duringWrite = turns;
    await table.ipvs.snapshot();
    clearInterval(timer);

    expect(duringWrite).toBeGreaterThan(0);
    expect(turns).toBeGreaterThan(duringWrite);
  });

  it('calls that overlap are carried out in their order', async () => {
    const { ipvs } = table;
    const { address } = service(1);
    const outcomes = await Promise.allSettled([
      ipvs.addService(service(1)),
      ipvs.service(address),
      ipvs.editService(address, { scheduler: 'lc' }),
      ipvs.service(address),
      ipvs.addService(service(1)),
      ipvs.removeService(address),
      ipvs.service(address),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'fulfilled' },
      { value: { scheduler: 'rr' } },
      { status: 'fulfilled' },
      { value: { scheduler: 'lc' } },
      { reason: { code: 'SERVICE_EXISTS' } },
      { status: 'fulfilled' },
      { reason: { code: 'SERVICE_NOT_FOUND' } },
    ]);
  });
});

describe('reading in many pieces', () => {
  it('more services than any message holds', async () => {
    const wanted = range(700).map((number) => configuration(number, 0));
    await done(table.ipvs, wanted.flatMap(additions));
    expect(configured(await table.ipvs.snapshot())).toEqual(sorted(wanted));
  });

  it('more destinations of one service than any message holds', async () => {
    const wanted = configuration(1, 300);
    await done(table.ipvs, additions(wanted));
    expect(configured(await table.ipvs.snapshot())).toEqual([wanted]);
    expect((await table.ipvs.destinations(wanted.address, { statistics: true })).map(({ address }) => address)).toEqual(
      wanted.destinations.map(({ address }) => address),
    );
  });
});

describe('a table of ten thousand services', () => {
  const large = kernelTable('large', { keep: true });
  const wanted = range(10_000).map((number) => configuration(number, 1));
  beforeAll(() => done(large.ipvs, wanted.flatMap(additions)));

  it.each([
    ['both interfaces', 'auto', {}],
    ['netlink alone, with counters', 'netlink', { statistics: true }],
    ['the socket options', 'sockopt', {}],
  ] as const)('is read whole by %s', async (_, transport, options) => {
    const ipvs = await openIpvs({ netns: large.namespace.name, transport });
    const snapshot = await ipvs.snapshot(options);
    await ipvs.close();
    expect(snapshot.services).toHaveLength(10_000);
    // toEqual() of so much takes longer than all the rest.
    expect(JSON.stringify(configured(snapshot))).toBe(JSON.stringify(sorted(wanted)));
  });

  it('is listed whole by the command', async () => {
    const { status, stdout } = await command([
      ...['ip', 'netns', 'exec', large.namespace.name],
      ...[process.execPath, built('cli/ipvs.js'), 'list'],
    ]);
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line.startsWith('tcp://'))).toHaveLength(10_000);
    expect(stdout.split('\n').filter((line) => line.startsWith('  10.'))).toHaveLength(10_000);
  });
});

describe('while another program writes', () => {
  const lasting = range(150).map((number) => configuration(number, 2));
  /** Read in several pieces, like the services. */
  const large = configuration(500, 60);
  const comingAndGoing = range(200).map((number) => configuration(2000 + number, 2));
  const extra = range(40).map((number) => destination(2000 + number, large.address));
  let writer: Worker | undefined;

  afterEach(async () => {
    await writer?.terminate();
    writer = undefined;
  });

  /** Adds and deletes at random, as fast as it can, on a thread and a handle of its own. */
  async function startWriter(): Promise<void> {
    const service = large.address;
    const choices: { add: Operation[]; remove: Operation }[] = [
      ...comingAndGoing.map((one) => ({
        add: additions(one),
        remove: { type: 'service.delete', service: one.address } as const,
      })),
      ...extra.map((destination) => ({
        add: [{ type: 'destination.add', service, destination } as const],
        remove: { type: 'destination.delete', service, destination: destination.address } as const,
      })),
    ];
    const program = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.entry).then(async ({ openIpvs }) => {
        const ipvs = await openIpvs({ netns: workerData.netns });
        const present = workerData.choices.map(() => false);
        for (let round = 0; ; round++) {
          const picked = Array.from({ length: 20 }, () => Math.floor(Math.random() * present.length));
          await ipvs.execute(picked.flatMap((i) => {
            present[i] = !present[i];
            return present[i] ? workerData.choices[i].add : [workerData.choices[i].remove];
          }));
          if (round === 10) parentPort.postMessage('going');
          await new Promise(setImmediate);
        }
      });`;
    const worker = new Worker(program, {
      eval: true,
      workerData: { entry: built('index.js'), netns: table.namespace.name, choices },
    });
    writer = worker;
    await new Promise((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
  }

  it('a snapshot lacks nothing, has nothing twice and makes nothing up; or it says that it cannot be had', async () => {
    await done(table.ipvs, [large, ...lasting].flatMap(additions));
    const lastingOfLarge = new Set(large.destinations.map(({ address }) => address));
    const known = new Map([...lasting, ...comingAndGoing].map((service) => [service.address, service]));
    await startWriter();

    for (let i = 0; i < 10; i++) {
      const snapshot = await table.ipvs.snapshot().catch((error: IpvsError) => error);
      if (snapshot instanceof IpvsError) {
        expect(snapshot.code).toBe('TABLE_CHANGING');
        continue;
      }
      const services = new Map(configured(snapshot).map((service) => [service.address, service]));
      expect(services.size).toBe(snapshot.services.length);

      for (const service of lasting) expect(services.get(service.address)).toEqual(service);
      const { destinations, ...settings } = services.get(large.address) ?? large;
      expect({ ...settings, destinations: destinations.filter(({ address }) => lastingOfLarge.has(address)) }).toEqual(
        large,
      );
      expect(new Set(destinations.map(({ address }) => address)).size).toBe(destinations.length);

      services.delete(large.address);
      for (const { destinations, ...settings } of services.values()) {
        const { destinations: all, ...expected } = known.get(settings.address) ?? large;
        expect(settings).toEqual(expected);
        // Of a service that is just being made some may be missing.
        expect(all).toEqual(expect.arrayContaining([...destinations]));
      }
    }

    await writer?.terminate();
    expect((await table.ipvs.snapshot()).services.length).toBeGreaterThanOrEqual(1 + lasting.length);
  });
});

describe('answers that do not fit into the receive buffer', () => {
  function open(native: Native, receiveBufferBytes: number): Ipvs {
    const namespacePath = `/run/netns/${table.namespace.name}`;
    return new Ipvs(new NetlinkBackend({ native, namespacePath, receiveBufferBytes }));
  }

  /** Every second one exists already, with other settings. */
  async function collisions(): Promise<{ operations: Operation[]; existing: (i: number) => boolean }> {
    const existing = (i: number) => i % 2 === 1;
    await done(
      table.ipvs,
      range(400)
        .filter(existing)
        .map((number) => ({ type: 'service.add', service: { ...service(number), scheduler: 'lc' } })),
    );
    return { operations: range(400).map((number) => ({ type: 'service.add', service: service(number) })), existing };
  }

  it('a small buffer: fewer operations go at once, and every outcome is known', async () => {
    const { operations, existing } = await collisions();
    const ipvs = open(native(), 4096);

    const results = await ipvs.execute(operations);

    expect(codes(results)).toEqual(operations.map((_, i) => (existing(i) ? 'SERVICE_EXISTS' : undefined)));
    expect((await ipvs.snapshot()).services).toHaveLength(400);
    await ipvs.close();
  });

  it('a buffer that is smaller than it said: what the answers do not say, the table does', async () => {
    const { operations, existing } = await collisions();
    const ipvs = open(boastful(), 4096);

    const results = codes(await ipvs.execute(operations));

    expect(results.filter((_, i) => !existing(i))).toEqual(Array(200).fill(undefined));
    const collided = new Set(results.filter((_, i) => existing(i)));
    expect(collided).toEqual(new Set(['SERVICE_EXISTS', 'REPLY_LOST']));

    // The handle is as good as before.
    expect(configured(await ipvs.snapshot())).toEqual(configured(await table.ipvs.snapshot()));
    expect(await refusal(ipvs.addService(service(1)))).toMatchObject({ code: 'SERVICE_EXISTS' });
    await ipvs.close();
  });

  it('a read that fails in the middle: the next one begins anew', async () => {
    const wanted = range(300).map((number) => configuration(number, 1));
    await done(table.ipvs, wanted.flatMap(additions));
    const EIO = 5;
    const ipvs = open(failingReceive(5, EIO), 512 * 1024);

    expect(await refusal(ipvs.snapshot())).toMatchObject({ code: 'SOCKET_FAILED', errnoName: 'EIO' });
    expect(configured(await ipvs.snapshot())).toEqual(sorted(wanted));
    await ipvs.close();
  });
});
