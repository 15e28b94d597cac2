/** Drains through the class Director, on a table in memory. */
import { beforeEach, describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { describePlan } from '../../../src/director/describe.ts';
import { Director } from '../../../src/director/director.ts';
import { type Files, VolatileFiles } from '../../../src/record/files.ts';
import { keyOf } from '../../../src/record/ledger.ts';
import { Store } from '../../../src/record/store.ts';
import type { SysctlHost } from '../../../src/sysctl/sysctls.ts';
import { type MemoryIpvs, openMemory } from '../../../src/testing/index.ts';
import type { DrainProgress } from '../../../src/weights/drain-progress.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const A = '10.0.0.1:80';
const EXPIRE = 'net.ipv4.vs.expire_nodest_conn';

let ipvs: MemoryIpvs;
let store: Store;
let director: Director;
let nowMs: number;
/** How far the wall clock is ahead of boot time: it may be set. */
let aheadMs: number;
const now = () => ({ wallMs: nowMs + aheadMs, bootMs: nowMs });
let settings: Map<string, string>;
/** What was written to them, in order. */
let written: string[];
let purposes: string[];

const sysctls: SysctlHost = {
  read(name) {
    const value = settings.get(name);
    if (value === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { subject: name });
    return value;
  },
  write(name, value) {
    const lent = store.ledger()?.changedSysctls?.[name];
    const before = typeof lent === 'object' ? lent.original : lent;
    written.push(`${name.split('.').at(-1)}=${value}, ${before === undefined ? 'not written down' : `was ${before}`}`);
    settings.set(name, value);
  },
  interfaces: () => [],
  loadModule: () => true,
};

beforeEach(() => {
  const busy = { address: A, weight: 3, activeConnections: 2 };
  ipvs = openMemory({
    state: {
      services: [
        { address: WEB, destinations: [busy, { address: '10.0.0.2:80', weight: 0 }, { address: '10.0.0.3:80' }] },
        { address: DNS, destinations: [{ address: '10.0.0.1:53', inactiveConnections: 4 }] },
      ],
    },
  });
  store = new Store(new VolatileFiles());
  nowMs = 1_000_000;
  aheadMs = Date.UTC(2026, 10, 30);
  settings = new Map([[EXPIRE, '0']]);
  written = [];
  purposes = [];
  director = new Director({
    ipvs,
    store,
    sysctls,
    now,
    lock: async (purpose) => {
      purposes.push(purpose);
      return { release: () => undefined };
    },
  });
});

async function weightOf(destination: string, service = WEB): Promise<number | undefined> {
  return (await ipvs.destinations(service)).find(({ address }) => address === destination)?.weight;
}

const pass = async () => (await director.stepDrains()).moves.map(({ destination, ended }) => [destination, ended]);

describe('begun', () => {
  test('it has weight 0, and is remembered with what it had', async () => {
    expect(await director.drain(WEB, '10.0.0.1', { timeoutMs: 60_000, afterwards: 'delete' })).toEqual({
      service: WEB,
      destination: A,
      startedBootMs: nowMs,
      deadlineBootMs: nowMs + 60_000,
      afterwards: 'delete',
      weight: 3,
      by: 'verb',
      heldFirst: 2,
    });
    expect(await weightOf(A)).toBe(0);
    expect(await director.drains()).toMatchObject([{ held: { active: 2 }, over: false, leftMs: 60_000 }]);
  });

  test('twice, it has another deadline and end, and its first weight', async () => {
    await director.drain(WEB, A, { timeoutMs: 60_000 });
    nowMs += 10_000;
    const again = await director.drain(WEB, A, { timeoutMs: 70_000, afterwards: 'delete' });
    expect(again).toMatchObject({ weight: 3, startedBootMs: nowMs - 10_000, deadlineBootMs: nowMs + 70_000 });
    expect(await director.drains()).toHaveLength(1);
  });

  test('where the kernel refuses, nothing is remembered', async () => {
    const { state } = ipvs;
    ipvs = openMemory({ state, profile: { permitted: false } });
    const powerless = new Director({ ipvs, store });
    await expect(powerless.drain(WEB, A)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(store.ledger()?.drains ?? []).toEqual([]);
  });

  test.each<[object, string]>([
    [{ timeoutMs: -1 }, 'INVALID_DURATION'],
    [{ timeoutMs: 1.5 }, 'INVALID_DURATION'],
    [{ afterwards: 'forget' }, 'INVALID_OPTION'],
    [{ timeout: 5 }, 'INVALID_OPTION'],
  ])('not with %j', async (options, code) => {
    await expect(director.drain(WEB, A, options)).rejects.toMatchObject({ code });
    expect(await weightOf(A)).toBe(3);
  });
});

describe('carried on', () => {
  test('by whatever takes the lock', async () => {
    await director.drain(WEB, A, { timeoutMs: 1000, afterwards: 'delete' });
    nowMs += 1000;
    await director.verb('zero', {}, () => ipvs.zero());
    expect(await weightOf(A)).toBeUndefined();
    expect(purposes).toEqual(['drain', 'zero']);
    expect(await director.drains()).toMatchObject([{ over: true, drain: { ended: { how: 'deadline' } } }]);
    nowMs += 3_600_000;
    await director.drain(WEB, '10.0.0.3');
    await director.stepDrains();
    expect(await director.drains()).toMatchObject([{ drain: { destination: '10.0.0.3:80' } }]);
  });

  test('with nothing to carry on, the table is not even read', async () => {
    const broken = new Director({ ipvs: openMemory({ profile: { permitted: false } }) });
    expect(await broken.stepDrains()).toEqual({ moves: [], problems: [], left: { drains: 0, ramps: 0 } });
  });

  test('kept, it stays at weight 0 in every plan until it is cancelled', async () => {
    const desired = stateOf({ [WEB]: { '10.0.0.1': 3, '10.0.0.3': 1 } }, { scheduler: 'wlc' });
    await director.apply({ desired }, { adopt: true });
    await director.drain(WEB, '10.0.0.3');
    expect(await pass()).toEqual([['10.0.0.3:80', expect.objectContaining({ how: 'drained' })]]);
    expect(await pass()).toEqual([]);
    expect((await director.plan({ desired })).changes).toEqual([]);
    await director.cancelDrain(WEB, '10.0.0.3');
    expect(await weightOf('10.0.0.3:80')).toBe(1);
  });
});

describe('a setting that cannot be read', () => {
  const PINNED = 'tcp://192.0.2.10:443';
  const QUIESCENT = 'net.ipv4.vs.expire_quiescent_template';
  const unreadable: SysctlHost = {
    ...sysctls,
    read(name) {
      if (name === QUIESCENT) throw new IpvsError('SYSCTL_FAILED', { operation: 'read', subject: name, errno: 13 });
      return sysctls.read(name);
    },
  };

  test('is an error where a drain depends on it, and nothing is done', async () => {
    await ipvs.addService({ address: PINNED, persistence: {} });
    await ipvs.addDestination(PINNED, { address: '10.0.0.1:443', weight: 5 });
    const blind = new Director({ ipvs, store, sysctls: unreadable, now });
    const failed = { code: 'SYSCTL_FAILED', subject: QUIESCENT };
    await expect(blind.drain(PINNED, '10.0.0.1')).rejects.toMatchObject(failed);
    expect(await weightOf('10.0.0.1:443', PINNED)).toBe(5);
    await director.drain(PINNED, '10.0.0.1');
    await expect(blind.stepDrains()).rejects.toMatchObject(failed);
    await expect(blind.drains()).rejects.toMatchObject(failed);
  });

  test('does not matter to other services; one that the kernel lacks is the default', async () => {
    const blind = new Director({ ipvs, store, sysctls: unreadable, now });
    await blind.drain(WEB, A);
    expect(await blind.drains()).toMatchObject([{ drain: { destination: A } }]);
    await ipvs.addService({ address: PINNED, persistence: {} });
    await ipvs.addDestination(PINNED, { address: '10.0.0.1:443' });
    expect(settings.has(QUIESCENT)).toBe(false);
    await director.drain(PINNED, '10.0.0.1');
    expect(await director.drains()).toHaveLength(2);
  });

  test('that the defense may hold is an error, not a value', async () => {
    store.files.write('defense.json', '{"version":1}');
    const desired = { services: [], sysctls: { [EXPIRE]: '1' } };
    await expect(director.plan({ desired })).rejects.toMatchObject({ code: 'STORE_DAMAGED' });
    expect((await director.plan({ desired: { services: [] } })).changes).toEqual([]);
  });
});

describe('cancelled', () => {
  test('it has its weight again, also where that was 0', async () => {
    await director.drain(WEB, A);
    await director.drain(WEB, '10.0.0.2');
    expect(await director.cancelDrain(WEB, A)).toMatchObject({ weight: 3 });
    expect(await director.cancelDrain(WEB, '10.0.0.2')).toMatchObject({ weight: 0 });
    expect([await weightOf(A), await weightOf('10.0.0.2:80')]).toEqual([3, 0]);
  });

  test('it has the weight of the file, which may have changed meanwhile, and no more than a ramp gives', async () => {
    const ramp = { durationSeconds: 100, floor: 0.5, curve: 'linear' } as const;
    const described = (weight: number) => stateOf({ [WEB]: { '10.0.0.3': 1, '10.0.0.9': weight } }, { ramp });
    await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.3': 1 } }) }, { adopt: true });
    await director.apply({ desired: described(10) });
    expect(await weightOf('10.0.0.9:80')).toBe(5);
    await director.drain(WEB, '10.0.0.9');
    await director.apply({ desired: described(20) });
    expect(await weightOf('10.0.0.9:80')).toBe(0);
    nowMs += 50_000;
    expect(await director.cancelDrain(WEB, '10.0.0.9')).toMatchObject({ weight: 15, drain: { weight: 5 } });
    nowMs += 50_000;
    expect(await director.ramps()).toMatchObject([{ weight: 20, kernelWeight: 15, leftMs: 0 }]);
    await director.stepDrains();
    expect(await weightOf('10.0.0.9:80')).toBe(20);
  });

  test('one that left the file is ours all the same', async () => {
    const drain = { timeoutSeconds: 60, afterwards: 'delete' } as const;
    await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 3 } }) }, { adopt: true });
    const rest = stateOf({ [WEB]: {} }, { drain });
    await director.apply({ desired: rest });
    expect(await director.drains()).toMatchObject([{ drain: { by: 'apply', weight: 3 } }]);
    await director.cancelDrain(WEB, A);
    const { changes, strays } = await director.plan({ desired: rest });
    expect(changes).toEqual([]);
    expect(strays).toContainEqual(expect.objectContaining({ key: `${WEB} ${A}`, owner: 'verb' }));
  });

  test.each(['crash', 'full'] as const)(
    'it stays cancelled, whatever happens between the two writes (%s)',
    async (how) => {
      await director.drain(WEB, A, { timeoutMs: 60_000 });
      const failing = new Director({ ipvs, store: new Store(failingAfter(1, how)), now });
      const unrecorded: string[] = [];
      const onUnrecorded = ({ code }: IpvsError) => void unrecorded.push(code);
      const cancelled = failing.cancelDrain(WEB, A, { onUnrecorded });
      if (how === 'full') expect(await cancelled).toMatchObject({ weight: 3 });
      else await expect(cancelled).rejects.toThrow(Crash);
      expect(unrecorded).toEqual(how === 'full' ? ['FILE_UNWRITABLE'] : []);
      expect(await weightOf(A)).toBe(how === 'full' ? 3 : 0);
      await director.stepDrains();
      expect(await weightOf(A)).toBe(3);
      nowMs += 60_000;
      expect(await pass()).toEqual([]);
      expect([await weightOf(A), await director.drains()]).toEqual([3, []]);
    },
  );

  test('it drains on if the disk is full from the beginning', async () => {
    await director.drain(WEB, A);
    const failing = new Director({ ipvs, store: new Store(failingAfter(0, 'full')), now });
    await expect(failing.cancelDrain(WEB, A)).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    expect(await weightOf(A)).toBe(0);
    expect(await director.drains()).toMatchObject([{ over: false, held: { active: 2 } }]);
  });

  test('what does not drain, or no more', async () => {
    await expect(director.cancelDrain(WEB, A)).rejects.toMatchObject({ code: 'NO_SUCH_DRAIN' });
    await director.drain(WEB, '10.0.0.3', { afterwards: 'delete' });
    await director.stepDrains();
    await expect(director.cancelDrain(WEB, '10.0.0.3')).rejects.toMatchObject({ detail: 'any more: it was deleted' });
  });
});

