/** Undo restores the state before: tables, order and owners, whatever led to it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Director } from '../../../src/director/director.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import type { SyncDaemon } from '../../../src/ipvs/sync-daemon.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { keyOf } from '../../../src/record/ledger.ts';
import { Store } from '../../../src/record/store.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { configured } from '../../helpers/kernel-table.ts';
import { stateOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.1:80';
const DNS = 'udp://192.0.2.1:53';
const MARK = 'fwmark:7';
const services = [WEB, DNS, MARK] as const;
const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;

function given() {
  const backend = new MemoryBackend();
  const ipvs = new Ipvs(backend);
  const director = new Director({ ipvs, store: new Store(new VolatileFiles()), table: 'this' });
  /** Another program, which leaves no record. */
  const foreign = new Ipvs(backend);
  const keysOf = (service: string) => hosts.map((host) => `${service} ${host}:${portOf(service)}`);
  /** The whole state that an undo has to restore, once a pass has ended the drains: nothing is held. */
  const state = async () => {
    await director.stepDrains();
    const ownerOf = await director.owners();
    const keys = [...services.flatMap((service) => [service, ...keysOf(service)]), 'sync master', 'timeouts'];
    return {
      services: configured(await ipvs.snapshot()),
      timeouts: await ipvs.timeouts(),
      sync: await ipvs.syncDaemons(),
      owners: Object.fromEntries(keys.map((key) => [key, ownerOf(key)])),
      drains: (await director.drains()).flatMap(({ drain: { ended, heldFirst, startedBootMs, ...drain } }) =>
        ended?.how === 'gone' ? [] : drain,
      ),
    };
  };
  const undo = async (id?: number, side?: 'before' | 'after') => {
    const { intent, id: undone } = await director.undoIntent(id, side);
    const result = await director.apply(intent, { force: true, command: `undo ${undone}` });
    expect(result).toMatchObject({ outcome: 'applied', failed: [] });
  };
  return { ipvs, director, foreign, state, undo };
}

function portOf(service: string): number {
  return service === WEB ? 80 : service === DNS ? 53 : 0;
}

type Given = ReturnType<typeof given>;

/** One thing that somebody does to the table. A refusal is part of the game. */
interface Step {
  readonly name: string;
  run(on: Given): Promise<unknown>;
}

const daemon: SyncDaemon = { state: 'master', interface: 'eth0', id: 5 };
const weights = fc.integer({ min: 0, max: 9 });
const files: fc.Arbitrary<DesiredState> = fc
  .record({
    described: fc.dictionary(fc.constantFrom(...services), fc.dictionary(fc.constantFrom(...hosts), weights)),
    scheduler: fc.constantFrom('wrr', 'rr', 'wlc'),
    timeouts: fc.option(fc.constantFrom({ udpSeconds: 45 }, { tcpSeconds: 77 }), { nil: undefined }),
    sync: fc.option(fc.constantFrom([], [daemon]), { nil: undefined }),
    exclusive: fc.boolean(),
  })
  .map(({ described, scheduler, timeouts, sync, exclusive }) => ({
    ...stateOf(described, { scheduler, ...(exclusive && { exclusive }) }),
    ...(timeouts && { timeouts }),
    ...(sync && { sync }),
  }));

const applies: fc.Arbitrary<Step> = fc
  .record({ desired: files, adopt: fc.boolean(), prune: fc.boolean() })
  .map((apply) => ({
    name: `apply ${JSON.stringify(apply)}`,
    run: ({ director }) => director.apply(apply, { adopt: apply.adopt, prune: apply.prune, force: true }),
  }));

