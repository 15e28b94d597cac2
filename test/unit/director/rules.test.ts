import { describe, expect, test } from 'vitest';
import { compared } from '../../../src/director/compare.ts';
import { differencesIn } from '../../../src/director/drift.ts';
import { nextLedger } from '../../../src/director/next-ledger.ts';
import { NOTHING_KNOWN } from '../../../src/engine/known.ts';
import type { DiffOptions, Known } from '../../../src/engine/resource.ts';
import type { Chain } from '../../../src/iptables/chain.ts';
import { type MasqueradeInput, normalizeMasquerade } from '../../../src/iptables/rules/masquerade.ts';
import { ledgerFor } from '../../../src/record/ledger.ts';
import { chainsOf, type Rules, rulesResource } from '../../../src/resources/rules.ts';
import { parseState } from '../../../src/state/document.ts';
import type { DesiredState } from '../../../src/state/state.ts';

const rules = (...inputs: readonly MasqueradeInput[]) => inputs.map(normalizeMasquerade);
const state = (...inputs: readonly MasqueradeInput[]): DesiredState => ({ services: [], masquerade: rules(...inputs) });
const held = (...inputs: readonly MasqueradeInput[]) => chainsOf(state(...inputs));
const NAT = 'IPVSD-POSTROUTING of IPv4';
const natOf = (chains: ReturnType<typeof held>) => chains[NAT] as Chain;
const known = (applied?: DesiredState, ...made: readonly string[]): Known<DesiredState> => ({
  ...NOTHING_KNOWN,
  applied,
  made: new Set(made),
});

const a = { source: '10.0.0.0/24', out: 'eth0', ports: '61000-65095' };
const b = { source: '10.0.1.0/24' };
const six = { source: 'fd00::/64' };

function diff(desired: DesiredState, from: Known<DesiredState>, current: Rules, options: DiffOptions = {}) {
  const { changes, ...rest } = rulesResource.diff(desired, from, current, options);
  return { ...rest, changes: changes.map(({ verb, subject, detail, cause }) => [verb, subject, detail, cause]) };
}

describe('a plan', () => {
  test('adds what is not there', () => {
    expect(diff(state(a, six), known(), held()).changes).toEqual([
      ['add masquerade', '10.0.0.0/24 out eth0', 'ports 61000-65095', 'file'],
      ['add masquerade', 'fd00::/64', 'any port', 'file'],
    ]);
  });

  test('has nothing to do where all is as described, whoever made it', () => {
    expect(diff(state(a, six), known(), held(a, six))).toEqual({
      changes: [],
      unchanged: 2,
      conflicts: [],
      strays: [],
    });
  });

  test('changes what is ours, and takes what left the file', () => {
    const was = state({ ...a, ports: '5000-5007' }, b);
    expect(diff(state(a), known(was), held({ ...a, ports: '5000-5007' }, b)).changes).toEqual([
      ['edit masquerade', '10.0.0.0/24 out eth0', 'ports 5000-5007 → ports 61000-65095', 'file'],
      ['delete masquerade', '10.0.1.0/24', 'left the file', 'file'],
    ]);
  });

  test('leaves what verbs and others made, unless it prunes', () => {
    const made = known(undefined, 'masquerade 10.0.1.0/24');
    const other = { source: '10.0.2.0/24' };
    expect(diff(state(a), made, held(a, b, other)).strays.map(({ key, owner }) => [key, owner])).toEqual([
      ['masquerade 10.0.1.0/24', 'verb'],
      ['masquerade 10.0.2.0/24', 'foreign'],
    ]);
    expect(diff(state(a), made, held(a, b, other), { prune: true }).changes).toHaveLength(2);
  });

  test('does not take a rule of others, unless it adopts', () => {
    const foreign = held({ ...a, ports: '5000-5007' });
    expect(diff(state(a), known(), foreign)).toMatchObject({
      changes: [],
      conflicts: [{ subject: 'masquerade 10.0.0.0/24 out eth0' }],
    });
    expect(diff(state(a), known(), foreign, { adopt: true }).changes).toHaveLength(1);
  });

  test('does nothing where the file says nothing, or nobody looked', () => {
    expect(diff({ services: [] }, known(state(a)), held(a)).changes).toEqual([]);
    expect(diff(state(a), known(), null).changes).toEqual([]);
  });

  test('with no rules takes all of ours', () => {
    expect(diff(state(), known(state(a)), held(a)).changes).toEqual([
      ['delete masquerade', '10.0.0.0/24 out eth0', 'left the file', 'file'],
    ]);
  });
});