describe('in the history', () => {
  const by = { user: 'ann', uid: 1000 };
  const entries = () => director.history().map(({ id, command, changes }) => [id, command, changes]);
  const drains = async () =>
    (await director.drains()).map(({ drain: { destination, deadlineBootMs } }) => [destination, deadlineBootMs]);
  const undo = async () => {
    const { intent, id } = await director.undoIntent();
    const plan = await director.plan(intent);
    expect(await director.apply(plan, { command: `undo ${id}` })).toMatchObject({ outcome: 'applied', failed: [] });
    return describePlan(plan);
  };
  beforeEach(() => {
    director = new Director({ ipvs, store, now, by });
  });

  test('a drain has an entry with its author and time; undone, the weight is back and the drain forgotten', async () => {
    await director.drain(WEB, A);
    expect(director.history()).toMatchObject([
      { id: 1, command: 'drain', by, at: new Date(nowMs + aheadMs).toISOString(), outcome: 'applied', changes: 1 },
    ]);
    expect((await director.entry(1)).changes).toMatchObject([{ key: `${WEB} ${A}`, detail: 'weight 3 → 0' }]);
    expect(await undo()).toContain(`= ${A} of ${WEB}  drains no more`);
    expect([await weightOf(A), await drains()]).toEqual([3, []]);
    expect(await undo()).toContain('drains again, 5m left');
    expect([await weightOf(A), await drains()]).toEqual([0, [[A, nowMs + 300_000]]]);
  });

  test('another deadline is an entry too; undone, the drain has its earlier one', async () => {
    await director.drain(WEB, A, { timeoutMs: 60_000 });
    nowMs += 10_000;
    await director.drain(WEB, A, { timeoutMs: 600_000, afterwards: 'delete' });
    expect(entries()).toEqual([
      [1, 'drain', 1],
      [2, 'drain', 0],
    ]);
    const words = await undo();
    expect(words).toContain('drains with its earlier deadline, 50s left');
    expect(words).toContain('the table stays as it is, drains change');
    expect([await weightOf(A), await drains()]).toEqual([0, [[A, nowMs + 50_000]]]);
    expect(await director.drains()).toMatchObject([{ drain: { afterwards: 'keep' } }]);
  });

  test('a cancellation is an entry; undone, it drains again with the same deadline', async () => {
    await director.drain(WEB, A, { timeoutMs: 60_000 });
    await director.cancelDrain(WEB, A);
    expect(entries()).toEqual([
      [1, 'drain', 1],
      [2, 'drain cancel', 1],
    ]);
    nowMs += 20_000;
    expect(await undo()).toContain('drains again, 40s left');
    expect([await weightOf(A), await drains()]).toEqual([0, [[A, nowMs + 40_000]]]);
    await undo();
    expect([await weightOf(A), await drains()]).toEqual([3, []]);
  });

  test('the plan says where the deadline of a cancelled drain has passed', async () => {
    await director.drain(WEB, A, { timeoutMs: 60_000, afterwards: 'delete' });
    await director.cancelDrain(WEB, A);
    nowMs += 60_000;
    expect(await undo()).toContain('drains again, its deadline has passed: the next pass deletes it');
    expect(await weightOf(A)).toBe(0);
  });

  test('what a drain deleted comes back when that is undone', async () => {
    await director.drain(WEB, A, { timeoutMs: 1000, afterwards: 'delete' });
    nowMs += 1000;
    await director.stepDrains();
    expect(await weightOf(A)).toBeUndefined();
    await undo();
    expect([await weightOf(A), entries().map(([, command]) => command)]).toEqual([3, ['drain', 'undo 1']]);
  });

  test('one that left the file and was cancelled is not ours any more, and drains again', async () => {
    const drain = { timeoutSeconds: 60, afterwards: 'keep' } as const;
    await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 3 } }) }, { adopt: true });
    await director.apply({ desired: stateOf({ [WEB]: {} }, { drain }) });
    const [, ...rest] = await drains();
    await director.cancelDrain(WEB, A);
    await undo();
    expect((await director.owners())(`${WEB} ${A}`)).toBe('foreign');
    expect([await weightOf(A), await drains()]).toEqual([0, [[A, nowMs + 60_000], ...rest]]);
  });

  test('a service that was disowned drains again when that is undone', async () => {
    await director.adopt('all');
    await director.drain(WEB, A);
    await director.disown('all');
    expect(await drains()).toEqual([]);
    await undo();
    expect([await weightOf(A), await drains()]).toEqual([0, [[A, nowMs + 300_000]]]);
  });

  test('what the kernel refuses is no entry', async () => {
    const powerless = new Director({ ipvs: openMemory({ state: ipvs.state, profile: { permitted: false } }), store });
    await expect(powerless.drain(WEB, A)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(director.cancelDrain(WEB, A)).rejects.toMatchObject({ code: 'NO_SUCH_DRAIN' });
    expect(entries()).toEqual([]);
  });

  test('where it cannot be written, the drain has begun and its caller is told', async () => {
    // The first write is the marker that something is in progress, the second the ledger.
    const failing = new Director({ ipvs, store: new Store(failingAfter(2, 'full')), now });
    const unrecorded: string[] = [];
    await failing.drain(WEB, A, { onUnrecorded: ({ code }) => void unrecorded.push(code) });
    expect([await weightOf(A), await drains(), entries(), unrecorded]).toEqual([
      0,
      [[A, nowMs + 300_000]],
      [],
      ['FILE_UNWRITABLE'],
    ]);
  });
});

