import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { normalizeDestination } from '../../../src/ipvs/destination.ts';
import type { Operation } from '../../../src/ipvs/operation.ts';
import { normalizeService, type VirtualServiceWithDestinations } from '../../../src/ipvs/service.ts';
import { type Drain, type Ledger, ledgerFor, type Ramp } from '../../../src/record/ledger.ts';
import {
  cutsSenders,
  type DrainMove,
  lateDrains,
  ledgerAfter,
  movesOf,
  type StepInput,
} from '../../../src/weights/drain-step.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';

interface Counts {
  readonly weight?: number;
  readonly active?: number;
  readonly inactive?: number;
  readonly templates?: number;
}

/** A table with one service. */
function holding(
  service: string,
  destinations: Readonly<Record<string, Counts>>,
  persistent = false,
): ReadonlyMap<string, VirtualServiceWithDestinations> {
  const described = normalizeService({ address: service, ...(persistent && { persistence: { timeoutSeconds: 60 } }) });
  const held = Object.entries(destinations).map(([address, counts]) => ({
    ...normalizeDestination({ address, weight: counts.weight ?? 0 }, service),
    activeConnections: counts.active ?? 0,
    inactiveConnections: counts.inactive ?? 0,
    persistentConnections: counts.templates ?? 0,
  }));
  return new Map([[service, { ...described, destinations: held }]]);
}

function drain(destination: string, more: Partial<Drain> = {}): Drain {
  const times = { startedBootMs: 0, deadlineBootMs: 60_000 };
  return { service: WEB, destination, ...times, afterwards: 'delete', weight: 3, by: 'verb', ...more };
}

function ramp(destination: string, more: Partial<Ramp> = {}): Ramp {
  const course = { startedBootMs: 0, durationSeconds: 100, floor: 0.1, curve: 'linear' } as const;
  return { service: WEB, destination, ...course, weight: 10, ...more };
}

function moves(ledger: Partial<Ledger>, services: StepInput['services'], more: Partial<StepInput> = {}): DrainMove[] {
  const { drains = [], ramps = [] } = ledger;
  return movesOf({ ledger: { drains, ramps }, services, quiescentExpire: false, nowMs: 1000, ...more });
}

const A = '10.0.0.1:80';
const B = '10.0.0.2:80';
const removal: Operation = { type: 'destination.delete', service: WEB, destination: A };

describe('a drain', () => {
  test('goes on while something is held', () => {
    expect(moves({ drains: [drain(A)] }, holding(WEB, { [A]: { active: 1 } }))).toEqual([]);
  });

  test('that is over deletes, or keeps', () => {
    const services = holding(WEB, { [A]: {}, [B]: {} });
    expect(moves({ drains: [drain(A), drain(B, { afterwards: 'keep' })] }, services)).toMatchObject([
      { destination: A, operation: removal, ended: { how: 'drained', bootMs: 1000 } },
      { destination: B, ended: { how: 'drained' } },
    ]);
    expect(moves({ drains: [drain(B, { afterwards: 'keep' })] }, services)[0]).not.toHaveProperty('operation');
  });

  test('at its deadline ends with what is held', () => {
    const held = { active: 2, inactive: 1, entries: 0, templates: 0 };
    const busy = holding(WEB, { [A]: { active: 2, inactive: 4 } });
    const closed = new Map([[`${WEB} ${A}`, 3]]);
    expect(moves({ drains: [drain(A)] }, busy, { nowMs: 60_000, closed })).toMatchObject([
      { operation: removal, ended: { how: 'deadline', held } },
    ]);
  });

  test('whose destination got a weight from somebody loses it again', () => {
    const zero = { type: 'destination.edit', destination: { address: A, weight: 0 } };
    const services = holding(WEB, { [A]: { weight: 5 } });
    expect(moves({ drains: [drain(A)] }, services)).toMatchObject([{ operation: zero }]);
    expect(moves({ drains: [drain(A)] }, services)[0]).not.toHaveProperty('ended');
    const kept = drain(A, { afterwards: 'keep' });
    expect(moves({ drains: [kept] }, services, { nowMs: 60_000 })).toMatchObject([{ operation: zero, ended: {} }]);
  });

  test('whose destination or service vanished is over', () => {
    const gone = [{ destination: A, ended: { how: 'gone' } }];
    expect(moves({ drains: [drain(A)] }, holding(WEB, {}))).toMatchObject(gone);
    expect(moves({ drains: [drain(A)] }, new Map())).toMatchObject(gone);
    const ended = { bootMs: 0, how: 'drained', held: { active: 0, inactive: 0, entries: 0, templates: 0 } } as const;
    expect(moves({ drains: [drain(A, { afterwards: 'keep', ended })] }, new Map())).toMatchObject(gone);
  });

  test('that is over and kept does nothing any more, whoever changes the weight', () => {
    const ended = { bootMs: 0, how: 'drained', held: { active: 0, inactive: 0, entries: 0, templates: 0 } } as const;
    const kept = drain(A, { afterwards: 'keep', ended });
    expect(moves({ drains: [kept] }, holding(WEB, { [A]: { weight: 5 } }), { nowMs: 99_000 })).toEqual([]);
  });

  test('is held by templates of a persistent service, unless the kernel lets them go', () => {
    const pinned = holding(WEB, { [A]: { templates: 1 } }, true);
    expect(moves({ drains: [drain(A)] }, pinned)).toEqual([]);
    expect(moves({ drains: [drain(A)] }, pinned, { quiescentExpire: true })).toMatchObject([{ ended: {} }]);
    // Of a service that was persistent once they pin nobody.
    expect(moves({ drains: [drain(A)] }, holding(WEB, { [A]: { templates: 1 } }))).toMatchObject([{ ended: {} }]);
  });
});

