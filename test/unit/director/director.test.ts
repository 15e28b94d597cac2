/** A director over a table in memory: what an apply leads to, seen from one apply to the next. */
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { Director } from '../../../src/director/director.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { Store } from '../../../src/record/store.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.1:80';
const DNS = 'udp://192.0.2.1:53';

function given({ table = 'this' } = {}) {
  let nowMs = 1_000_000;
  const files = new VolatileFiles();
  const backend = new MemoryBackend();
  const ipvs = new Ipvs(backend);
  const director = new Director({
    ipvs,
    store: new Store(files),
    table,
    now: () => ({ wallMs: nowMs, bootMs: nowMs }),
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const weights = async () =>
    Object.fromEntries((await ipvs.destinations(WEB)).map(({ address, weight }) => [address, weight]));
  const apply = async (desired: DesiredState) => {
    const { outcome, failed } = await director.apply({ desired });
    expect(failed).toEqual([]);
    return outcome;
  };
  const changes = async (desired: DesiredState) =>
    (await director.plan({ desired })).changes.map(({ detail }) => detail);
  return { director, ipvs, files, weights, apply, changes, pass };
}

const two = { [WEB]: { '10.0.0.1': 4, '10.0.0.2': 4 } };
const one = { [WEB]: { '10.0.0.1': 4 } };

describe('a drain by the file', () => {
  test.each([true, false])(
    'that keeps the destination stays at weight 0 through every apply (exclusive: %s)',
    async (exclusive) => {
      const { apply, weights, changes, pass } = given();
      const settings = { exclusive, drain: { timeoutSeconds: 60, afterwards: 'keep' } } as const;
      await apply(stateOf(two, settings));
      await apply(stateOf(one, settings));
      expect(await weights()).toEqual({ '10.0.0.1:80': 4, '10.0.0.2:80': 0 });
      pass(61_000);
      expect(await changes(stateOf(one, settings))).toEqual([]);
      await apply(stateOf(one, settings));
      expect(await weights()).toEqual({ '10.0.0.1:80': 4, '10.0.0.2:80': 0 });
      await apply(stateOf(two, settings));
      expect(await weights()).toEqual({ '10.0.0.1:80': 4, '10.0.0.2:80': 4 });
    },
  );

  test('that deletes it is done by the next apply', async () => {
    const { apply, weights } = given();
    const settings = { drain: { timeoutSeconds: 60, afterwards: 'delete' } } as const;
    await apply(stateOf(two, settings));
    await apply(stateOf(one, settings));
    await apply(stateOf(one, settings));
    expect(await weights()).toEqual({ '10.0.0.1:80': 4 });
  });
});

test('what begins slowly is as it should be all the while, and can be edited', async () => {
  const { apply, weights, changes, pass } = given();
  const settings = { ramp: { durationSeconds: 100, floor: 0.1, curve: 'linear' } } as const;
  const grown = { [WEB]: { '10.0.0.1': 1000, '10.0.0.2': 1000 } };
  await apply(stateOf({ [WEB]: { '10.0.0.1': 1000 } }, settings));
  await apply(stateOf(grown, settings));
  expect(await weights()).toMatchObject({ '10.0.0.2:80': 100 });
  for (let i = 0; i < 5; i++) {
    pass(10_000);
    const edited = stateOf(grown, settings);
    const [entry] = edited.services;
    const destinations = entry?.destinations.map((each) => ({ ...each, upperThreshold: i + 1 })) ?? [];
    const desired = { services: [{ ...entry, destinations } as DesiredState['services'][number]] };
    await apply(desired);
    pass(1_000);
    expect(await changes(desired)).toEqual([]);
  }
  expect((await weights())['10.0.0.2:80']).toBeGreaterThan(400);
  pass(60_000);
  await apply(stateOf(grown, settings));
  expect(await weights()).toEqual({ '10.0.0.1:80': 1000, '10.0.0.2:80': 1000 });
});

test('a limit holds for the file that lost it', async () => {
  const { apply, director } = given();
  await apply({ ...stateOf({ ...two, [DNS]: {} }), limits: { maxChange: 0.2 } });
  await expect(director.apply({ desired: { services: [] } })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  expect((await director.apply({ desired: { services: [] } }, { maxChange: 1 })).outcome).toBe('applied');
});

test('a plan is of one table', async () => {
  const [here, there] = [given(), given({ table: 'another' })];
  const plan = await here.director.plan({ desired: stateOf(one) });
  await expect(there.director.apply(plan)).rejects.toMatchObject({ code: 'PLAN_OUTDATED' });
});

test('a service that goes takes along what others put into it: the plan says so, and undo brings it back', async () => {
  const { apply, ipvs, director, weights } = given();
  await apply(stateOf(one));
  await ipvs.addDestination(WEB, { address: '10.9.9.9', weight: 7 });
  const { changes } = await director.plan({ desired: { services: [] } });
  expect(changes.map(({ effects }) => effects)).toEqual([
    ['its counters are lost', 'takes away 10.9.9.9:80 too, which somebody else made'],
  ]);
  await apply({ services: [] });
  const { intent } = await director.undoIntent();
  await director.apply(intent);
  expect(await weights()).toEqual({ '10.0.0.1:80': 4, '10.9.9.9:80': 7 });
});

test('a file that replaces another is told from one that changed', async () => {
  const { director } = given();
  const source = (path: string) => ({ files: [{ path, sha256: '' }], hosts: {} });
  await director.apply({ desired: stateOf(one), source: source('a.yaml') });
  expect(await director.plan({ desired: stateOf({ [DNS]: {} }), source: source('b.yaml') })).toMatchObject({
    replaces: 'a.yaml',
  });
  expect(await director.plan({ desired: stateOf({ [DNS]: {} }), source: source('a.yaml') })).not.toHaveProperty(
    'replaces',
  );
});

test('what a verb is about to make is ours before it is there, and nobody’s if it was refused', async () => {
  const { director, ipvs, files } = given();
  const made = () => JSON.parse(files.read('ledger.json')?.toString() ?? '{"made":[]}').made;
  const add = () => {
    expect(made()).toEqual([WEB]);
    return ipvs.addService({ address: WEB });
  };
  await director.verb('service add', { makes: [WEB] }, add);
  await ipvs.removeService(WEB);
  await ipvs.addService({ address: DNS });
  const again = director.verb('service add', { makes: [DNS] }, () => ipvs.addService({ address: DNS }));
  await expect(again).rejects.toMatchObject({ code: 'SERVICE_EXISTS' });
  expect(made()).toEqual([WEB]);
});

test.each(['REPLY_LOST', 'SOCKET_FAILED'] as const)('what a verb may have made is ours: %s', async (code) => {
  const { director, ipvs } = given();
  const lost = director.verb('service add', { makes: [WEB] }, async () => {
    await ipvs.addService({ address: WEB });
    throw new IpvsError(code);
  });
  await expect(lost).rejects.toMatchObject({ code });
  expect((await director.owners())(WEB)).toBe('verb');
  expect((await director.plan({ desired: stateOf({ [WEB]: {} }) })).conflicts).toEqual([]);
});

describe('calls on one director', () => {
  /** A lock that is never waited for. */
  const exclusive = () => {
    let isHeld = false;
    return async () => {
      if (isHeld) throw new IpvsError('LOCKED');
      isHeld = true;
      return {
        release: () => {
          isHeld = false;
        },
      };
    };
  };
  const file = (i: number) => stateOf({ [WEB]: { '10.0.0.1': i } });

  test('that overlap wait for each other, in order', async () => {
    const director = new Director({ ipvs: openMemory(), lock: exclusive() });
    const results = await Promise.all([
      ...[1, 2, 3].map((i) => director.apply({ desired: file(i) })),
      director.verb('service add', { makes: [DNS] }, (ipvs) => ipvs.addService({ address: DNS })),
      director.drain(WEB, '10.0.0.1'),
      director.stepDrains(),
    ]);
    expect(results.slice(0, 3)).toMatchObject([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(results[4]).toMatchObject({ weight: 3 });
    expect(director.history().map(({ id, command }) => [id, command])).toEqual([
      [1, 'apply'],
      [2, 'apply'],
      [3, 'apply'],
      [4, 'service add'],
      [5, 'drain'],
    ]);
  });

  test('one that fails, or is called off while it waits, keeps nobody', async () => {
    const director = new Director({ ipvs: openMemory(), lock: exclusive() });
    const abort = new AbortController();
    let isFirstOver = false;
    const first = director.verb('slow', {}, async () => {
      await setTimeout(20);
      isFirstOver = true;
    });
    const failing = director.verb('failing', {}, async () => {
      throw new IpvsError('ABORTED');
    });
    const called = director.apply({ desired: file(1) }, { signal: abort.signal });
    const last = director.verb('last', {}, async () => isFirstOver);
    abort.abort();
    await expect(called).rejects.toMatchObject({ code: 'ABORTED', operation: 'apply' });
    expect(isFirstOver).toBe(false);
    await expect(failing).rejects.toMatchObject({ code: 'ABORTED' });
    await first;
    expect(await last).toBe(true);
    expect(director.history().map(({ command }) => command)).toEqual(['slow', 'last']);
  });
});