describe('what somebody did to our chain', () => {
  const good = held(a, b);
  const chain = (change: Partial<Chain>): Rules => ({ ...good, [NAT]: { ...natOf(good), ...change } });
  const drift = (current: Rules) => diff(state(a, b), known(state(a, b)), current);

  test('flushed', () => {
    expect(drift(chain({ lines: [], jumps: 0 })).changes.map(([verb, , , cause]) => [verb, cause])).toEqual([
      ['add masquerade', 'drift'],
      ['add masquerade', 'drift'],
    ]);
  });

  test.each([
    [{ jumps: 0 }, 'nothing leads to it → POSTROUTING does'],
    [{ jumps: 3 }, 'POSTROUTING leads to it 3 times → once'],
    [{ lines: [...natOf(good).lines].reverse() }, 'another order → that of its rules'],
  ])('%#', (change, detail) => {
    const { changes } = drift(chain(change));
    expect(changes.at(-1)).toEqual(['set chain', 'IPVSD-POSTROUTING of IPv4', detail, 'drift']);
  });

  test('a line of one of our rules taken out', () => {
    expect(drift(chain({ lines: natOf(good).lines.slice(1) })).changes).toEqual([
      ['edit masquerade', '10.0.0.0/24 out eth0', 'altered → ports 61000-65095', 'drift'],
    ]);
  });

  test('a line of their own put in is told and stays', () => {
    const line = { text: '-s 10.9.0.0/24 -j RETURN', packets: 0n, bytes: 0n };
    expect(drift(chain({ lines: [line, ...natOf(good).lines] }))).toMatchObject({
      changes: [],
      strays: [{ key: 'chain IPVSD-POSTROUTING of IPv4: -s 10.9.0.0/24 -j RETURN', owner: 'foreign' }],
    });
  });

  test('an empty chain that was ours goes when no rules are left', () => {
    const left: Rules = { ...held(), [NAT]: { exists: true, lines: [], jumps: 1 } };
    expect(diff(state(), known(state(a)), left).changes).toEqual([
      ['set chain', 'IPVSD-POSTROUTING of IPv4', 'empty → removed', 'drift'],
    ]);
    expect(diff(state(), known(), left).changes).toEqual([]);
  });

  test('is ours in the drift', () => {
    const applied = known(state(a, b));
    const plan = rulesResource.diff(state(a, b), applied, chain({ jumps: 0 }), { adopt: true });
    expect(differencesIn(plan, applied).differences).toEqual([
      expect.objectContaining({ subject: 'chain IPVSD-POSTROUTING of IPv4', owner: 'ours', kind: 'changed' }),
    ]);
  });
});

