import { describe, expect, test } from 'vitest';
import type { IpvsError } from '../../../src/base/errors.ts';
import { compared } from '../../../src/director/compare.ts';
import { describePlan } from '../../../src/director/describe.ts';
import { differencesIn } from '../../../src/director/drift.ts';
import { withGuardEffects } from '../../../src/director/guard-effects.ts';
import { ownership } from '../../../src/director/ownership.ts';
import { addressesOf, targetedState, withNeededKeys } from '../../../src/director/targets.ts';
import { NOTHING_KNOWN } from '../../../src/engine/known.ts';
import { inPhases } from '../../../src/engine/plan.ts';
import type { DiffOptions, Known } from '../../../src/engine/resource.ts';
import { normalizeMasquerade } from '../../../src/iptables/rules/masquerade.ts';
import { nameOfRuleKey, ruleKey } from '../../../src/resources/rule-keys.ts';
import { chainsOf, type Rules, rulesResource } from '../../../src/resources/rules.ts';
import { wantedRules } from '../../../src/resources/wanted-rules.ts';
import { parseState } from '../../../src/state/document.ts';
import { type DesiredState, NOTHING_DESIRED } from '../../../src/state/state.ts';

const web = 'tcp://192.0.2.10:80';
const services = (...entries: readonly string[]) =>
  parseState(`services:\n${entries.map((each) => `  - ${each}\n`).join('')}`);
const one = services(
  `{ address: ${web}, sourceNat: true, rejectUnserved: true, destinations: [{ address: 10.0.0.11 }] }`,
);
const marked = services(
  '{ address: fwmark:7, sourceNat: true, match: [{ address: 192.0.2.10, protocol: [tcp, udp], ports: [8000-8010, 9000] }], destinations: [{ address: 10.0.0.11 }] }',
);
const plain = services(`{ address: ${web}, destinations: [{ address: 10.0.0.11 }] }`);

const known = (applied?: DesiredState): Known<DesiredState> => ({ ...NOTHING_KNOWN, applied });

function diff(desired: DesiredState, from: Known<DesiredState>, current: Rules, options: DiffOptions = {}) {
  const { changes, ...rest } = rulesResource.diff(desired, from, current, options);
  return {
    ...rest,
    changes: inPhases(changes).map(({ phase, verb, subject, of, cause }) => [phase, verb, subject, of, cause]),
  };
}

describe('what services come to', () => {
  test('their source addresses, marks, and guards of their addresses', () => {
    expect([...wantedRules(one).values()]).toEqual([
      { rule: { kind: 'sourceNat', service: web }, name: `source NAT ${web}`, of: web },
      {
        rule: { kind: 'guard', address: '192.0.2.10', tcp: ['80'], udp: [], sctp: [], marks: [] },
        name: 'guard 192.0.2.10',
        of: web,
      },
    ]);
    expect([...wantedRules(plain)]).toEqual([]);
  });

  test('a guard lets through what any service of its family may serve there', () => {
    const state = services(
      `{ address: ${web}, rejectUnserved: true }`,
      '{ address: tcp://192.0.2.10:81-83 }',
      '{ address: tcp://192.0.2.99:443 }',
      '{ address: udp://192.0.2.10:0, persistence: { timeout: 300s } }',
      '{ address: udp://192.0.2.10:53 }',
      '{ address: [fwmark:9, fwmark:7, fwmark:8/inet6] }',
    );
    expect(wantedRules(state).get('guard 192.0.2.10')?.rule).toEqual({
      kind: 'guard',
      address: '192.0.2.10',
      tcp: ['80-83'],
      udp: 'all',
      sctp: [],
      marks: [7, 9],
    });
  });

  test('of matches each family has its own', () => {
    const both = services(
      '{ address: [fwmark:7, fwmark:7/inet6], match: [{ address: [192.0.2.10, "2001:db8::1"] }, { in: eth0 }] }',
    );
    const matches = [...wantedRules(both).values()].map(({ rule }) => rule.kind === 'marks' && rule.matches);
    expect(matches).toEqual([
      [{ address: '192.0.2.10/32' }, { in: 'eth0' }],
      [{ address: '2001:db8::1/128' }, { in: 'eth0' }],
    ]);
  });

  test('keys name the rules', () => {
    for (const name of [`source NAT ${web}`, 'marks fwmark:7/inet6', 'guard 2001:db8::1', '10.0.0.0/24 out eth0'])
      expect(nameOfRuleKey(ruleKey(name))).toBe(name);
    for (const key of [
      web,
      `${web} 10.0.0.11:80`,
      'timeouts',
      'chain IPVSD-INPUT of IPv4',
      'address 192.0.2.10 on eth0',
    ])
      expect(nameOfRuleKey(key)).toBeUndefined();
  });
});