test('closed connections are looked for only at the deadline, and not among UDP', () => {
  const busy = { inactive: 1 };
  const late = (service: string, nowMs: number) => {
    const ledger = { drains: [drain(A, { service }), drain(B, { service })], ramps: [] };
    const services = holding(service, { [A]: busy, [B]: { active: 1 } });
    return lateDrains({ ledger, services, quiescentExpire: false, nowMs }).map(({ destination }) => destination);
  };
  expect(late(WEB, 59_999)).toEqual([]);
  expect(late(WEB, 60_000)).toEqual([A]);
  expect(late(DNS, 60_000)).toEqual([]);
});

test('only the removal of what UDP is sent to needs its connections ended', () => {
  const cuts = (service: string, counts: Counts, more: Partial<Drain> = {}) =>
    moves({ drains: [drain(A, { service, ...more })] }, holding(service, { [A]: counts }), { nowMs: 60_000 }).map(
      cutsSenders,
    );
  expect(cuts(DNS, { inactive: 1 })).toEqual([true]);
  expect(cuts(DNS, {})).toEqual([false]);
  expect(cuts(DNS, { inactive: 1 }, { afterwards: 'keep' })).toEqual([false]);
  expect(cuts(WEB, { active: 1, inactive: 1 })).toEqual([false]);
});

describe('a ramp', () => {
  const step = (weight: number, nowMs: number, more: Partial<Ramp> = {}) =>
    moves({ ramps: [ramp(A, more)] }, holding(WEB, { [A]: { weight } }), { nowMs }).map((move) => [
      move.type === 'ramp' && move.weight,
      move.operation?.type === 'destination.edit' && move.operation.destination.weight,
      move.ended,
    ]);

  test.each<[string, number, number, unknown[]]>([
    ['has the weight of its hour', 6, 50_000, []],
    ['grows', 5, 50_000, [[6, 6, undefined]]],
    ['is over with the whole', 9, 100_000, [[10, 10, 'full']]],
    ['is over where the whole is there already', 10, 200_000, [[10, false, 'full']]],
    ['takes nothing away when a clock is set back', 6, 0, []],
    ['leaves a 0 of somebody else alone', 0, 50_000, [[0, false, 'changed']]],
    ['leaves more than the whole alone', 11, 50_000, [[11, false, 'changed']]],
  ])('%s', (_, weight, nowMs, expected) => {
    expect(step(weight, nowMs)).toEqual(expected);
  });

  test('of weight 0 is over', () => {
    expect(step(0, 50_000, { weight: 0 })).toEqual([[0, false, 'full']]);
  });

  test('of what is gone, or drains, does nothing', () => {
    expect(moves({ ramps: [ramp(A)] }, new Map())).toMatchObject([{ ended: 'gone' }]);
    const both = { ramps: [ramp(A)], drains: [drain(A)] };
    expect(moves(both, holding(WEB, { [A]: { active: 1 } }), { nowMs: 50_000 })).toEqual([]);
  });
});