describe('a copy of our rules in the other store', () => {
  const good = held(a, b);
  const inStore = (chain: Chain, store: 'nft' | 'legacy'): Chain => ({ ...chain, store });
  /** Both rules in nft, and `copied` in legacy. */
  const both = (...copied: readonly MasqueradeInput[]): Rules => ({
    ...good,
    [NAT]: { ...inStore(natOf(good), 'nft'), copy: inStore(natOf(held(...copied)), 'legacy') },
  });
  /** Nothing in the store that the user named, everything in the other one. */
  const moved: Rules = { ...held(), [NAT]: { ...natOf(held()), copy: inStore(natOf(good), 'legacy') } };

  test('is drift, and is removed there', () => {
    const { changes, unchanged } = diff(state(a, b), known(state(a, b)), both(a));
    expect(changes).toEqual([
      ['set masquerade', '10.0.0.0/24 out eth0', 'also in the tables of iptables-legacy → removed there', 'drift'],
    ]);
    expect(unchanged).toBe(1);
    const applied = known(state(a, b));
    const plan = rulesResource.diff(state(a, b), applied, both(a), { adopt: true });
    expect(differencesIn(plan, applied).differences).toEqual([
      expect.objectContaining({ subject: 'masquerade 10.0.0.0/24 out eth0', owner: 'ours', kind: 'changed' }),
    ]);
  });

  test('of a verb is drift too', () => {
    const made = known(undefined, 'masquerade 10.0.1.0/24', 'masquerade 10.0.0.0/24 out eth0');
    expect(diff(state(), made, both(b)).changes.map(([verb, subject]) => [verb, subject])).toEqual([
      ['set masquerade', '10.0.1.0/24'],
    ]);
  });

  test('moves where the store is named', () => {
    expect(diff(state(a, b), known(state(a, b)), moved).changes.map(([verb, , detail]) => [verb, detail])).toEqual([
      ['edit masquerade', 'in the tables of iptables-legacy → in those of iptables-nft'],
      ['edit masquerade', 'in the tables of iptables-legacy → in those of iptables-nft'],
    ]);
  });

  test('goes with what leaves the file', () => {
    for (const current of [moved, both(a, b)])
      expect(diff(state(), known(state(a, b)), current).changes.map(([verb]) => verb)).toEqual([
        'delete masquerade',
        'delete masquerade',
      ]);
  });

  test('of others stays, unless it is adopted', () => {
    expect(diff(state(a), known(), moved)).toMatchObject({
      changes: [],
      conflicts: [{ subject: 'masquerade 10.0.0.0/24 out eth0' }],
      strays: [{ key: 'masquerade 10.0.1.0/24', owner: 'foreign' }],
    });
    expect(diff(state(a), known(), moved, { adopt: true }).changes).toHaveLength(1);
  });

  test('that is empty goes, and lines of others in it are shown', () => {
    const line = { text: '-s 10.9.0.0/24 -j RETURN', packets: 0n, bytes: 0n };
    const withCopy = (lines: Chain['lines']): Rules => ({
      ...good,
      [NAT]: { ...inStore(natOf(good), 'nft'), copy: { exists: true, jumps: 1, lines, store: 'legacy' } },
    });
    expect(diff(state(a, b), known(state(a, b)), withCopy([])).changes).toEqual([
      ['set chain', 'IPVSD-POSTROUTING of IPv4', 'also in the tables of iptables-legacy, empty → removed', 'drift'],
    ]);
    expect(diff(state(a, b), known(state(a, b)), withCopy([line]))).toMatchObject({
      changes: [],
      strays: [{ key: 'chain IPVSD-POSTROUTING of IPv4 in the tables of iptables-legacy: -s 10.9.0.0/24 -j RETURN' }],
    });
  });

  test('is kept with the table, and comes back where a plan fails', () => {
    const current = both(a);
    expect(rulesResource.unpack(rulesResource.pack(current, undefined), undefined)).toEqual(current);
    const keys = new Set(['masquerade 10.0.0.0/24 out eth0']);
    const lines = (chains: ReturnType<typeof held>) => natOf(chains).lines.map(({ text }) => text);
    expect(rulesResource.undo(current, both(), keys)).toMatchObject([
      {
        operation: {
          type: 'chain.restore',
          store: 'nft',
          lines: lines(good),
          copy: { lines: lines(held(a)), jumps: 1 },
        },
      },
    ]);
    expect(rulesResource.undo(current, both(a), keys)).toEqual([]);
    const nft: Rules = { ...good, [NAT]: inStore(natOf(good), 'nft') };
    const legacy: Rules = { ...good, [NAT]: inStore(natOf(good), 'legacy') };
    expect(rulesResource.undo(legacy, nft, keys)).toMatchObject([{ operation: { store: 'legacy' } }]);
  });
});

describe('the way back', () => {
  test('makes the chain as it was, where it is not', () => {
    const keys = new Set(['masquerade 10.0.0.0/24 out eth0']);
    const [change] = rulesResource.undo(held(b), held(a, b), keys);
    expect(change).toMatchObject({
      key: 'masquerade 10.0.0.0/24 out eth0',
      operation: {
        type: 'chain.restore',
        place: NAT,
        jumps: 1,
        lines: natOf(held(b)).lines.map(({ text }) => text),
      },
    });
    expect(rulesResource.undo(held(b), held(b), keys)).toEqual([]);
    expect(rulesResource.undo(held(six), held(), keys)).toEqual([]);
    expect(rulesResource.undo(held(), held(a), new Set(['tcp://192.0.2.1:80']))).toEqual([]);
    expect(rulesResource.undo(null, held(a), keys)).toEqual([]);
  });
});