describe('a plan', () => {
  test('makes them in an order in which nothing is cut off, each with its service', () => {
    expect(diff(one, known(), chainsOf(NOTHING_DESIRED)).changes).toEqual([
      ['prepare', 'add source NAT', web, web, 'file'],
      ['publish', 'add guard', '192.0.2.10', web, 'file'],
    ]);
    expect(diff(marked, known(one), chainsOf(one)).changes).toEqual([
      ['prepare', 'add source NAT', 'fwmark:7', 'fwmark:7', 'file'],
      ['publish', 'add marks', 'fwmark:7', 'fwmark:7', 'file'],
      ['withdraw', 'delete source NAT', web, web, 'file'],
      ['withdraw', 'delete guard', '192.0.2.10', web, 'file'],
    ]);
  });

  test('a guard follows the services of its address', () => {
    const more: DesiredState = {
      services: [...one.services, ...services('{ address: tcp://192.0.2.10:81 }').services],
    };
    const { changes } = rulesResource.diff(more, known(one), chainsOf(one), {});
    expect(changes.map(({ phase, key, detail }) => [phase, key, detail])).toEqual([
      ['prepare', 'guard 192.0.2.10', 'refuses all but tcp 80 → refuses all but tcp 80-81'],
    ]);
    const targets = new Set(['tcp://192.0.2.10:81']);
    expect(rulesResource.diff(more, known(one), chainsOf(one), { targets }).changes.map(({ of }) => of)).toEqual([
      'tcp://192.0.2.10:81',
    ]);
  });

  test('leaves rules of inner networks alone where the file says nothing of them', () => {
    const inner = { services: [], masquerade: [normalizeMasquerade({ source: '10.0.0.0/24' })] };
    const both = chainsOf({ ...one, ...{ masquerade: inner.masquerade } });
    expect(diff(one, known(), both)).toEqual({ changes: [], unchanged: 2, conflicts: [], strays: [] });
    expect(diff(inner, known(one), both).changes.map(([, verb]) => verb)).toEqual([
      'delete source NAT',
      'delete guard',
    ]);
  });

  test('tells those whose service nobody described, and does not take one that differs', () => {
    expect(diff(NOTHING_DESIRED, known(), chainsOf(one)).strays.map(({ key, owner }) => [key, owner])).toEqual([
      [`${web} source NAT`, 'foreign'],
      ['guard 192.0.2.10', 'foreign'],
    ]);
    const other = services(`{ address: tcp://192.0.2.10:99, rejectUnserved: true }`);
    expect(diff(one, known(), chainsOf(other)).conflicts).toEqual([
      { resource: 'rules', subject: 'guard 192.0.2.10', of: web },
    ]);
  });

  test('says what it costs, and whom a guard cuts off', () => {
    const plan = rulesResource.diff(one, known(), chainsOf(NOTHING_DESIRED), {});
    const held = [web, 'tcp://192.0.2.10:8080', 'tcp://192.0.2.99:80', 'fwmark:7'].map((address) => ({ address }));
    const told = withGuardEffects(plan, one, { services: held } as unknown as Parameters<typeof withGuardEffects>[2]);
    expect(describePlan(told)).toBe(`  ${web}
    + source NAT  from an address of this host
          real servers see an address of this host instead of the client, from new connections on
    + guard 192.0.2.10  refuses all but tcp 80
          new connections to other ports of the address are refused, those to daemons of this host too
          cuts off what is not in the file: tcp://192.0.2.10:8080
2 to add; 0 unchanged`);
  });

  test('of what nobody looked at says nothing', () => {
    expect(diff(one, known(), null).changes).toEqual([]);
    expect(diff(one, known(), { 'IPVSD-INPUT of IPv4': { exists: false, lines: [], jumps: 0 } }).changes).toEqual([
      ['publish', 'add guard', '192.0.2.10', web, 'file'],
    ]);
  });
});

