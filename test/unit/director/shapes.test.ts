/** What is read of the record has the shape that its users go by: whatever passes, they have no fault. */
import { expect, test } from 'vitest';
import { refusalBy } from '../../../src/base/errors.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { compared } from '../../../src/director/compare.ts';
import { describedKeys } from '../../../src/director/ownership.ts';
import { NOTHING_KNOWN } from '../../../src/engine/known.ts';
import { planOf, type Tables } from '../../../src/engine/plan.ts';
import { resources } from '../../../src/resources/all.ts';
import { chainsOf } from '../../../src/resources/rules.ts';
import { parseState } from '../../../src/state/document.ts';
import { type DesiredState, isDesiredState } from '../../../src/state/state.ts';
import { mutants } from '../../helpers/mutants.ts';

const whole = parseState(`
limits: { maxChange: 100%, maxWeightSteps: 1000 }
timeouts: { tcp: 10m, udp: 9m }
sync: [{ state: master, interface: eth0, id: 1, group: 224.0.0.99, port: 9000, ttl: 2, maxLength: 1400 }]
sysctls: { net.ipv4.vs.expire_nodest_conn: 1 }
defense: { preset: balanced }
masquerade: [{ source: 10.0.0.0/24, out: eth0, protocol: tcp, ports: 61000-61100, toSource: 192.0.2.10 }]
services:
  - name: web
    address: tcp://192.0.2.10:80
    interface: eth0
    scheduler: sh
    schedulerFlags: [sh-port]
    sourceNat: true
    rejectUnserved: true
    exclusive: true
    persistence: { timeout: 300s, netmask: 24 }
    drain: { timeout: 1h, then: keep }
    ramp: { duration: 1h, floor: 10%, curve: exponential }
    destinations: [{ address: 10.0.0.1 }]
  - { address: fwmark:7, match: [{ address: 192.0.2.10, in: eth0, protocol: tcp, ports: 80 }], destinations: [{ address: 10.0.0.1, forward: { tunnel: gue, port: 6080, checksum: csum } }] }
`);
const { defense } = whole;
// Its other levels are like the first.
const state: DesiredState = {
  ...whole,
  ...(defense && { defense: { ...defense, levels: defense.levels.slice(0, 1) } }),
};

const chains = chainsOf(state);
const [place = ''] = Object.keys(chains).filter((name) => chains[name]?.exists);

/** What the kernel holds. */
const held: Tables = {
  services: {
    services: state.services.map(({ service, destinations }) => ({
      ...service,
      destinations: destinations.map((each) => ({
        ...each,
        activeConnections: 0,
        inactiveConnections: 0,
        persistentConnections: 0,
      })),
    })),
  },
  timeouts: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 },
  sync: state.sync,
  sysctls: { 'net.ipv4.vs.expire_nodest_conn': '0', 'net.ipv4.ip_forward': '1' },
  defense: normalizePolicy('off'),
  addresses: [
    { interface: 'eth0', address: '192.0.2.10', prefixLength: 24 },
    { interface: 'eth0', address: '192.0.2.11', prefixLength: 24, isSecondary: true },
    { interface: 'eth0', address: '2001:db8::1', prefixLength: 64, lifetime: { preferredSeconds: 5, validSeconds: 9 } },
  ],
  routes: [
    {
      of: 'address 192.0.2.10/24 on eth0',
      isThere: true,
      route: {
        ...{ family: 'inet', destination: 'default', interface: 'eth0', gateway: '192.0.2.1', source: '192.0.2.10' },
        settings: { table: 254, protocol: 3, scope: 0, tos: 0, flags: 0, priority: 100, metrics: { mtu: 1400 } },
      },
    },
  ],
  rules: { ...chains, [place]: { ...chains[place], store: 'nft', copy: { ...chains[place], store: 'legacy' } } },
};
const none: Tables = {
  services: { services: [] },
  timeouts: null,
  sync: [],
  sysctls: {},
  defense: normalizePolicy('strict'),
  addresses: [],
  routes: null,
  rules: {},
};

const kept = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');

test.each(resources.map((resource) => [resource.name, resource] as const))('a kept table of %s', (name, resource) => {
  const keys = new Set([
    ...describedKeys(state),
    ...Object.keys(held['rules'] as object).map((each) => `chain ${each}`),
  ]);
  const look = (packed: unknown) => {
    const table = resource.unpack(packed, undefined);
    for (const other of [held[name], none[name]]) {
      resource.undo(table, other, keys);
      resource.undo(other, table, keys);
      resource.overlay(table, other, keys);
      resource.undo(resource.overlay(other, table, keys), other, keys);
    }
  };
  const packed = kept(resource.pack(held[name], undefined));
  expect(resource.isPacked(packed)).toBe(true);
  expect(resource.isPacked(kept(resource.pack(none[name], undefined)))).toBe(true);
  look(packed);
  let refused = 0;
  for (const mutant of mutants(packed)) {
    const value = kept(mutant);
    if (resource.isPacked(value)) refusalBy(() => look(value));
    else refused++;
  }
  expect(refused).toBeGreaterThan(10);
});

test('of services it says what is not as described', () => {
  const [services] = resources.filter(({ name }) => name === 'services');
  const packed = kept(services?.pack({ services: [] }, state));
  expect(packed).toEqual({ services: [], absent: ['tcp://192.0.2.10:80', 'fwmark:7'] });
  expect(services?.isPacked(packed)).toBe(true);
});

test('a kept line of iptables is one line', () => {
  const [rules] = resources.filter(({ name }) => name === 'rules');
  const chain = (text: string) => ({ [place]: { exists: true, lines: [text], jumps: 1 } });
  expect(rules?.isPacked(chain('-j ACCEPT'))).toBe(true);
  expect(rules?.isPacked(chain('-j ACCEPT\n-A INPUT -j DROP'))).toBe(false);
});

test('a kept desired state', () => {
  const look = (desired: DesiredState) => {
    planOf(resources, desired, NOTHING_KNOWN, held, { adopt: true, prune: true });
    planOf(resources, state, { ...NOTHING_KNOWN, applied: desired }, none, {});
    compared({ desired }, { desired: state });
    describedKeys(desired);
    for (const { pack, unpack, isPacked, name } of resources) {
      const packed = kept(pack(held[name], desired));
      expect(isPacked(packed)).toBe(true);
      unpack(packed, desired);
    }
  };
  expect(isDesiredState(kept(state))).toBe(true);
  look(state);
  let refused = 0;
  for (const mutant of mutants(state)) {
    const value = kept(mutant);
    if (isDesiredState(value)) refusalBy(() => look(value));
    else refused++;
  }
  expect(refused).toBeGreaterThan(300);
});
