/**
 * The model of the kernel's table against the kernel: sequences of operations at random give the same answers and leave
 * the same table. IPVS_MODEL_OPERATIONS says how many operations each way tries at least.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, KernelTransport } from '../../src/ipvs/backend.ts';
import { MemoryBackend } from '../../src/ipvs/memory/backend.ts';
import type { Profile } from '../../src/ipvs/memory/profile.ts';
import { emptyTable, type Table } from '../../src/ipvs/memory/table.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { OperationResult } from '../../src/ipvs/operation.ts';
import { SockoptBackend } from '../../src/ipvs/sockopt/backend.ts';
import { namespacePath } from '../../src/kernel/namespace.ts';
import { native } from '../../src/kernel/native.ts';
import { kernelProfile } from '../helpers/kernel-profile.ts';
import { configured } from '../helpers/kernel-table.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';
import { operations, type Step } from '../helpers/operation-arbitraries.ts';
import { regressions } from './model-regressions.ts';

const OPERATIONS = Number(process.env['IPVS_MODEL_OPERATIONS'] ?? 4000);
/** Of one sequence: after it the tables are compared. */
const MOST_STEPS = 40;
const RUNS = 25;

let namespace: TestNamespace;
let profile: Profile;
let kernel: Record<KernelTransport, Backend>;
beforeAll(async () => {
  namespace = makeNamespace('model');
  profile = await kernelProfile(namespace.name, 'netlink');
  const options = { native: native(), namespacePath: namespacePath(namespace.name) };
  kernel = { netlink: new NetlinkBackend(options), sockopt: new SockoptBackend(options) };
});
afterAll(() => {
  for (const backend of Object.values(kernel)) backend.close();
  namespace.remove();
});

/** The kernel remembers deleted destinations, but nothing of them shows without traffic. */
async function emptied(): Promise<void> {
  await kernel.netlink.execute([
    { type: 'flush' },
    { type: 'sync.stop', state: 'master' },
    { type: 'sync.stop', state: 'backup' },
    { type: 'timeouts.set', timeouts: emptyTable.timeouts },
  ]);
}

/** Carries the steps out; those that follow each other on one way, at once. */
async function carryOut(steps: readonly Step[], on: (via: KernelTransport) => Backend): Promise<string[]> {
  const answers: string[] = [];
  for (let from = 0; from < steps.length; ) {
    const { via } = steps[from] as Step;
    let to = from;
    while (steps[to]?.via === via) to++;
    const results = await on(via).execute(steps.slice(from, to).map(({ operation }) => operation));
    answers.push(...results.map(answerOf));
    from = to;
  }
  return answers;
}

function answerOf({ error }: OperationResult): string {
  return error === undefined ? 'done' : `${error.code} ${error.errnoName ?? ''}`;
}

async function everything(backend: Backend) {
  return {
    services: await backend.snapshot({}).then(
      (services) => configured({ services }),
      ({ code }) => code,
    ),
    timeouts: await backend.timeouts(),
    syncDaemons: await backend.syncDaemons(),
  };
}

async function expectSame(steps: readonly Step[]): Promise<void> {
  await emptied();
  let table: Table = emptyTable;
  let memory: MemoryBackend | undefined;
  const memoryOf = (transport: KernelTransport) => {
    table = memory?.table ?? table;
    memory = new MemoryBackend({ profile: { ...profile, transport }, table });
    return memory;
  };
  const expected = await carryOut(steps, (via) => kernel[via]);
  const answers = await carryOut(steps, memoryOf);
  const differences = steps.flatMap((step, i) =>
    answers[i] === expected[i] ? [] : [{ step, kernel: expected[i], model: answers[i] }],
  );
  expect(differences).toEqual([]);
  for (const via of new Set(steps.map((step) => step.via))) {
    expect(await everything(memoryOf(via)), `read by ${via}`).toEqual(await everything(kernel[via]));
  }
}

describe('sequences that once told a difference', () => {
  it.each(regressions)('$learnt', ({ steps }) => expectSame(steps));
});

describe('sequences at random', () => {
  it.each<[string, KernelTransport[]]>([
    ['netlink', ['netlink']],
    ['the socket options', ['sockopt']],
    ['both, in turns', ['netlink', 'sockopt']],
  ])('by %s', { timeout: 3_600_000 }, async (_, ways) => {
    const step = fc.oneof(...ways.map((via) => operations(via, profile).map((operation) => ({ via, operation }))));
    const steps = fc.array(step, { minLength: 1, maxLength: MOST_STEPS, size: 'max' });
    let tried = 0;
    const property = fc.asyncProperty(steps, async (steps) => {
      tried += steps.length;
      await expectSame(steps);
    });
    while (tried < OPERATIONS) await fc.assert(property, { numRuns: RUNS, endOnFailure: false });
    console.log(`${tried} operations by ${ways.join(' and ')}, the same as on Linux ${profile.kernel}`);
  });
});
