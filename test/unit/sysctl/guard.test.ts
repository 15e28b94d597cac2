import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { type GuardEvent, type GuardState, guardStep, guardSysctls } from '../../../src/sysctl/guard.ts';
import { SysctlTable } from '../../../src/sysctl/sysctl-table.ts';

const CONNTRACK = 'net.ipv4.vs.conntrack';
const MODE = 'net.ipv4.vs.drop_entry';
const wanted = { [CONNTRACK]: '1' };

/** What is written and told at each second, of what is seen then. */
function run(seen: readonly (string | undefined)[], name = CONNTRACK, value = '1'): string[] {
  let state: GuardState = new Map();
  return seen.map((each, second) => {
    const step = guardStep(state, { [name]: value }, new Map([[name, each]]), second * 1000);
    state = step.state;
    return step.writes.length > 0 ? 'write' : step.told.length > 0 ? 'tell' : '';
  });
}

describe('a step', () => {
  test('writes nothing while all is right', () => {
    expect(run(['1', '1', '1'])).toEqual(['', '', '']);
  });

  test('puts right at once what was changed once', () => {
    expect(run(['1', '0', '1', '1'])).toEqual(['', 'write', '', '']);
  });

  test('leaves what is changed again and again for a while, twice as long each time, and says so once', () => {
    expect(run(Array(16).fill('0'))).toEqual([
      ...['write', 'tell', 'write'],
      ...['tell', '', '', 'write'],
      ...['tell', '', '', '', '', '', '', 'write'],
      'tell',
    ]);
  });

  test('forgets that when it held as long as it would have had to wait', () => {
    expect(run(['0', '1', '1', '1', '1', '1', '1', '1', '0', '0'])).toEqual([
      'write',
      ...Array(7).fill(''),
      'write',
      'tell',
    ]);
  });

  test('tells once that a setting is gone, and sets it when it is there again', () => {
    expect(run(['1', undefined, undefined, '0'])).toEqual(['', 'tell', '', 'write']);
  });

  test('goes on as it was after one that could not be read', () => {
    let { state } = guardStep(new Map(), wanted, new Map([[CONNTRACK, '0']]), 0);
    for (const nowMs of [1000, 2000]) {
      const step = guardStep(state, wanted, new Map(), nowMs);
      expect(step).toEqual({ state, writes: [], told: [] });
      state = step.state;
    }
    expect(guardStep(state, wanted, new Map([[CONNTRACK, '0']]), 2000).writes).toEqual([CONNTRACK]);
  });

  test('takes the phases of a mode for one setting', () => {
    expect(run(['1', '2', '1', '3'], MODE)).toEqual(['', '', '', 'write']);
  });

  test('never writes what is right or not there, nor one setting twice within two seconds', () => {
    const values = fc.array(fc.constantFrom('0', '1', undefined), { maxLength: 100 });
    fc.assert(
      fc.property(values, (seen) => {
        const done = run(seen);
        const writes = done.flatMap((what, second) => (what === 'write' ? [second] : []));
        for (const [i, second] of writes.entries()) {
          expect(seen[second]).toBe('0');
          if (i > 0) expect(second - (writes[i - 1] as number)).toBeGreaterThanOrEqual(2);
        }
      }),
    );
  });
});

describe('a guard', () => {
  test('tells what was changed, from, to and when; goes on after refusals; and ends when it is told', async () => {
    const values = new Map([[CONNTRACK, '0']]);
    let refusing = true;
    const table = new SysctlTable({
      read(name) {
        const value = values.get(name);
        if (value === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { subject: name });
        return value;
      },
      write(name, value) {
        if (refusing) throw new IpvsError('SYSCTL_FAILED', { subject: name, errno: 13 });
        values.set(name, value);
      },
      interfaces: () => [],
      loadModule: () => true,
    });
    const stop = new AbortController();
    const events: GuardEvent[] = [];
    let nowMs = 0;
    await guardSysctls(table, () => wanted, {
      intervalMs: 1,
      signal: stop.signal,
      now: () => nowMs,
      onEvent(event) {
        events.push(event);
        refusing = false;
        nowMs += 60_000;
        if (event.outcome === 'restored') stop.abort();
      },
    });
    expect(values.get(CONNTRACK)).toBe('1');
    expect(events).toEqual([
      {
        name: CONNTRACK,
        from: '1',
        to: '0',
        noticedAt: '1970-01-01T00:00:00.000Z',
        outcome: 'refused',
        times: 1,
        error: expect.any(IpvsError),
      },
      { name: CONNTRACK, from: '1', to: '0', noticedAt: '1970-01-01T00:01:00.000Z', outcome: 'restored', times: 2 },
    ]);
  });

  test('tells once that a setting cannot be read, and never takes it for one that is gone', async () => {
    let looks = 0;
    const table = new SysctlTable({
      read(name) {
        looks++;
        if (looks <= 2) throw new IpvsError('SYSCTL_FAILED', { subject: name, errno: 13 });
        return looks === 3 ? '0' : '1';
      },
      write: () => undefined,
      interfaces: () => [],
      loadModule: () => true,
    });
    const stop = new AbortController();
    const events: GuardEvent[] = [];
    await guardSysctls(table, () => wanted, {
      intervalMs: 1,
      signal: stop.signal,
      onEvent(event) {
        events.push(event);
        if (event.outcome !== 'unreadable') stop.abort();
      },
    });
    expect(events).toMatchObject([
      { name: CONNTRACK, from: '1', to: null, outcome: 'unreadable', error: { code: 'SYSCTL_FAILED' } },
      { name: CONNTRACK, from: '1', to: '0', outcome: 'restored' },
    ]);
  });
});
