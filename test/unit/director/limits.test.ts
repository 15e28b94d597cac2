import { describe, expect, test } from 'vitest';
import { Director } from '../../../src/director/director.ts';
import { describeExcess, excesses } from '../../../src/director/limits.ts';
import { plan } from '../../../src/director/plan.ts';
import { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { MemoryBackend } from '../../../src/ipvs/memory/backend.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const [A, B, C, D] = ['tcp://192.0.2.1:80', 'tcp://192.0.2.2:80', 'tcp://192.0.2.3:80', 'tcp://192.0.2.4:80'];

/** A director to whose table a state was applied. */
async function applied(state: ReturnType<typeof stateOf>) {
  const director = new Director({ ipvs: new Ipvs(new MemoryBackend()) });
  await director.apply({ desired: state });
  return director;
}

describe('how much one apply may take away', () => {
  const four = stateOf({ [A]: { '10.0.0.1': 2, '10.0.0.2': 6 }, [B]: {}, [C]: {}, [D]: {} });

  test.each([
    ['a service of four', { [A]: { '10.0.0.1': 2, '10.0.0.2': 6 }, [B]: {}, [C]: {} }, 0.25, []],
    [
      'two services of four',
      { [A]: { '10.0.0.1': 2, '10.0.0.2': 6 }, [B]: {} },
      0.25,
      ['2 of 4 services (50%; the limit is 25%)'],
    ],
    ['a quarter of a weight', { [A]: { '10.0.0.2': 6 }, [B]: {}, [C]: {}, [D]: {} }, 0.25, []],
    [
      'a quarter and a bit',
      { [A]: { '10.0.0.2': 5 }, [B]: {}, [C]: {}, [D]: {} },
      0.25,
      ['3 of the weight 8 of tcp://192.0.2.1:80 (37.5%; the limit is 25%)'],
    ],
    [
      'what is added does not make up for it',
      { [A]: { '10.0.0.3': 100, '10.0.0.1': 2 }, [B]: {}, [C]: {}, [D]: {} },
      0.5,
      ['6 of the weight 8 of tcp://192.0.2.1:80 (75%; the limit is 50%)'],
    ],
    ['nothing at all, with a limit of 0', { [A]: { '10.0.0.1': 3, '10.0.0.2': 6 }, [B]: {}, [C]: {}, [D]: {} }, 0, []],
  ] as const)('%s', async (_, after, maxChange, expected) => {
    const director = await applied(four);
    const { excess } = await director.plan({ desired: stateOf(after) }, { maxChange });
    expect(excess.map(describeExcess)).toEqual(expected);
  });

  test('over the limit nothing is done, unless it is forced', async () => {
    const director = await applied(four);
    const desired = { ...stateOf({ [B]: {} }), limits: { maxChange: 0.5 } };
    await expect(director.apply({ desired })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect((await director.ipvs.snapshot()).services).toHaveLength(4);
    expect((await director.apply({ desired }, { force: true })).outcome).toBe('applied');
  });

  test('of a table with nothing in it nothing can be taken', () => {
    const empty = tableOf(stateOf({}));
    expect(excesses(plan(four, empty), empty.services, 0)).toEqual([]);
  });
});

describe('only some services', () => {
  const before = stateOf({ [A]: { '10.0.0.1': 1 }, [B]: { '10.0.0.1': 1 } });
  const named = (name: string, state: ReturnType<typeof stateOf>) => state.services.map((s) => ({ ...s, name }));
  const after = {
    services: [...named('web', stateOf({ [A]: { '10.0.0.1': 2 } })), ...named('mail', stateOf({ [C]: {}, [D]: {} }))],
  };

  test('by name or by address; the others stay as they were applied', async () => {
    const director = await applied(before);
    const subjects = async (targets: string[]) =>
      (await director.plan({ desired: after }, { targets })).changes.map(({ subject }) => subject);
    expect(await subjects(['web'])).toEqual([`10.0.0.1:80 of ${A}`]);
    expect(await subjects(['mail', A])).toEqual([C, D, `10.0.0.1:80 of ${A}`]);
    expect(await subjects([B])).toEqual([B]);

    await director.apply({ desired: after }, { targets: ['web'] });
    const { services } = await director.ipvs.snapshot();
    expect(services.map(({ address }) => address).sort()).toEqual([A, B]);
    // What was not meant is still to be done.
    expect((await director.plan({ desired: after })).changes.map(({ subject }) => subject)).toEqual([C, D, B]);
  });

  test('one that has left is done, every time, by name or by address', async () => {
    const director = await applied({ services: named('web', stateOf({ [A]: { '10.0.0.1': 1 } })) });
    const nothing = { services: [] };
    for (const target of ['web', A]) {
      await director.apply({ desired: nothing }, { targets: [target] });
      for (let again = 0; again < 2; again++) {
        expect(await director.apply({ desired: nothing }, { targets: [target] })).toMatchObject({
          outcome: 'applied',
          done: [],
        });
        expect(await director.plan({ desired: nothing }, { targets: [target] })).toMatchObject({ changes: [] });
      }
    }
    expect((await director.ipvs.snapshot()).services).toEqual([]);
  });

  test('one that others made is left to them', async () => {
    const director = await applied(before);
    await director.ipvs.addService({ address: C });
    expect(await director.plan({ desired: before }, { targets: [C] })).toMatchObject({
      changes: [],
      strays: [{ key: C, owner: 'foreign' }],
    });
  });

  test('a name that no state has is refused', async () => {
    const director = await applied(before);
    await expect(director.plan({ desired: after }, { targets: ['wbe'] })).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      subject: 'wbe',
    });
  });
});