describe('the ledger afterwards', () => {
  const key = `${WEB} ${A}`;
  const before: Ledger = { ...ledgerFor('table', undefined), made: [key, WEB], drains: [drain(A)], ramps: [ramp(A)] };

  test('forgets what was deleted, and tells how it ended for an hour', () => {
    const after = ledgerAfter(before, moves(before, holding(WEB, { [A]: {} })), 1000);
    expect(after).toMatchObject({ made: [WEB], drains: [], ramps: [], ended: [{ ended: { how: 'drained' } }] });
    expect(ledgerAfter(after, [], 3_600_999).ended).toHaveLength(1);
    expect(ledgerAfter(after, [], 3_601_000).ended).toEqual([]);
  });

  test('keeps what stays at weight 0, as ended', () => {
    const kept = { ...before, drains: [drain(A, { afterwards: 'keep' })] };
    const after = ledgerAfter(kept, moves(kept, holding(WEB, { [A]: {} })), 1000);
    expect(after).toMatchObject({ made: [key, WEB], drains: [{ ended: { how: 'drained' } }], ended: [] });
  });

  test('is as before where the kernel refused', () => {
    const refused = moves(before, holding(WEB, { [A]: {} })).map((move) => ({
      ...move,
      error: new IpvsError('PERMISSION_DENIED'),
    }));
    expect(ledgerAfter(before, refused, 1000)).toEqual({ ...before, ended: [] });
  });
});

describe('laws', () => {
  const place = fc.constantFrom(A, B, '10.0.0.3:80');
  const drains = fc.uniqueArray(
    fc
      .record({
        destination: place,
        service: fc.constant(WEB),
        startedBootMs: fc.constant(0),
        deadlineBootMs: fc.integer({ min: 0, max: 100_000 }),
        afterwards: fc.constantFrom('delete', 'keep'),
        weight: fc.nat(9),
        by: fc.constantFrom('apply', 'verb'),
      })
      .map((each) => each as Drain),
    { selector: ({ destination }) => destination },
  );
  const ramps = fc.uniqueArray(
    fc
      .record({
        destination: place,
        service: fc.constant(WEB),
        startedBootMs: fc.integer({ min: -10_000, max: 10_000 }),
        durationSeconds: fc.integer({ min: 1, max: 100 }),
        floor: fc.double({ min: 0, max: 1, noNaN: true }),
        curve: fc.constantFrom('linear', 'exponential'),
        weight: fc.nat(1000),
      })
      .map((each) => each as Ramp),
    { selector: ({ destination }) => destination },
  );
  const table = fc
    .dictionary(
      place,
      fc.record({ weight: fc.nat(1000), active: fc.nat(1), inactive: fc.nat(1), templates: fc.nat(1) }),
    )
    .chain((counts) => fc.boolean().map((persistent) => holding(WEB, counts, persistent)));
  const given = fc.record({
    ledger: fc.record({ drains, ramps }),
    services: table,
    quiescentExpire: fc.boolean(),
    nowMs: fc.nat(100_000),
  });

  /** The table after the operations. */
  function after({ services }: StepInput, made: readonly DrainMove[]): StepInput['services'] {
    const [service] = services.values();
    if (service === undefined) return services;
    let { destinations } = service;
    for (const { operation } of made) {
      if (operation?.type === 'destination.delete')
        destinations = destinations.filter(({ address }) => address !== operation.destination);
      if (operation?.type === 'destination.edit') {
        const { address, weight } = operation.destination;
        destinations = destinations.map((each) => (each.address === address ? { ...each, weight } : each));
      }
    }
    return new Map([[WEB, { ...service, destinations }]]);
  }

  test('no weight exceeds the configured one, and what drains gets none', () => {
    fc.assert(
      fc.property(given, (input) => {
        for (const { type, operation, destination } of movesOf(input)) {
          if (operation?.type !== 'destination.edit') continue;
          const whole = input.ledger.ramps.find((each) => each.destination === destination)?.weight ?? 0;
          expect(operation.destination.weight).toBeLessThanOrEqual(type === 'ramp' ? whole : 0);
        }
      }),
    );
  });

  test('no drain outlives its deadline', () => {
    fc.assert(
      fc.property(given, (input) => {
        const ledger = { ...ledgerFor('table', undefined), ...input.ledger };
        for (const { ended, deadlineBootMs } of ledgerAfter(ledger, movesOf(input), input.nowMs).drains) {
          expect(ended !== undefined || deadlineBootMs > input.nowMs).toBe(true);
        }
      }),
    );
  });

  test('a second pass at the same moment ends at most what the first made empty', () => {
    fc.assert(
      fc.property(given, (input) => {
        const first = movesOf(input);
        const ledger = ledgerAfter({ ...ledgerFor('table', undefined), ...input.ledger }, first, input.nowMs);
        const second = movesOf({ ...input, ledger, services: after(input, first) });
        const quieted = new Set(first.filter(({ ended }) => ended === undefined).map(({ destination }) => destination));
        for (const move of second) expect(quieted.has(move.destination)).toBe(true);
      }),
    );
  });
});
