import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compared, type Side } from '../../../src/director/compare.ts';
import { describeChanges } from '../../../src/director/describe.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';

const file = (desired: DesiredState): Side => ({ desired });
/** A kernel that holds what the state describes. */
const kernel = (state: DesiredState, addresses: object[] | null = null): Side => ({
  tables: { ...tableOf(state), addresses },
});
const words = (a: Side, b: Side) => describeChanges(compared(a, b).changes).split('\n');

describe('what leads from one state to another', () => {
  const before = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 }, [DNS]: { '10.0.0.11': 1, '10.0.0.12': 2 } });
  const after = stateOf({ [WEB]: { '10.0.0.11': 4, '10.0.0.13': 1 }, 'fwmark:7': { '10.0.0.14': 1 } });

  test('is told as what the second has and the first has not, by service', () => {
    const told = [
      '+ fwmark:7  wrr',
      '    + 10.0.0.14:0  masquerade, weight 1',
      '  tcp://192.0.2.10:80',
      '    + 10.0.0.13:80  masquerade, weight 1',
      '    ~ 10.0.0.11:80  weight 3 → 4',
      '    - 10.0.0.12:80  masquerade, weight 1',
      '- udp://192.0.2.10:53  wrr',
      '    - 10.0.0.11:53  masquerade, weight 1',
      '    - 10.0.0.12:53  masquerade, weight 2',
      '3 added, 1 changed, 4 taken away',
    ];
    expect(words(file(before), file(after))).toEqual(told);
    expect(words(kernel(before), kernel(after))).toEqual(told);
    expect(words(kernel(before), file(after))).toEqual(told);
  });

  test('costs nothing, as nothing is done', () => {
    expect(compared(kernel(before), kernel(stateOf({}))).changes.flatMap(({ effects }) => effects)).toEqual([]);
  });

  test('is nothing where only settings differ that say how an apply goes', () => {
    const gentle = stateOf(
      { [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 }, [DNS]: { '10.0.0.11': 1, '10.0.0.12': 2 } },
      {
        name: 'web',
        exclusive: true,
        drain: { timeoutSeconds: 60, afterwards: 'delete' },
        ramp: { durationSeconds: 60, floor: 0, curve: 'linear' },
      },
    );
    expect(compared(file(before), file({ ...gentle, limits: { maxChange: 0 } }))).toEqual({
      changes: [],
      unchanged: 6,
    });
  });
});

describe('sections', () => {
  const web = stateOf({ [WEB]: {} });

  test('timeouts are compared where both say something', () => {
    const a = file({ ...web, timeouts: { tcpSeconds: 60, udpSeconds: 30 } });
    const b = file({ ...web, timeouts: { tcpSeconds: 90, tcpFinSeconds: 5 } });
    expect(words(a, b)[0]).toBe('~ timeouts  tcp 60s → 90s');
    expect(compared(a, file(web)).changes).toEqual([]);
    expect(words(a, kernel(web))[0]).toBe('~ timeouts  tcp 60s → 900s, udp 30s → 300s');
  });

  test('sync daemons are compared where both say something; one that is another is two changes', () => {
    const daemon = { state: 'master', interface: 'eth0', id: 1 } as const;
    const a = file({ ...web, sync: [daemon, { ...daemon, state: 'backup' }] });
    const b = kernel({ ...web, sync: [{ ...daemon, id: 2 }] });
    expect(words(a, b)).toEqual([
      '+ sync master  on eth0, id 2',
      '- sync master  on eth0, id 1',
      '- sync backup  on eth0, id 1',
      '1 added, 2 taken away',
    ]);
    expect(compared(file(web), b).changes).toEqual([]);
  });

  test('virtual addresses are compared where a file asks for them, or two kernels are looked at', () => {
    const described = file(stateOf({ [WEB]: {} }, { interface: 'eth0' }));
    const [on, off] = [kernel(web, [{ interface: 'eth0', address: '192.0.2.10', prefixLength: 32 }]), kernel(web, [])];
    expect(words(off, described)).toEqual([
      '  tcp://192.0.2.10:80',
      '    + 192.0.2.10/32 on eth0  virtual address',
      '1 added',
    ]);
    expect(words(on, off)[1]).toBe('    - 192.0.2.10/32 on eth0  virtual address');
    expect(compared(on, described).changes).toEqual([]);
    expect(compared(file(web), on).changes).toEqual([]);
    expect(compared(kernel(web), on).changes).toEqual([]);
  });
});

describe('for any two states', () => {
  const weights = fc.dictionary(fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3'), fc.nat({ max: 3 }));
  const services = fc.dictionary(fc.constantFrom(WEB, DNS, 'fwmark:7'), weights);
  const scheduler = fc.constantFrom('rr', 'wrr', 'sh');
  const states = fc.tuple(services, scheduler).map(([services, scheduler]) => stateOf(services, { scheduler }));
  const sides = fc.tuple(states, fc.boolean()).map(([state, held]) => (held ? kernel(state) : file(state)));

  test('a state does not differ from itself, whoever has it', () => {
    fc.assert(
      fc.property(states, (state) => {
        for (const [a, b] of [
          [file, file],
          [file, kernel],
          [kernel, file],
          [kernel, kernel],
        ] as const)
          expect(compared(a(state), b(state)).changes).toEqual([]);
      }),
    );
  });

  test('the way back takes away what the way there adds', () => {
    const keys = (a: Side, b: Side, verb: string) =>
      compared(a, b)
        .changes.flatMap((change) => (change.verb.startsWith(verb) ? [change.key] : []))
        .sort();
    fc.assert(
      fc.property(sides, sides, (a, b) => {
        expect(keys(a, b, 'delete')).toEqual(keys(b, a, 'add'));
        expect(keys(a, b, 'edit')).toEqual(keys(b, a, 'edit'));
      }),
    );
  });
});
