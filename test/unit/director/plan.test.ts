import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CurrentState, plan } from '../../../src/director/plan.ts';
import { planOf } from '../../../src/engine/plan.ts';
import { type DiffOptions, isRemoval, type Known } from '../../../src/engine/resource.ts';
import type { VirtualServiceWithDestinations } from '../../../src/ipvs/service.ts';
import { resources } from '../../../src/resources/all.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const empty: DesiredState = { services: [] };

interface Given extends Partial<Omit<Known<DesiredState>, 'made'>>, DiffOptions {
  readonly made?: readonly string[];
}

/** Three ways: what is wanted, what was applied, and what is there. */
function planned(desired: DesiredState, current: DesiredState | CurrentState, given: Given = {}) {
  const { applied, made = [], leaving = new Set(), weights = new Map(), ...options } = given;
  const table = 'timeouts' in current && current.timeouts ? current : tableOf(current as DesiredState);
  return planOf(
    resources,
    desired,
    { applied, made: new Set(made), leaving, weights },
    { addresses: null, ...table } as never,
    options,
  );
}

const words = (...args: Parameters<typeof planned>) =>
  planned(...args).changes.map(({ verb, subject, detail, cause }) => `${cause}: ${verb} ${subject}: ${detail}`);

describe('a plan from nothing', () => {
  test('adds services before destinations; destinations in reverse, because the kernel puts new ones first', () => {
    expect(words(stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12:8080': 2 } }), empty)).toEqual([
      'file: add service tcp://192.0.2.10:80: wrr',
      'file: add destination 10.0.0.12:8080 of tcp://192.0.2.10:80: masquerade, weight 2',
      'file: add destination 10.0.0.11:80 of tcp://192.0.2.10:80: masquerade, weight 3',
    ]);
  });

  test('sets timeouts and starts daemons first', () => {
    const desired: DesiredState = {
      ...stateOf({ [WEB]: {} }),
      timeouts: { tcpSeconds: 60 },
      sync: [{ state: 'master', interface: 'eth1', id: 3 }],
    };
    expect(words(desired, empty)).toEqual([
      'file: set timeouts of the table: tcp 900s → 60s',
      'file: start sync daemon master on eth1: on eth1, id 3',
      'file: add service tcp://192.0.2.10:80: wrr',
    ]);
  });
});

describe('what is ours', () => {
  const before = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 }, [DNS]: { '10.0.0.11': 1 } });

  test('is empty to do for what is as described', () => {
    expect(planned(before, before, { applied: before })).toEqual({
      changes: [],
      unchanged: 5,
      conflicts: [],
      strays: [],
    });
  });

  test('a service that leaves the file is removed, last, and its destinations with it', () => {
    const after = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.13': 1 } });
    expect(words(after, before, { applied: before })).toEqual([
      'file: add destination 10.0.0.13:80 of tcp://192.0.2.10:80: masquerade, weight 1',
      'file: delete destination 10.0.0.12:80 of tcp://192.0.2.10:80: left the file',
      'file: delete service udp://192.0.2.10:53: left the file',
    ]);
  });

  test('is edited in place, and the plan says what changes', () => {
    const after = stateOf(
      { [WEB]: { '10.0.0.11': 4, '10.0.0.12': 1 }, [DNS]: { '10.0.0.11': 1 } },
      { scheduler: 'sh' },
    );
    const changed = planned(after, before, { applied: before });
    expect(changed.changes.map(({ verb, detail, effects }) => [verb, detail, effects])).toEqual([
      [
        'edit service',
        'scheduler wrr → sh',
        ['takes a grace period of RCU, some 10 ms', 'connections stay; new ones are spread by the new rule'],
      ],
      ['edit destination', 'weight 3 → 4', []],
      ['edit service', 'scheduler wrr → sh', expect.any(Array)],
    ]);
  });

  test('what somebody changed is told from what the file changed', () => {
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 9 }, [DNS]: { '10.0.0.11': 1 } });
    const after = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 }, [DNS]: { '10.0.0.11': 7 } });
    expect(words(after, kernel, { applied: before })).toEqual([
      'drift: add destination 10.0.0.12:80 of tcp://192.0.2.10:80: masquerade, weight 1',
      'drift: edit destination 10.0.0.11:80 of tcp://192.0.2.10:80: weight 9 → 3',
      'file: edit destination 10.0.0.11:53 of udp://192.0.2.10:53: weight 1 → 7',
    ]);
  });

  test('what is gone from file and kernel needs nothing', () => {
    expect(words(empty, empty, { applied: before })).toEqual([]);
  });
});