test('what is kept of a table has no counters, and comes back', () => {
  const chains = held(a, six);
  expect(rulesResource.unpack(rulesResource.pack(chains, undefined), undefined)).toEqual(chains);
  expect(rulesResource.pack(null, undefined)).toBeNull();
});

test('what a verb made and the file describes is ours by the file', () => {
  const ledger = {
    ...ledgerFor('t', undefined),
    made: ['masquerade 10.0.0.0/24 out eth0', 'masquerade 10.0.1.0/24', 'masquerade 10.0.2.0/24'],
  };
  const desired = state(a);
  const { changes } = rulesResource.diff(desired, known(), held(a, b), { prune: true });
  const applied = { id: 1, table: 't', at: '2026-01-01T00:00:00Z', desired: 'x', files: [], hosts: {} };
  expect(nextLedger(ledger, applied, desired, changes, { services: [] }).made).toEqual(['masquerade 10.0.2.0/24']);
});

test('two states are compared by their rules', () => {
  const { changes, unchanged } = compared({ desired: state(a, b) }, { desired: state({ ...a, ports: 7 }, six) });
  expect(changes.map(({ verb, subject, detail }) => [verb, subject, detail])).toEqual([
    ['add masquerade', 'fd00::/64', 'any port'],
    ['edit masquerade', '10.0.0.0/24 out eth0', 'ports 61000-65095 → ports 7'],
    ['delete masquerade', '10.0.1.0/24', 'any port'],
  ]);
  expect(unchanged).toBe(0);
  expect(compared({ desired: state(a) }, { desired: { services: [] } }).changes).toEqual([]);
});

describe('the section', () => {
  test('is canonical, and brings forwarding of its families', () => {
    const { masquerade, sysctls } = parseState(
      'services: []\nmasquerade:\n  - { source: 10.0.0.0/24, out: eth0, ports: 700 }\n  - { source: "FD00::/64", toSource: "2001:DB8::1" }\n',
    );
    expect(masquerade).toEqual(
      rules({ source: '10.0.0.0/24', out: 'eth0', ports: '700' }, { source: 'fd00::/64', toSource: '2001:db8::1' }),
    );
    expect(sysctls).toEqual({ 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1' });
  });

  test('leaves forwarding to who says something of it, and says nothing without rules', () => {
    const said = parseState('masquerade: [{ source: 10.0.0.0/24 }]\nsysctls: { net.ipv4.ip_forward: off }\n');
    expect(said.sysctls).toEqual({ 'net.ipv4.ip_forward': '0' });
    expect(parseState('services: []\nmasquerade: []\n')).toEqual({ services: [], masquerade: [] });
    expect(parseState('services: []\nmasquerade:\n')).toEqual({ services: [] });
  });

  test('tells all that is wrong, and where', () => {
    const text = `masquerade:
  - { source: 10.0.0.0/24 }
  - { source: 10.0.0.0/25, out: eth0 }
  - { source: 10.0.1.0/24, ports: 9-7 }
  - { source: 10.0.2.0/24, port: 7 }
  - { out: eth0 }
`;
    expect(() => parseState(text, 'g.yaml')).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        problems: [
          expect.objectContaining({
            line: 3,
            message: expect.stringContaining('10.0.0.0/25 out eth0 overlaps 10.0.0.0/24, at g.yaml:2:5;'),
          }),
          expect.objectContaining({
            line: 4,
            path: 'masquerade[2].ports',
            message: expect.stringContaining('ports 9-7 end before they begin; write 7-9'),
          }),
          expect.objectContaining({ line: 5, path: 'masquerade[3].port' }),
          expect.objectContaining({ line: 6, path: 'masquerade[4].source', message: 'it is missing' }),
        ],
      }),
    );
  });
});
