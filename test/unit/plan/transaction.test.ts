/** Apply as a transaction: whatever breaks, the configuration is the old one or the new one. */
import { describe, expect, test } from 'vitest';
import { Director } from '../../../src/director/director.ts';
import type { AnyResource, Change } from '../../../src/engine/resource.ts';
import { type ApplyResult, transact } from '../../../src/engine/transaction.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import type { Table } from '../../../src/ipvs/memory/table.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { ledgerFor } from '../../../src/record/ledger.ts';
import { isRecord } from '../../../src/record/shapes.ts';
import { Store } from '../../../src/record/store.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { type Break, breakingAt, Crash } from '../../helpers/broken-backend.ts';
import { stateOf } from '../../helpers/states.ts';

const [A, B, C, D, E] = [
  'tcp://192.0.2.1:80',
  'tcp://192.0.2.2:80',
  'udp://192.0.2.3:53',
  'fwmark:4',
  'tcp://192.0.2.5:80',
];

const OLD: DesiredState = {
  ...stateOf({
    [A]: { '10.0.0.1': 1, '10.0.0.2': 2, '10.0.0.3': 3 },
    [B]: { '10.0.0.1': 1, '10.0.0.2': 1 },
    [C]: { '10.0.0.1': 1, '10.0.0.2': 1 },
    [E]: { '10.0.0.1': 1 },
  }),
  timeouts: { tcpSeconds: 600 },
};
const NEW: DesiredState = {
  services: [
    ...stateOf({ [A]: { '10.0.0.1': 9, '10.0.0.4': 4, '10.0.0.3': 3, '10.0.0.5': 5 } }, { scheduler: 'sh' }).services,
    ...stateOf({ [C]: { '10.0.0.2': 7, '10.0.0.6': 1 }, [D]: { '10.0.0.1': 1, '10.0.0.2': 0, '10.0.0.3': 5 } })
      .services,
    ...stateOf({ 'tcp://192.0.2.6:80': { '10.0.0.1': 1 }, 'tcp://192.0.2.7:80': { '10.0.0.1': 1, '10.0.0.2': 1 } })
      .services,
  ],
  timeouts: { tcpSeconds: 60, udpSeconds: 30 },
  sync: [{ state: 'master', interface: 'lo', id: 1 }],
};

/** What of a table is configuration, in any order. */
function configuration({ services, timeouts, syncDaemons }: Table) {
  const plain = services.map(({ address, scheduler, schedulerFlags, persistence, onePacket, destinations }) => ({
    service: { address, scheduler, schedulerFlags, persistence, onePacket },
    destinations: destinations
      .map(({ address, forward, weight, upperThreshold, lowerThreshold }) => ({
        address,
        forward,
        weight,
        upperThreshold,
        lowerThreshold,
      }))
      .sort((a, b) => (a.address < b.address ? -1 : 1)),
  }));
  return { services: plain.sort((a, b) => (a.service.address < b.service.address ? -1 : 1)), timeouts, syncDaemons };
}

/** A table with OLD applied, and a way to break the next apply to it. */
async function given() {
  const files = new VolatileFiles();
  const memory = new MemoryBackend();
  const director = (backend = memory as MemoryBackend, at = -1, how: Break = 'refuse') =>
    new Director({
      ipvs: new Ipvs(at < 0 ? backend : breakingAt(backend, at, how)),
      store: new Store(files),
      table: 't',
    });
  expect((await director().apply({ desired: OLD })).outcome).toBe('applied');
  return { files, memory, director, old: configuration(memory.table) };
}

async function newConfiguration() {
  const { memory, director } = await given();
  const { done } = await director().apply({ desired: NEW });
  return { configuration: configuration(memory.table), changes: done.length };
}

const whole = await newConfiguration();
const indices = Array.from({ length: whole.changes }, (_, i) => i);

test('the plan is one of some twenty operations', () => {
  expect(whole.changes).toBeGreaterThanOrEqual(20);
});

describe.each(indices)('an apply that breaks at operation %i', (at) => {
  test('by a refusal: everything done is undone, and the error names what was refused', async () => {
    const { memory, director, old } = await given();
    const result = await director(memory, at, 'refuse').apply({ desired: NEW });
    expect(result).toMatchObject({ outcome: 'undone', failed: [{ error: { code: 'KERNEL_REFUSED' } }], stuck: [] });
    expect(configuration(memory.table)).toEqual(old);
    expect(director().history()).toMatchObject([
      { id: 1, outcome: 'applied' },
      { id: 2, outcome: 'undone' },
    ]);

    expect((await director().apply({ desired: NEW })).outcome).toBe('applied');
    expect(configuration(memory.table)).toEqual(whole.configuration);
  });

  test('by losing the way to the kernel: likewise, though what became of it was not told', async () => {
    const { memory, director, old } = await given();
    const result = await director(memory, at, 'lose').apply({ desired: NEW });
    expect(result).toMatchObject({ outcome: 'undone', stuck: [] });
    expect(configuration(memory.table)).toEqual(old);
  });

  test('by a crash: recovery leaves the old configuration or the new one', async () => {
    const { memory, director, old, files } = await given();
    await expect(director(memory, at, 'crash').apply({ desired: NEW })).rejects.toThrow(Crash);
    expect(files.read('journal.json')).toBeDefined();

    const recovery = await director().recover();

    const outcome = recovery?.outcome;
    expect(outcome).toMatch(/finished|undone/);
    expect(configuration(memory.table)).toEqual(outcome === 'finished' ? whole.configuration : old);
    expect(files.read('journal.json')).toBeUndefined();
    expect(await director().recover()).toBeUndefined();
    // And the next one works.
    await director().apply({ desired: NEW });
    expect(configuration(memory.table)).toEqual(whole.configuration);
  });

  test('by a crash: the next apply recovers first', async () => {
    const { memory, director } = await given();
    await expect(director(memory, at, 'crash').apply({ desired: NEW })).rejects.toThrow(Crash);
    expect((await director().apply({ desired: OLD })).outcome).toBe('applied');
    const { services } = configuration(memory.table);
    expect(services.map(({ service }) => service.address)).toEqual([A, B, E, C].sort());
  });
});