describe('what is not ours', () => {
  const web = stateOf({ [WEB]: { '10.0.0.11': 3 } });

  test('a described service that somebody else made is a conflict, and nothing of it is touched', () => {
    const { changes, conflicts } = planned(web, stateOf({ [WEB]: { '10.0.0.99': 1 } }));
    expect(changes).toEqual([]);
    expect(conflicts).toEqual([{ resource: 'services', subject: WEB, of: WEB }]);
  });

  test('it is taken over with "adopt": edited in place, and what is not described stays', () => {
    const { changes, conflicts, strays } = planned(web, stateOf({ [WEB]: { '10.0.0.99': 1, '10.0.0.11': 1 } }), {
      adopt: true,
    });
    expect(conflicts).toEqual([]);
    expect(changes.map(({ verb }) => verb)).toEqual(['edit destination']);
    expect(strays).toEqual([expect.objectContaining({ key: `${WEB} 10.0.0.99:80`, owner: 'foreign' })]);
  });

  test('what a verb of ours made is no conflict, and stays when no file names it', () => {
    expect(planned(web, stateOf({ [WEB]: {} }), { made: [WEB] }).conflicts).toEqual([]);
    expect(planned(empty, web, { made: [WEB] })).toMatchObject({
      changes: [],
      strays: [{ key: WEB, owner: 'verb' }],
    });
  });

  test('a destination that is not described stays, unless the service is exclusive or all is pruned', () => {
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.99': 1 }, [DNS]: {} });
    expect(words(web, kernel, { applied: web })).toEqual([]);
    const exclusive = stateOf({ [WEB]: { '10.0.0.11': 3 } }, { exclusive: true });
    const removal = 'file: delete destination 10.0.0.99:80 of tcp://192.0.2.10:80: not in the file';
    expect(words(exclusive, kernel, { applied: web })).toEqual([removal]);
    expect(words(web, kernel, { applied: web, prune: true })).toEqual([
      removal,
      'file: delete service udp://192.0.2.10:53: not in the file',
    ]);
  });

  test('a sync daemon that somebody else runs otherwise is a conflict', () => {
    const daemon = { state: 'backup', interface: 'eth1', id: 1 } as const;
    const desired = { services: [], sync: [{ ...daemon, id: 2 }] };
    const current = tableOf({ services: [], sync: [daemon] });
    expect(planned(desired, current).conflicts).toHaveLength(1);
    expect(words(desired, current, { adopt: true })).toEqual([
      'file: stop sync daemon backup: to start it anew',
      'file: start sync daemon backup on eth1: on eth1, id 2',
    ]);
    expect(words({ services: [], sync: [] }, current, { applied: { services: [], sync: [daemon] } })).toEqual([
      'file: stop sync daemon backup: left the file',
    ]);
    expect(words({ services: [] }, current, { applied: { services: [], sync: [daemon] } })).toEqual([]);
  });
});

describe('what a plan says of costs', () => {
  test('removing a destination with connections', () => {
    const table = tableOf(stateOf({ [WEB]: { '10.0.0.11': 1 } }));
    const [service] = table.services.services as [VirtualServiceWithDestinations];
    const destinations = service.destinations.map((d) => ({ ...d, activeConnections: 2, inactiveConnections: 1 }));
    const busy = { ...table, services: { services: [{ ...service, destinations }] } };
    const { changes } = planned(stateOf({ [WEB]: {} }), busy, { applied: stateOf({ [WEB]: { '10.0.0.11': 1 } }) });
    expect(changes.map(({ effects }) => effects)).toEqual([
      [
        'cuts 2 active connections',
        '1 inactive connections (finishing, or UDP) lose their packets',
        'its counters are lost',
      ],
    ]);
  });

  test('a new destination where the scheduler goes by their order', () => {
    const before = stateOf({ [WEB]: { '10.0.0.11': 1 } }, { scheduler: 'sh' });
    const after = stateOf({ [WEB]: { '10.0.0.11': 1, '10.0.0.12': 1 } }, { scheduler: 'sh' });
    expect(planned(after, before, { applied: before }).changes.map(({ effects }) => effects)).toEqual([
      ['moves clients: sh goes by the order of destinations'],
    ]);
  });
});