test('an apply drains what is at weight 0 already, if it holds something; its weight from before is not forgotten', async () => {
  const drain = { timeoutSeconds: 60, afterwards: 'delete' } as const;
  const desired = (destinations: Record<string, number>) => stateOf({ [WEB]: destinations }, { drain });
  await director.apply({ desired: desired({ '10.0.0.1': 3, '10.0.0.2': 0 }) }, { adopt: true });
  await director.drain(WEB, A);
  const { done } = await director.apply({ desired: desired({}) });
  expect(done.map(({ phase, key }) => [phase, key])).toEqual([
    ['drain', `${WEB} ${A}`],
    ['remove-destination', `${WEB} 10.0.0.2:80`],
  ]);
  expect(await director.drains()).toMatchObject([{ drain: { by: 'apply', weight: 3, afterwards: 'delete' } }]);
});

describe('a sender of UDP at the deadline', () => {
  beforeEach(() => director.drain(DNS, '10.0.0.1', { timeoutMs: 0, afterwards: 'delete' }));

  test('is ended by a setting that is written down before it is changed, and given back', async () => {
    expect(await pass()).toEqual([
      ['10.0.0.1:53', expect.objectContaining({ how: 'deadline', held: expect.objectContaining({ entries: 4 }) })],
    ]);
    expect(written).toEqual(['expire_nodest_conn=1, was 0', 'expire_nodest_conn=0, was 0']);
    expect(store.ledger()).not.toHaveProperty('changedSysctls');
  });

  test('needs no change where the setting is so already', async () => {
    settings.set(EXPIRE, '1');
    await pass();
    expect(written).toEqual([]);
  });

  test('is left to itself where the setting cannot be changed', async () => {
    settings.delete(EXPIRE);
    const { moves, problems } = await director.stepDrains();
    expect(moves).toMatchObject([{ ended: { how: 'deadline', problem: expect.stringContaining('no such setting') } }]);
    expect(problems).toMatchObject([{ code: 'SYSCTL_NOT_FOUND' }]);
    expect(await weightOf('10.0.0.1:53', DNS)).toBeUndefined();
  });

  test('a setting that another program changes meanwhile stays as it is', async () => {
    const { survey } = { survey: ipvs.connections.bind(ipvs) };
    ipvs.connections = (...args) => {
      if (settings.get(EXPIRE) === '1') settings.set(EXPIRE, '2');
      return survey(...args);
    };
    await pass();
    expect(written).toEqual(['expire_nodest_conn=1, was 0']);
    expect(settings.get(EXPIRE)).toBe('2');
    expect(store.ledger()).not.toHaveProperty('changedSysctls');
  });

  test('a setting that another program put back already is not written again', async () => {
    const ledger = store.ledger();
    if (ledger === undefined) throw new Error('there is a ledger');
    store.writeLedger({ ...ledger, drains: [], changedSysctls: { [EXPIRE]: { original: '0', written: ['1'] } } });
    expect(director.heldForNow()).toEqual({ [EXPIRE]: '0' });
    await director.stepDrains();
    expect(written).toEqual([]);
    expect(store.ledger()).not.toHaveProperty('changedSysctls');
  });

  test.each([
    ['', { original: '0', written: ['1'] }],
    [', by an earlier release', 0],
  ])('what a crash left changed is given back first, or stays written down%s', async (_, changed) => {
    const ledger = store.ledger();
    if (ledger === undefined) throw new Error('there is a ledger');
    settings.set(EXPIRE, '1');
    store.writeLedger({ ...ledger, drains: [], changedSysctls: { [EXPIRE]: changed } });
    const elsewhere = new Director({ ipvs, store });
    await elsewhere.stepDrains();
    expect(store.ledger()).toHaveProperty('changedSysctls');
    await director.stepDrains();
    expect(written).toEqual(['expire_nodest_conn=0, was 0']);
    expect(store.ledger()).not.toHaveProperty('changedSysctls');
  });
});