const inService = fc.tuple(fc.constantFrom(...services), fc.constantFrom(...hosts), weights);
const directly: fc.Arbitrary<Step> = fc.oneof(
  inService.map(([service]) => ({
    name: `service add ${service}`,
    run: ({ director }: Given) =>
      director.verb('service add', { makes: [service] }, (ipvs) => ipvs.addService({ address: service })),
  })),
  inService.map(([service]) => ({
    name: `service delete ${service}`,
    run: ({ director }: Given) =>
      director.verb('service delete', { takes: [service] }, (ipvs) => ipvs.removeService(service)),
  })),
  inService.map(([service, host, weight]) => ({
    name: `destination add ${service} ${host}`,
    run: ({ director }: Given) =>
      director.verb('destination add', { makes: [`${service} ${host}:${portOf(service)}`] }, (ipvs) =>
        ipvs.addDestination(service, { address: host, weight }),
      ),
  })),
  inService.map(([service, host, weight]) => ({
    name: `destination edit ${service} ${host} to ${weight}`,
    run: ({ director }: Given) =>
      director.verb('destination edit', { edits: [`${service} ${host}:${portOf(service)}`] }, (ipvs) =>
        ipvs.editDestination(service, host, { weight }),
      ),
  })),
  fc.tuple(inService, fc.integer({ min: 0, max: 60_000 })).map(([[service, host], timeoutMs]) => ({
    name: `drain ${service} ${host} for ${timeoutMs}`,
    run: ({ director }: Given) => director.drain(service, host, { timeoutMs }),
  })),
  inService.map(([service, host]) => ({
    name: `drain cancel ${service} ${host}`,
    run: ({ director }: Given) => director.cancelDrain(service, host),
  })),
  fc.constant({
    name: 'flush',
    run: ({ director }: Given) => director.verb('flush', { takes: 'all services' }, (ipvs) => ipvs.flush()),
  }),
  fc.constant({ name: 'adopt all', run: ({ director }: Given) => director.adopt('all') }),
  fc.constant({ name: 'disown all', run: ({ director }: Given) => director.disown('all') }),
  fc.constant({
    name: 'sync start',
    run: ({ director }: Given) =>
      director.verb('sync start', { makes: ['sync master'] }, (ipvs) => ipvs.startSyncDaemon(daemon)),
  }),
);

const byOthers: fc.Arbitrary<Step> = fc.oneof(
  inService.map(([service]) => ({
    name: `foreign: service ${service}`,
    run: ({ foreign }: Given) => foreign.addService({ address: service, scheduler: 'sed' }),
  })),
  inService.map(([service, host, weight]) => ({
    name: `foreign: destination ${service} ${host}`,
    run: ({ foreign }: Given) => foreign.addDestination(service, { address: host, weight }),
  })),
  inService.map(([service, host, weight]) => ({
    name: `foreign: weight ${service} ${host} ${weight}`,
    run: ({ foreign }: Given) => foreign.editDestination(service, host, { weight }),
  })),
  inService.map(([service]) => ({
    name: `foreign: no service ${service}`,
    run: ({ foreign }: Given) => foreign.removeService(service),
  })),
);

const ours = fc.oneof({ weight: 2, arbitrary: applies }, { weight: 3, arbitrary: directly });
const any = fc.oneof({ weight: 3, arbitrary: ours }, { weight: 2, arbitrary: byOthers });
const RUNS = 120;

async function attempt(step: Step, on: Given): Promise<void> {
  try {
    await step.run(on);
  } catch (error) {
    // The model refuses what the kernel refuses; a plan of foreign objects is refused without "adopt".
    expect(error).toHaveProperty('code');
  }
}

const shown = (steps: readonly Step[]) => steps.map(({ name }) => name);

describe('undo(step(S)) = S', () => {
  test('for the last step, whatever came before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(any, { maxLength: 8 }), ours, async (steps, last) => {
        const on = given();
        for (const step of steps) await attempt(step, on);
        const before = await on.state();
        const entries = on.director.history().length;
        await attempt(last, on);
        const entry = on.director.history().at(-1);
        if (on.director.history().length === entries || entry?.outcome !== 'applied') return;
        await on.undo();
        expect({ steps: shown([...steps, last]), ...sorted(await on.state()) }).toEqual({
          steps: shown([...steps, last]),
          ...sorted(before),
        });
      }),
      { numRuns: RUNS },
    );
  });

  test('for several steps of ours at once, and forth again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(any, { maxLength: 5 }),
        fc.array(ours, { minLength: 1, maxLength: 5 }),
        async (steps, undone) => {
          const on = given();
          for (const step of steps) await attempt(step, on);
          const before = await on.state();
          const first = (on.director.history().at(-1)?.id ?? 0) + 1;
          for (const step of undone) await attempt(step, on);
          const applied = on.director.history().filter(({ id, outcome }) => id >= first && outcome === 'applied');
          const [entry] = applied;
          if (entry === undefined) return;
          const after = await on.state();
          const names = shown([...steps, ...undone]);
          await on.undo(entry.id);
          expect({ names, ...sorted(await on.state()) }).toEqual({ names, ...sorted(before) });
          await on.undo(applied.at(-1)?.id, 'after');
          expect({ names, ...sorted(await on.state()) }).toEqual({ names, ...sorted(after) });
        },
      ),
      { numRuns: RUNS },
    );
  });
});