describe('on its way', () => {
  const kernel = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 0 } });
  const key = `${WEB} 10.0.0.12:80`;

  test('a destination that leaves the file of a service with "drain" takes no new connections, and is not deleted yet', () => {
    const before = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 2 } });
    const after = stateOf({ [WEB]: { '10.0.0.11': 3 } }, { drain: { timeoutSeconds: 60, afterwards: 'delete' } });
    expect(planned(after, before, { applied: before }).changes).toMatchObject([
      { phase: 'drain', verb: 'edit destination', operation: { destination: { weight: 0 } } },
    ]);
  });

  test('what drains is left alone, and held at weight 0', () => {
    const wanted = stateOf({ [WEB]: { '10.0.0.11': 3 } });
    expect(words(wanted, kernel, { applied: wanted, leaving: new Set([key]) })).toEqual([]);
    const undrained = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 5 } });
    expect(words(wanted, undrained, { applied: wanted, leaving: new Set([key]) })).toEqual([
      'drift: edit destination 10.0.0.12:80 of tcp://192.0.2.10:80: weight 5 → 0',
    ]);
  });

  test('what drains by a verb keeps weight 0 though the file says more', () => {
    const wanted = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 2 } });
    expect(
      words(wanted, kernel, { applied: wanted, weights: new Map([[WEB, new Map([['10.0.0.12:80', 0]])]]) }),
    ).toEqual([]);
  });

  test('what comes back into the file drains no more', () => {
    const wanted = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 2 } });
    expect(
      words(wanted, kernel, {
        leaving: new Set([key]),
        weights: new Map([[WEB, new Map([['10.0.0.12:80', 0]])]]),
        made: [WEB],
      }),
    ).toEqual(['file: edit destination 10.0.0.12:80 of tcp://192.0.2.10:80: weight 0 → 2']);
  });

  test('a destination that comes to others begins with a part of its weight; those of a new service do not', () => {
    const ramp = { durationSeconds: 60, floor: 0.1, curve: 'linear' } as const;
    const before = stateOf({ [WEB]: { '10.0.0.11': 100 } });
    const after = stateOf({ [WEB]: { '10.0.0.11': 100, '10.0.0.12': 100 } }, { ramp });
    expect(words(after, before, { applied: before })).toEqual([
      'file: add destination 10.0.0.12:80 of tcp://192.0.2.10:80: masquerade, weight 10 of 100',
    ]);
    expect(words(after, empty)).toContain(
      'file: add destination 10.0.0.12:80 of tcp://192.0.2.10:80: masquerade, weight 100',
    );
  });
});

describe('laws', () => {
  const services = fc.dictionary(
    fc.constantFrom(WEB, DNS, 'tcp://192.0.2.11:80', 'tcp://[2001:db8::1]:80'),
    fc.dictionary(
      fc.integer({ min: 1, max: 5 }).map((n) => `10.0.0.${n}`),
      fc.integer({ min: 0, max: 9 }),
      {
        maxKeys: 4,
      },
    ),
    { maxKeys: 4 },
  );
  const state = fc
    .tuple(services, fc.constantFrom('rr', 'sh', 'wlc'), fc.boolean())
    .map(([services, scheduler, exclusive]) =>
      stateOf(
        Object.fromEntries(
          Object.entries(services).map(([address, destinations]) => [
            address,
            address.includes('[')
              ? Object.fromEntries(
                  Object.entries(destinations).map(([ip, w]) => [ip.replace(/^.*\.(\d)$/, '2001:db8::$1'), w]),
                )
              : destinations,
          ]),
        ),
        { scheduler, exclusive },
      ),
    );

  test('everything that adds or edits comes before everything that takes away', () => {
    fc.assert(
      fc.property(state, state, state, (desired, applied, kernel) => {
        const { changes } = planned(desired, kernel, { applied, adopt: true, prune: true });
        const first = changes.findIndex(isRemoval);
        expect(first < 0 || changes.slice(first).every(isRemoval)).toBe(true);
      }),
    );
  });

  test('nothing is removed that never was in a file, unless it was asked for', () => {
    fc.assert(
      fc.property(state, state, state, (desired, applied, kernel) => {
        const described = new Set(
          applied.services.flatMap(({ service, destinations }) => [
            service.address,
            ...destinations.map(({ address }) => `${service.address} ${address}`),
          ]),
        );
        const exclusive = new Set(desired.services.filter((s) => s.exclusive).map(({ service }) => service.address));
        for (const change of planned(desired, kernel, { applied }).changes.filter(isRemoval)) {
          expect(described.has(change.key) || exclusive.has(change.of)).toBe(true);
        }
      }),
    );
  });

  test('without anything known, nothing of others is touched at all', () => {
    fc.assert(
      fc.property(state, state, (desired, kernel) => {
        const present = new Set(kernel.services.map(({ service }) => service.address));
        for (const { of } of planned(desired, kernel).changes) expect(present.has(of)).toBe(false);
      }),
    );
  });

  test('the same state twice needs nothing the second time', () => {
    fc.assert(
      fc.property(state, (desired) => {
        expect(planned(desired, desired, { applied: desired }).changes).toEqual([]);
        expect(plan(desired, tableOf(desired)).changes).toEqual([]);
      }),
    );
  });
});