describe('waiting', () => {
  test('ends with the drain, and tells how', async () => {
    const seen: DrainProgress[] = [];
    await director.drain(WEB, A, { timeoutMs: 0, afterwards: 'delete' });
    const outcome = await director.waitForDrain(WEB, A, { onProgress: (progress) => seen.push(progress) });
    expect(outcome).toMatchObject({ how: 'deadline', held: { active: 2 } });
    expect(seen).toMatchObject([{ over: true, held: { active: 2 } }]);
    expect(await director.waitForDrain(WEB, A)).toEqual(outcome);
  });

  test('and a command tell of their passes', async () => {
    const passed: string[] = [];
    await director.drain(WEB, A, { timeoutMs: 0, afterwards: 'delete' });
    await director.drain(WEB, '10.0.0.3', { onPass: ({ moves }) => void passed.push(...moves.map(keyOf)) });
    expect(passed).toEqual([`${WEB} ${A}`]);
    await director.drain(WEB, '10.0.0.2', { timeoutMs: 0 });
    await director.waitForDrain(WEB, '10.0.0.2', { onPass: ({ moves }) => void passed.push(...moves.map(keyOf)) });
    expect(passed.slice(1)).toEqual([`${WEB} 10.0.0.2:80`]);
  });

  test('is told of a cancellation', async () => {
    await director.drain(WEB, A);
    const waiting = director.waitForDrain(WEB, A, {
      onProgress: () => void director.cancelDrain(WEB, A),
    });
    expect(await waiting).toMatchObject({ how: 'cancelled', held: { active: 2 } });
  });

  test('can be given up; the drain goes on', async () => {
    const { signal, abort } = withAbort();
    await director.drain(WEB, A);
    const waiting = director.waitForDrain(WEB, A, { signal, onProgress: abort });
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', detail: 'it goes on' });
    expect(await director.drains()).toMatchObject([{ over: false }]);
  });

  test('for nothing', async () => {
    await expect(director.waitForDrain(WEB, A)).rejects.toMatchObject({ code: 'NO_SUCH_DRAIN' });
  });
});

class Crash extends Error {}

/** The record's files; the disk is full after so many writes, or the process dies right after the last of them. */
function failingAfter(writes: number, how: 'crash' | 'full'): Files {
  const files = store.files;
  let left = writes;
  return {
    place: files.place,
    read: (name) => files.read(name),
    has: (name) => files.has(name),
    list: (folder) => files.list(folder),
    remove: (name) => files.remove(name),
    write(name, bytes) {
      if (left-- <= 0) throw new IpvsError('FILE_UNWRITABLE', { subject: name });
      files.write(name, bytes);
      if (how === 'crash' && left === 0) throw new Crash();
    },
  };
}

function withAbort(): { readonly signal: AbortSignal; abort(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