test('drift of each is ours, with its own words', () => {
  const flushed = rulesResource.diff(one, known(one), chainsOf(NOTHING_DESIRED), { adopt: true });
  expect(differencesIn(flushed, known(one)).differences).toMatchObject([
    { subject: `${web} source NAT`, of: web, kind: 'missing', owner: 'ours' },
    { subject: 'guard 192.0.2.10', of: web, kind: 'missing', owner: 'ours' },
  ]);
  const ownerOf = ownership(known(marked));
  expect(['fwmark:7 marks', 'fwmark:7 source NAT', 'guard 192.0.2.10'].map(ownerOf)).toEqual([
    'ours',
    'ours',
    'foreign',
  ]);
});

test('the way back makes the chains as they were', () => {
  const changes = rulesResource.undo(
    chainsOf(one),
    chainsOf(marked),
    new Set([`${web} source NAT`, 'fwmark:7 marks', web]),
  );
  expect(changes.map(({ operation }) => 'place' in operation && operation.place)).toEqual([
    'IPVSD-POSTROUTING of IPv4',
    'IPVSD-PREROUTING of IPv4',
  ]);
});

test('two states are compared by them', () => {
  const told = ({ changes }: ReturnType<typeof compared>) => changes.map(({ verb, key }) => `${verb}: ${key}`);
  expect(told(compared({ desired: plain }, { desired: one }))).toEqual([
    `add source NAT: ${web} source NAT`,
    'add guard: guard 192.0.2.10',
  ]);
  const more: DesiredState = { services: [...one.services, ...services('{ address: tcp://192.0.2.10:81 }').services] };
  expect(told(compared({ desired: one }, { desired: more }))).toContain('edit guard: guard 192.0.2.10');
  const held = {
    services: { services: one.services.map(({ service, destinations }) => ({ ...service, destinations })) },
    timeouts: null,
    sync: [],
    rules: chainsOf(one),
  };
  expect(compared({ tables: held }, { desired: one }).changes).toEqual([]);
  expect(told(compared({ tables: held }, { desired: plain }))).toEqual([
    'delete guard: guard 192.0.2.10',
    `delete source NAT: ${web} source NAT`,
  ]);
});

describe('what they need', () => {
  test('is set, for the families that there are', () => {
    expect(one.sysctls).toEqual({
      'net.ipv4.ip_forward': '1',
      'net.ipv4.vs.conntrack': '1',
      'net.ipv4.vs.snat_reroute': '1',
    });
    expect(services('{ address: fwmark:7, match: [{ in: eth0 }] }')).not.toHaveProperty('sysctls');
    const six = services('{ address: "tcp://[2001:db8::10]:80", sourceNat: true }');
    expect(Object.keys(six.sysctls ?? {})).toContain('net.ipv6.conf.all.forwarding');
  });

  test('goes with the service that is meant, as the file says it', async () => {
    const desired = { ...one, sysctls: { ...one.sysctls, 'net.ipv4.ip_forward': '0', 'net.ipv4.vs.pmtu_disc': '0' } };
    const targets = await addressesOf([web], desired, undefined, async function* () {});
    expect(targetedState(desired, undefined, targets).sysctls).toEqual({
      'net.ipv4.ip_forward': '0',
      'net.ipv4.vs.conntrack': '1',
      'net.ipv4.vs.snat_reroute': '1',
    });
    expect(withNeededKeys(targets, desired)).toEqual(
      new Set([web, ...Object.keys(one.sysctls ?? {}).map((name) => `sysctl ${name}`)]),
    );
    expect(targetedState(plain, undefined, new Set([web]))).not.toHaveProperty('sysctls');
  });
});