test('a crash after the last operation is finished; after the ledger was written there is nothing left to do', async () => {
  const { memory, director } = await given();
  await expect(director(memory, whole.changes - 1, 'crash').apply({ desired: NEW })).rejects.toThrow(Crash);
  expect(await director().recover()).toMatchObject({ outcome: 'finished', done: [] });
  expect(configuration(memory.table)).toEqual(whole.configuration);
});

test('what was begun on another table is dropped, and what was applied last is applied to this one', async () => {
  const { files, memory, director, old } = await given();
  await expect(director(memory, 5, 'crash').apply({ desired: NEW })).rejects.toThrow(Crash);
  const rebooted = new MemoryBackend();
  const after = new Director({ ipvs: new Ipvs(rebooted), store: new Store(files), table: 'another boot' });

  expect(await after.recover()).toMatchObject({ outcome: 'applied' });

  expect(configuration(rebooted.table)).toEqual(old);
  expect(await after.recover()).toBeUndefined();
});

test('in another boot nothing is ours: what somebody else made meanwhile is a conflict', async () => {
  const { files } = await given();
  const rebooted = new MemoryBackend();
  const ipvs = new Ipvs(rebooted);
  await ipvs.addService({ address: A });
  const after = new Director({ ipvs, store: new Store(files), table: 'another boot' });
  await expect(after.recover()).rejects.toMatchObject({ code: 'NOT_OURS', subject: A });
  expect(rebooted.table.services).toHaveLength(1);
});

test('a signal calls it off: what was done is undone', async () => {
  const { memory, director, old } = await given();
  const abort = new AbortController();
  const planned = (await director().plan({ desired: NEW })).changes;
  const result = await director().apply(
    { desired: NEW },
    { signal: abort.signal, onProgress: ({ done }) => done > 3 && abort.abort() },
  );
  expect(result).toMatchObject({ outcome: 'undone', failed: [{ error: { code: 'ABORTED' } }] });
  expect(configuration(memory.table)).toEqual(old);
  expect(countsOf(result)).toEqual(new Map(planned.map(({ key }) => [key, 1])));
  expect(result.done.length).toBeGreaterThan(3);
  expect(result.skipped.length).toBeGreaterThan(0);
});

/** How often an outcome names each change. */
function countsOf({ done, failed, skipped }: ApplyResult): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { key } of [...done, ...failed.map(({ change }) => change), ...skipped])
    counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

describe('a resource with a fault of its own', () => {
  const change: Change = {
    resource: 'things',
    phase: 'edit',
    operation: {},
    verb: 'edit thing',
    subject: 'one',
    key: 'thing one',
    of: 'thing one',
    detail: '',
    cause: 'file',
    effects: [],
  };
  const things: AnyResource<object, object> = {
    name: 'things',
    read: async () => null,
    reread: async () => null,
    pack: () => null,
    isPacked: (value): value is unknown => value === null,
    unpack: () => null,
    diff: () => ({ changes: [], unchanged: 0, conflicts: [], strays: [] }),
    overlay: (onto) => onto,
    undo: () => [],
    check: async () => [],
    apply: async () => [],
  };
  const carriedOut = (resources: readonly AnyResource<object, object>[]) => {
    const store = new Store(new VolatileFiles());
    const ledger = ledgerFor('t', undefined);
    const applied = { id: 1, table: 't', at: new Date(0).toISOString(), desired: '', files: [], hosts: {} };
    return transact(
      { resources, context: {}, store, table: 't', desired: { name: 'object', fits: isRecord } },
      {
        desired: {},
        plan: { changes: [change] },
        before: {},
        ledger,
        next: { ...ledger, applied, nextId: 2 },
        entry: applied,
        command: 'apply',
        by: { user: 'root', uid: 0 },
      },
    );
  };

  test('that gives no result for a change did not make it', () =>
    expect(carriedOut([things])).rejects.toThrow('0 results for 1 changes'));

  test('that does not exist makes nothing', () =>
    expect(carriedOut([])).rejects.toThrow('there is no resource things'));
});

