import { describe, expect, test } from 'vitest';
import { foreignKeys, ownership, ownServices, touched } from '../../../src/director/ownership.ts';
import type { Drain, Ledger, Ramp } from '../../../src/record/ledger.ts';
import { stateOf, tableOf } from '../../helpers/states.ts';

const WEB = 'tcp://192.0.2.10:80';
const DNS = 'udp://192.0.2.10:53';

describe('whose a key is', () => {
  const applied = {
    ...stateOf({ [WEB]: { '10.0.0.11': 1 } }),
    sync: [{ state: 'master', interface: 'eth0', id: 0 }] as const,
    timeouts: { udpSeconds: 30 },
  };
  const ownerOf = ownership({ applied, made: new Set([`${WEB} 10.0.0.12:80`, DNS, 'sync backup']) });

  test.each([
    [WEB, 'ours'],
    [`${WEB} 10.0.0.11:80`, 'ours'],
    [`${WEB} 10.0.0.12:80`, 'verb'],
    [`${WEB} 10.0.0.13:80`, 'foreign'],
    [DNS, 'verb'],
    [`${DNS} 10.0.0.11:53`, 'foreign'],
    ['sync master', 'ours'],
    ['sync backup', 'verb'],
    ['timeouts', 'ours'],
  ])('%s: %s', (key, owner) => expect(ownerOf(key)).toBe(owner));

  test('nothing is ours where nothing is known', () => {
    expect(ownership({ applied: undefined, made: new Set() })(WEB)).toBe('foreign');
  });

  test('what is foreign of services, and which services are ours in whole or in part', () => {
    const { services } = tableOf(
      stateOf({ [WEB]: { '10.0.0.11': 1, '10.0.0.13': 1 }, [DNS]: {}, 'fwmark:1': {} }),
    ).services;
    expect(foreignKeys(services, ownerOf)).toEqual([`${WEB} 10.0.0.13:80`, 'fwmark:1']);
    const made = new Set([`${DNS} 10.0.0.11:53`, 'sync master']);
    expect([...ownServices({ applied, made })]).toEqual([WEB, DNS]);
  });
});

describe('the ledger after a verb', () => {
  const times = { startedBootMs: 0, deadlineBootMs: 1000 };
  const drain: Drain = {
    service: WEB,
    destination: '10.0.0.11:80',
    ...times,
    afterwards: 'keep',
    weight: 1,
    by: 'verb',
  };
  const ramp: Ramp = {
    service: DNS,
    destination: '10.0.0.12:53',
    startedBootMs: 0,
    durationSeconds: 9,
    floor: 0,
    curve: 'linear',
    weight: 1,
  };
  const ledger: Ledger = {
    version: 1,
    table: 'a',
    applied: null,
    made: [WEB, `${WEB} 10.0.0.11:80`, DNS, 'sync master'],
    drains: [drain],
    ramps: [ramp],
    nextId: 1,
  };

  test('has what the verb made, once', () => {
    expect(touched(ledger, { makes: ['fwmark:1', DNS] }).made).toEqual([...ledger.made, 'fwmark:1']);
  });

  test('has no more what it took, a service with all that belongs to it', () => {
    expect(touched(ledger, { takes: [WEB] })).toEqual({ ...ledger, made: [DNS, 'sync master'], drains: [] });
    expect(touched(ledger, { takes: [`${DNS} 10.0.0.12:53`] })).toEqual({ ...ledger, ramps: [] });
  });

  test('does not take a service for another whose address begins alike', () => {
    const longer = { ...ledger, made: [`${WEB}80`], drains: [] };
    expect(touched(longer, { takes: [WEB] })).toBe(longer);
  });

  test('has no service after a flush; sync daemons go on', () => {
    expect(touched(ledger, { takes: 'all services' })).toEqual({
      ...ledger,
      made: ['sync master'],
      drains: [],
      ramps: [],
    });
  });

  test('is the same where nothing is new', () => {
    expect(touched(ledger, {})).toBe(ledger);
    expect(touched(ledger, { makes: [WEB], takes: ['fwmark:9'] })).toBe(ledger);
  });
});
