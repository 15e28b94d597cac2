import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  closedAmong,
  type DestinationCounts,
  drainState,
  heldSum,
  maySendForever,
} from '../../../src/weights/drain-rule.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const MARK = 'fwmark:7';
const nothing = { active: 0, inactive: 0, entries: 0, templates: 0 };

function counts(activeConnections = 0, inactiveConnections = 0, persistentConnections = 0, weight = 0) {
  return { weight, activeConnections, inactiveConnections, persistentConnections };
}

function state(service: string, destination: DestinationCounts | undefined, more: object = {}) {
  return drainState({ drain: { service, deadlineBootMs: 1000 }, destination, pins: false, nowMs: 0, ...more });
}

describe('before the deadline', () => {
  test.each<[string, string, DestinationCounts, object, object]>([
    ['an established connection', WEB, counts(1), {}, { active: 1 }],
    ['connections that close', WEB, counts(0, 3), {}, { inactive: 3 }],
    ['connections that both sides have closed', WEB, counts(0, 3), { closed: 3 }, { inactive: 3 }],
    ['those of SCTP', 'sctp://192.0.2.10:80', counts(1, 1), {}, { active: 1, inactive: 1 }],
    ['entries of UDP, which the kernel counts as inactive', DNS, counts(0, 4), {}, { entries: 4 }],
    ['whatever carries the mark', MARK, counts(1, 2), {}, { active: 1, inactive: 2 }],
    ['templates, where they pin', WEB, counts(0, 0, 2), { pins: true }, { templates: 2 }],
    ['templates of UDP', DNS, counts(0, 1, 2), { pins: true }, { entries: 1, templates: 2 }],
  ])('%s holds it', (_, service, destination, more, held) => {
    const expected = { held: { ...nothing, ...held }, reason: 'held', over: false };
    expect(state(service, destination, more)).toEqual(expected);
  });

  test.each<[string, DestinationCounts, object, object]>([
    ['nothing', counts(), {}, { held: nothing, reason: 'drained', over: true }],
    ['templates that pin nobody', counts(0, 0, 2), {}, { held: nothing, reason: 'drained', over: true }],
    ['nothing as yet, with a weight', counts(0, 0, 0, 1), {}, { held: nothing, reason: 'held', over: false }],
  ])('%s', (_, destination, more, expected) => {
    expect(state(WEB, destination, more)).toEqual(expected);
  });
});

describe('at the deadline', () => {
  test.each<[string, string, DestinationCounts, object, object]>([
    ['what is held is counted', WEB, counts(2, 1), {}, { held: { active: 2, inactive: 1 }, reason: 'deadline' }],
    ['what both sides have closed is not', WEB, counts(2, 3), { closed: 2 }, { held: { active: 2, inactive: 1 } }],
    ['only such is drained', WEB, counts(0, 3), { closed: 3 }, { held: nothing, reason: 'drained' }],
    ['more closed than counted, as they change meanwhile', WEB, counts(0, 3), { closed: 9 }, { held: nothing }],
    ['entries have no end', DNS, counts(0, 3), { closed: 3 }, { held: { entries: 3 }, reason: 'deadline' }],
    ['nothing held, with a weight', WEB, counts(0, 0, 0, 1), {}, { held: nothing, reason: 'drained' }],
  ])('%s', (_, service, destination, more, expected) => {
    expect(state(service, destination, { nowMs: 1000, ...more })).toMatchObject({ ...expected, over: true });
  });
});

test('what is gone is over', () => {
  expect(state(WEB, undefined)).toEqual({ held: nothing, reason: 'gone', over: true });
});

test('only UDP goes on forever, and a mark may be of UDP', () => {
  const held = { active: 1, inactive: 1, entries: 0, templates: 1 };
  expect(maySendForever(WEB, held)).toBe(false);
  expect(maySendForever(MARK, held)).toBe(true);
  expect(maySendForever(MARK, { ...held, inactive: 0 })).toBe(false);
  expect(maySendForever(DNS, { ...nothing, entries: 1 })).toBe(true);
  expect(maySendForever(DNS, { ...nothing, templates: 1 })).toBe(false);
});

test('closed is what neither side says anything in any more', () => {
  expect(closedAmong({ states: { ESTABLISHED: 1, FIN_WAIT: 2, CLOSE_WAIT: 4, TIME_WAIT: 8, CLOSE: 16 } })).toBe(24);
});

describe('laws', () => {
  const count = fc.nat(5);
  const situation = fc.record({
    drain: fc.record({ service: fc.constantFrom(WEB, DNS, MARK), deadlineBootMs: fc.integer({ min: -5, max: 5 }) }),
    destination: fc.option(
      fc.record({
        weight: count,
        activeConnections: count,
        inactiveConnections: count,
        persistentConnections: count,
      }),
      { nil: undefined },
    ),
    pins: fc.boolean(),
    closed: count,
    nowMs: fc.integer({ min: -5, max: 5 }),
  });

  test('it always ends at its deadline', () => {
    fc.assert(
      fc.property(situation, (given) => {
        if (given.nowMs >= given.drain.deadlineBootMs) expect(drainState(given).over).toBe(true);
      }),
    );
  });

  test('before it never ends while something that counts is held, or while it has a weight', () => {
    fc.assert(
      fc.property(situation, (given) => {
        const { held, over } = drainState(given);
        if (given.nowMs >= given.drain.deadlineBootMs || given.destination === undefined) return;
        expect(over).toBe(heldSum(held) === 0 && given.destination.weight === 0);
        const { activeConnections, inactiveConnections, persistentConnections } = given.destination;
        const all = activeConnections + inactiveConnections + (given.pins ? persistentConnections : 0);
        expect(heldSum(held)).toBe(all);
      }),
    );
  });
});
