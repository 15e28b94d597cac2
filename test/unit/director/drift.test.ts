import { describe, expect, test } from 'vitest';
import { differencesIn } from '../../../src/director/drift.ts';
import { planOf } from '../../../src/engine/plan.ts';
import type { Known } from '../../../src/engine/resource.ts';
import { resources } from '../../../src/resources/all.ts';
import type { DesiredState } from '../../../src/state/state.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';
const web = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 } });

function drift(
  desired: DesiredState,
  kernel: DesiredState,
  more: Partial<Omit<Known<DesiredState>, 'made'>> = {},
  made: string[] = [],
) {
  const known = { applied: desired, leaving: new Set<string>(), weights: new Map(), ...more, made: new Set(made) };
  const plan = planOf(resources, desired, known, { ...tableOf(kernel), addresses: null }, { adopt: true });
  const { differences, foreign } = differencesIn(plan, known);
  return {
    foreign,
    told: differences.map(({ key, kind, owner, detail, pending }) =>
      [owner, kind, key, detail, ...(pending ? ['pending'] : [])].join(', '),
    ),
  };
}

describe('what differs', () => {
  test('nothing', () => expect(drift(web, web)).toEqual({ told: [], foreign: [] }));

  test('of ours: missing, changed, and what others put inside', () => {
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 9, '10.0.0.13': 1, '10.0.0.14': 1 } }, { scheduler: 'rr' });
    expect(drift(web, kernel, {}, [`${WEB} 10.0.0.14:80`]).told).toEqual([
      `ours, missing, ${WEB} 10.0.0.12:80, masquerade, weight 1`,
      `ours, changed, ${WEB}, scheduler rr → wrr`,
      `ours, changed, ${WEB} 10.0.0.11:80, weight 9 → 3`,
      `foreign, extra, ${WEB} 10.0.0.13:80, not described`,
      `verb, extra, ${WEB} 10.0.0.14:80, not described`,
    ]);
  });

  test('services of others are apart; those that verbs made are not', () => {
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 1 }, [DNS]: {}, 'fwmark:1': {} });
    expect(drift(web, kernel, {}, ['fwmark:1'])).toEqual({
      told: ['verb, extra, fwmark:1, not described'],
      foreign: [DNS],
    });
  });

  test('what drains or begins slowly is as it should be', () => {
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 1, '10.0.0.12': 1, '10.0.0.13': 0 } });
    const weights = new Map([[WEB, new Map([['10.0.0.11:80', 1]])]]);
    expect(drift(web, kernel, { leaving: new Set([`${WEB} 10.0.0.13:80`]), weights }).told).toEqual([]);
  });

  test('a sync daemon that is another one, and timeouts', () => {
    const sync = [{ state: 'master', interface: 'eth0', id: 1 }] as const;
    const desired: DesiredState = { services: [], sync, timeouts: { udpSeconds: 30 } };
    const kernel: DesiredState = {
      services: [],
      sync: [
        { ...sync[0], id: 2 },
        { ...sync[0], state: 'backup' },
      ],
    };
    expect(drift(desired, kernel).told).toEqual([
      'ours, changed, timeouts, udp 300s → 30s',
      'ours, changed, sync master, → on eth0, id 1',
      'foreign, extra, sync backup, not described',
    ]);
  });
});

describe('what differs from a file that was not applied', () => {
  test('is pending where the file changed, and drift where somebody did', () => {
    const file = stateOf({ [WEB]: { '10.0.0.11': 4, '10.0.0.12': 1, '10.0.0.15': 1 } });
    const kernel = stateOf({ [WEB]: { '10.0.0.11': 3, '10.0.0.12': 7 }, [DNS]: {} });
    const applied = { services: [...web.services, ...stateOf({ [DNS]: {} }).services] };
    expect(drift(file, kernel, { applied }).told).toEqual([
      `ours, missing, ${WEB} 10.0.0.15:80, masquerade, weight 1, pending`,
      `ours, changed, ${WEB} 10.0.0.12:80, weight 7 → 1`,
      `ours, changed, ${WEB} 10.0.0.11:80, weight 3 → 4, pending`,
      `ours, extra, ${DNS}, not described`,
    ]);
  });

  test('may be of others, as nothing was ever applied', () => {
    expect(drift(web, stateOf({ [WEB]: { '10.0.0.11': 1 } }), { applied: undefined }).told).toEqual([
      `ours, missing, ${WEB} 10.0.0.12:80, masquerade, weight 1, pending`,
      `foreign, changed, ${WEB} 10.0.0.11:80, weight 1 → 3, pending`,
    ]);
  });
});
