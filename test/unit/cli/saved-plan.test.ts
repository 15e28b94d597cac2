/** A saved plan, and files of the defense, that hold JSON of another shape: they are refused, never a fault of ours. */
import { expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { formatSavedPlan, savedPlan } from '../../../src/cli/plan-input.ts';
import { Originals } from '../../../src/defense/originals.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { PolicyFile } from '../../../src/defense/policy-file.ts';
import { Director } from '../../../src/director/director.ts';
import { VolatileFiles } from '../../../src/record/files.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { stateOf } from '../../helpers/states.ts';

/** The value with each of its parts in turn of another type, or missing. */
function* mutants(value: unknown): Generator<unknown> {
  yield* [null, 'x', -1, [], {}, [null], { a: null }, true];
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    const put = (other: unknown) =>
      Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other };
    for (const other of mutants(part)) yield put(other);
    yield put(undefined);
  }
}

async function refusalOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a saved plan', async () => {
  const director = new Director({ ipvs: openMemory() });
  const state = { ...stateOf({ 'tcp://192.0.2.1:80': { '10.0.0.1': 1 } }), timeouts: { tcpSeconds: 60 } };
  const plan = await director.plan({ desired: state, source: { files: [], hosts: {} } }, { adopt: true });
  expect(savedPlan(formatSavedPlan(plan), 'plan.json')).toEqual(plan);
  let refused = 0;
  for (const changed of mutants(plan)) {
    const error = await refusalOf(async () => {
      const isObject = typeof changed === 'object' && changed !== null;
      const text = isObject ? formatSavedPlan(changed as typeof plan) : JSON.stringify(changed);
      const read = savedPlan(text, 'plan.json');
      await director.apply(read ?? { desired: state });
    });
    if (error !== undefined) expect(error, JSON.stringify(changed)).toBeInstanceOf(IpvsError);
    if (error !== undefined) refused++;
  }
  expect(refused).toBeGreaterThan(50);
});

test('the record of the defense, and its policy', async () => {
  const policy = normalizePolicy('balanced');
  const name = 'net.ipv4.vs.drop_entry';
  const held = {
    version: 1,
    table: 't',
    originals: { [name]: '0' },
    written: { [name]: ['3'] },
    level: 1,
    policy,
    at: 'x',
  };
  const files = new VolatileFiles();
  for (const changed of mutants(held)) {
    files.write('defense.json', JSON.stringify(changed));
    const error = await refusalOf(() => new Originals(files, 't').read());
    if (error !== undefined) expect(error, JSON.stringify(changed)).toMatchObject({ code: 'STORE_DAMAGED' });
  }
  for (const changed of mutants(policy)) {
    files.write('defense-policy.json', JSON.stringify(changed));
    const error = await refusalOf(() => new PolicyFile(files).read());
    if (error !== undefined) expect(error, JSON.stringify(changed)).toMatchObject({ code: 'STORE_DAMAGED' });
  }
});