test('an undo over many entries reads each of them a few times', async () => {
  const files = new VolatileFiles();
  let reads = 0;
  const read = files.read.bind(files);
  files.read = (name) => {
    if (name.startsWith('history/')) reads++;
    return read(name);
  };
  const director = new Director({ ipvs: new Ipvs(new MemoryBackend()), store: new Store(files), table: 'this' });
  await director.apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 1 } }) });
  for (let weight = 2; weight < 42; weight++)
    await director.verb('destination edit', { edits: [`${WEB} 10.0.0.1:80`] }, (ipvs) =>
      ipvs.editDestination(WEB, '10.0.0.1', { weight }),
    );
  reads = 0;
  const { intent } = await director.undoIntent(2);
  expect((await director.plan(intent)).changes).toMatchObject([{ detail: 'weight 41 → 1' }]);
  expect(reads / director.history().length).toBeLessThan(10);
});

describe('what is foreign again after an undo', () => {
  const desired = stateOf({ [WEB]: { '10.0.0.1': 1, '10.0.0.2': 2 } });
  const weights = async ({ ipvs }: Given) =>
    Object.fromEntries((await ipvs.destinations(WEB)).map(({ address, weight }) => [address, weight]));

  /** Another program's service, adopted by an apply that sets the weight of the second destination. */
  async function adopted() {
    const on = given();
    await on.foreign.addService({ address: WEB, scheduler: 'wrr' });
    await on.foreign.addDestination(WEB, { address: '10.0.0.1', weight: 1 });
    await on.foreign.addDestination(WEB, { address: '10.0.0.2', weight: 5 });
    expect((await on.director.apply({ desired }, { adopt: true })).outcome).toBe('applied');
    expect(await weights(on)).toEqual({ '10.0.0.1:80': 1, '10.0.0.2:80': 2 });
    return on;
  }

  test('has the values that the apply changed, if nobody changed them since', async () => {
    const on = await adopted();
    await on.undo();
    expect(await weights(on)).toEqual({ '10.0.0.1:80': 1, '10.0.0.2:80': 5 });
    expect((await on.director.owners())(WEB)).toBe('foreign');
  });

  test('lacks what the other program took out since, changed by the apply or not', async () => {
    for (const host of ['10.0.0.1', '10.0.0.2']) {
      const on = await adopted();
      await on.foreign.removeDestination(WEB, host);
      await on.undo();
      expect(await weights(on)).not.toHaveProperty(`${host}:80`);
    }
    const on = await adopted();
    await on.foreign.removeService(WEB);
    await on.undo();
    expect((await on.ipvs.snapshot()).services).toEqual([]);
  });

  test('has the values that the other program set since', async () => {
    const on = await adopted();
    await on.foreign.editDestination(WEB, '10.0.0.2', { weight: 9 });
    await on.foreign.editService(WEB, { scheduler: 'rr' });
    await on.undo();
    expect(await weights(on)).toEqual({ '10.0.0.1:80': 1, '10.0.0.2:80': 9 });
    expect((await on.ipvs.service(WEB)).scheduler).toBe('rr');
  });

  test('but what was ours then is as it was', async () => {
    const on = await adopted();
    await on.director.apply({ desired: stateOf({ [WEB]: { '10.0.0.1': 7, '10.0.0.2': 7 } }) });
    await on.foreign.removeDestination(WEB, '10.0.0.1');
    await on.undo();
    expect(await weights(on)).toEqual({ '10.0.0.1:80': 1, '10.0.0.2:80': 2 });
  });
});

/** The kernel puts a destination that comes back at the head of its service: that the order differs then is said by the plan. */
function sorted(state: Awaited<ReturnType<Given['state']>>) {
  const byAddress = (a: { readonly address: string }, b: { readonly address: string }) =>
    a.address < b.address ? -1 : 1;
  const ordered = state.services.map((service) => ({
    ...service,
    destinations: service.destinations.toSorted(byAddress),
  }));
  const drains = state.drains.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return { ...state, services: ordered.toSorted(byAddress), drains };
}
