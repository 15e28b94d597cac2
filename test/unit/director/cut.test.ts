import { describe, expect, test } from 'vitest';
import { type CutTarget, cutOf, describeCut, heldWeight, restoredByApply } from '../../../src/director/cut.ts';
import type { Drain, Ramp } from '../../../src/record/ledger.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const [A, B] = ['10.0.0.1:80', '10.0.0.2:80'];

/** The service with the weight and the connections of its destinations. */
function held(counts: Readonly<Record<string, readonly [weight: number, active: number, inactive: number]>>) {
  const weights = Object.fromEntries(Object.entries(counts).map(([address, [weight]]) => [address, weight]));
  const [service] = tableOf(stateOf({ [WEB]: weights })).services.services;
  const destinations = (service?.destinations ?? []).map((destination) => {
    const [, activeConnections = 0, inactiveConnections = 0] = counts[destination.address] ?? [];
    return { ...destination, activeConnections, inactiveConnections };
  });
  return { destinations };
}

const remove = (destination?: string): CutTarget => ({
  action: 'delete',
  service: WEB,
  ...(destination !== undefined && { destination }),
});
const quiesce = (destination: string): CutTarget => ({ action: 'quiesce', service: WEB, destination });

describe('what a command cuts', () => {
  test.each<[string, CutTarget, Parameters<typeof held>[0], string[] | undefined]>([
    [
      'of a service, everything',
      remove(),
      { [A]: [1, 2, 0], [B]: [1, 10, 3] },
      ['deletes 2 destinations with it', 'cuts 12 active connections and 3 inactive connections'],
    ],
    ['of an empty service, nothing', remove(), {}, []],
    ['of a destination, its connections', remove(A), { [A]: [1, 1, 0], [B]: [1, 10, 3] }, ['cuts 1 active connection']],
    ['of an idle destination, nothing', remove(A), { [A]: [1, 0, 0], [B]: [1, 10, 3] }, []],
    [
      'of the last destination with a weight, the service',
      remove(A),
      { [A]: [1, 0, 0], [B]: [0, 10, 3] },
      [`takes the last weight of ${WEB}, which then refuses new connections`],
    ],
    [
      'of the last weight, too',
      quiesce(A),
      { [A]: [1, 4, 0], [B]: [0, 0, 0] },
      [`takes the last weight of ${WEB}, which then refuses new connections`, 'leaves 4 active connections open'],
    ],
    ['of a weight beside others, nothing', quiesce(A), { [A]: [1, 4, 0], [B]: [1, 0, 0] }, undefined],
    ['of a weight that is 0 already, nothing', quiesce(A), { [A]: [0, 4, 0], [B]: [0, 0, 0] }, undefined],
    ['of another edit, nothing', { ...quiesce(A), action: 'edit' }, { [A]: [1, 4, 0] }, undefined],
    ['of what is not there, nothing', remove(B), { [A]: [1, 4, 0] }, undefined],
  ])('%s', (_, target, counts, words) => {
    const cut = cutOf(target, held(counts));
    expect(cut && describeCut(target, cut)).toEqual(words);
  });
});

test('what a file describes comes back with the next apply', () => {
  const applied = stateOf({ [WEB]: { [A]: 3, [B]: 0 } });
  const warning = (target: CutTarget) => restoredByApply(target, applied, 'web.yaml');
  expect(warning(remove())).toBe('web.yaml describes it: the next apply creates it again');
  expect(warning(remove(A))).toBe('web.yaml describes it: the next apply creates it again');
  expect(warning(quiesce(A))).toBe('web.yaml describes it: the next apply sets its weight to 3 again');
  expect(warning(quiesce(B))).toBeUndefined();
  expect(warning(remove('10.0.0.9:80'))).toBeUndefined();
  expect(restoredByApply(remove(), { services: [] })).toBeUndefined();
});

test('a drain or a ramp goes on setting the weight', () => {
  const place = { service: WEB, destination: A };
  const drain: Drain = { ...place, startedBootMs: 0, deadlineBootMs: 1, afterwards: 'keep', weight: 3, by: 'verb' };
  const ramp: Ramp = { ...place, startedBootMs: 0, durationSeconds: 9, floor: 0.1, curve: 'linear', weight: 100 };
  const nothing = { active: 0, inactive: 0, entries: 0, templates: 0 };
  const ended = { ...drain, ended: { bootMs: 0, how: 'drained', held: nothing } } as const;
  expect(heldWeight({ drains: [drain], ramps: [] }, WEB, A)).toMatch(/^it drains: the next pass .* "ipvs drain cancel/);
  expect(heldWeight({ drains: [ended], ramps: [] }, WEB, A)).toMatch(/^it is drained: the next apply /);
  expect(heldWeight({ drains: [], ramps: [ramp] }, WEB, A)).toMatch(/^it ramps up to weight 100/);
  expect(heldWeight({ drains: [drain], ramps: [ramp] }, WEB, B)).toBeUndefined();
});