describe('a file', () => {
  test.each([
    [
      `{ address: ${web}, sourceNat: true, destinations: [{ address: 10.0.0.1 }, { address: 10.0.0.2, forward: direct }] }`,
      'services[0].sourceNat: only what is forwarded by masquerade can come from another address: 10.0.0.2:80 is not',
    ],
    [
      `{ address: ${web}, sourceNat: true, forward: tunnel, destinations: [{ address: 10.0.0.1 }] }`,
      'services[0].sourceNat: only what is forwarded by masquerade can come from another address: 10.0.0.1:80 is not',
    ],
    [
      '{ address: udp://192.0.2.10:53, sourceNat: true, onePacket: true }',
      'services[0].sourceNat: with onePacket there are no connections that could come from another address',
    ],
    [
      '{ address: fwmark:7, rejectUnserved: true }',
      'services[0].rejectUnserved: fwmark:7 has no address that could be guarded',
    ],
    [
      `{ address: [fwmark:7, ${web}], match: [{ in: eth0 }] }`,
      `services[0].match: only a service by firewall mark, fwmark:7, is matched; ${web} is none`,
    ],
    [
      '{ address: fwmark:7, match: [{ address: "2001:db8::1" }] }',
      'services[0].match: there is nothing of its address family for fwmark:7',
    ],
    [
      '{ address: fwmark:7, match: [{ address: 192.0.2.1 }, { address: "2001:db8::1" }] }',
      'services[0].match: 2001:db8::1/128 is not of the address family of fwmark:7',
    ],
    [
      '{ address: fwmark:7, match: [{ address: [192.0.2.1, 192.0.2.300] }] }',
      'services[0].match[0].address: malformed address: "192.0.2.300"',
    ],
    [
      '{ address: fwmark:7, match: [{ in: eth0, ports: 80 }] }',
      'services[0].match[0].ports: invalid match of a firewall mark: ports need a protocol; protocol: tcp',
    ],
    [`{ address: fwmark:7, match: [] }`, 'services[0].match: '],
    [
      `{ address: fwmark:7, match: [${Array(5)
        .fill(`{ address: [${Array(230).fill('10.0.0.1').join(', ')}] }`)
        .join(', ')}] }`,
      'services[0].match: it is more than 1024 rules of iptables',
    ],
  ])('%s is refused', (entry, line) => {
    expect(problems(`services: [${entry}]`)).toEqual([expect.stringContaining(line)]);
  });

  test('does not say of a packet that it has two marks', () => {
    const text = `services:
  - { address: fwmark:7, match: [{ address: 192.0.2.0/24, protocol: tcp, ports: 80-90 }, { in: eth1 }] }
  - { address: fwmark:8/inet6, match: [{ in: eth1 }] }
  - { address: fwmark:9, match: [{ address: 192.0.2.7, in: eth0, protocol: tcp, ports: [91, 85] }] }
`;
    expect(problems(text)).toEqual([
      'services[2].match[0]: 192.0.2.7/32 tcp 85 in eth0 meets 192.0.2.0/24 tcp 80-90 of fwmark:7, at s.yaml:2:34',
    ]);
  });

  test('does not say that iptables should not see what it is about', () => {
    expect(problems(`services: [{ address: ${web}, sourceNat: true }]\nsysctls: { conntrack: off }\n`)).toEqual([
      `sysctls: sourceNat of ${web} needs net.ipv4.vs.conntrack: 1`,
    ]);
    expect(problems(`services: [{ address: ${web} }]\nsysctls: { conntrack: off }\n`)).toEqual([]);
  });

  function problems(text: string): string[] {
    try {
      parseState(text, 's.yaml');
      return [];
    } catch (error) {
      return (error as IpvsError & { problems: { path: string; message: string }[] }).problems.map(
        ({ path, message }) => `${path}: ${message}`,
      );
    }
  }
});