test('what is known to be refused is refused before anything is done', async () => {
  const { memory, director, old, files } = await given();
  const nowhere = stateOf({ [E]: {}, 'tcp://192.0.2.9:80': {} }, { scheduler: 'fastest' });
  const result = await director().apply({ desired: nowhere });
  expect(result).toMatchObject({
    outcome: 'undone',
    done: [],
    failed: [{ error: { code: 'SCHEDULER_NOT_FOUND' } }, {}],
  });
  expect(configuration(memory.table)).toEqual(old);
  expect(files.read('journal.json')).toBeUndefined();
});

test('what another program does meanwhile is noticed by the second look, and undone', async () => {
  const { memory, director, old } = await given();
  const ipvs = new Ipvs(memory);
  const result = await director().apply(
    { desired: NEW },
    { onProgress: ({ done, total }) => void (done === total && ipvs.removeService(D)) },
  );
  expect(result).toMatchObject({ outcome: 'undone', stuck: [] });
  expect(result.failed.map(({ error }) => [error.code, error.subject])).toContainEqual(['NOT_VERIFIED', D]);
  expect(new Set(countsOf(result).values())).toEqual(new Set([1]));
  expect(configuration(memory.table)).toEqual(old);
  // It did that once: what is read twice is the same, and says nothing of others.
  expect(hintsOf(result.failed)).toEqual(new Set([undefined]));
});

describe('what is not as planned is said to come from another program', () => {
  const CHANGED = { [A]: { '10.0.0.1': 9, '10.0.0.2': 2, '10.0.0.3': 3 } };
  const desired = { ...OLD, services: [...stateOf(CHANGED).services, ...OLD.services.slice(1)] };

  /** Applies another weight while `other` runs before each read that comes after the change. */
  async function applied(other: (ipvs: Ipvs, read: number) => Promise<unknown>) {
    const { memory } = await given();
    const ipvs = new Ipvs(memory);
    let changed = false;
    let reads = 0;
    const watched = new Proxy(memory, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (changed && (name === 'service' || name === 'snapshot')) await other(ipvs, reads++);
          if (name === 'execute') changed = true;
          return Reflect.apply(value, target, args);
        };
      },
    });
    const files = new VolatileFiles();
    const director = new Director({ ipvs: new Ipvs(watched), store: new Store(files), table: 't' });
    return director.apply({ desired }, { adopt: true });
  }

  test('if it changes again between two reads, after the change and after the rollback', async () => {
    const result = await applied((ipvs, read) => ipvs.editDestination(A, '10.0.0.1', { weight: 20 + read }));
    expect(result).toMatchObject({ outcome: 'mixed', failed: [{ error: { code: 'NOT_VERIFIED' } }] });
    expect(result.stuck).toMatchObject([{ error: { code: 'NOT_VERIFIED', detail: expect.stringMatching(/→ 1$/) } }]);
    const hint = 'another program is writing to the table; try again';
    expect([hintsOf(result.failed), hintsOf(result.stuck)]).toEqual([new Set([hint]), new Set([hint])]);
  });

  test('not if it stays as it is', async () => {
    const result = await applied((ipvs) => ipvs.editDestination(A, '10.0.0.1', { weight: 20 }));
    expect(result).toMatchObject({ outcome: 'mixed', failed: [{ error: { code: 'NOT_VERIFIED' } }] });
    expect(result.stuck).toMatchObject([{ error: { code: 'NOT_VERIFIED' } }]);
    expect([hintsOf(result.failed), hintsOf(result.stuck)]).toEqual([new Set([undefined]), new Set([undefined])]);
  });
});

function hintsOf(failures: ApplyResult['failed']): Set<string | undefined> {
  return new Set(failures.map(({ error }) => error.hint));
}

test('a plan that was shown is carried out as it was shown, or not at all', async () => {
  const { director, memory, old } = await given();
  const plan = await director().plan({ desired: NEW });
  await new Ipvs(memory).editDestination(A, '10.0.0.1', { weight: 5 });
  await expect(director().apply(plan)).rejects.toMatchObject({ code: 'PLAN_OUTDATED' });
  await new Ipvs(memory).editDestination(A, '10.0.0.1', { weight: 1 });
  expect(configuration(memory.table)).toEqual(old);
  // It may have been kept in a file.
  expect((await director().apply(JSON.parse(JSON.stringify(plan)))).outcome).toBe('applied');
});

test('undo goes back to what had been applied before, and what it removes besides comes back too', async () => {
  const { director, memory, old } = await given();
  const ipvs = new Ipvs(memory);
  await ipvs.addService({ address: 'tcp://192.0.2.99:80' });
  await ipvs.addDestination('tcp://192.0.2.99:80', { address: '10.0.0.9' });
  const before = configuration(memory.table);
  await director().apply({ desired: NEW }, { prune: true });
  expect(memory.table.services.map(({ address }) => address)).not.toContain('tcp://192.0.2.99:80');

  const { intent } = await director().undoIntent();
  await director().apply(intent, { command: 'undo 2' });

  expect(configuration(memory.table).services).toEqual(before.services);
  expect(before.services).toHaveLength(old.services.length + 1);
});
