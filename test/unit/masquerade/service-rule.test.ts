import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../../src/iptables/chain.ts';
import { inOrder, linesOfRule, nameOf, placeOf, rulesIn } from '../../../src/iptables/rules/own-rule.ts';
import { describeServiceRule, readServiceRule, type ServiceRule } from '../../../src/iptables/rules/service-rule.ts';
import { rangesOf } from '../../../src/net/ports.ts';

const web = 'tcp://192.0.2.10:80';

/** As iptables-save 1.8.9 prints them, of nft and of legacy. */
test.each<[ServiceRule, place: string, lines: string[], words: string]>([
  [
    { kind: 'sourceNat', service: web },
    'nat inet',
    [
      `-p tcp -m ipvs --vaddr 192.0.2.10 --vport 80 --vmethod MASQ -m comment --comment "ipvsd: source NAT ${web}" -j MASQUERADE`,
    ],
    'from an address of this host',
  ],
  [
    { kind: 'sourceNat', service: 'udp://[2001:db8::10]:53' },
    'nat inet6',
    [
      '-p udp -m ipvs --vaddr 2001:db8::10 --vport 53 --vmethod MASQ -m comment --comment "ipvsd: source NAT udp://[2001:db8::10]:53" -j MASQUERADE',
    ],
    'from an address of this host',
  ],
  [
    { kind: 'sourceNat', service: 'tcp://192.0.2.10:0' },
    'nat inet',
    [
      '-p tcp -m ipvs --vaddr 192.0.2.10 --vmethod MASQ --vportctl 0 -m comment --comment "ipvsd: source NAT tcp://192.0.2.10:0" -j MASQUERADE',
    ],
    'from an address of this host',
  ],
  [
    { kind: 'sourceNat', service: 'fwmark:255/inet6' },
    'nat inet6',
    [
      '-m mark --mark 0xff -m ipvs --vmethod MASQ -m comment --comment "ipvsd: source NAT fwmark:255/inet6" -j MASQUERADE',
    ],
    'from an address of this host',
  ],
  [
    {
      kind: 'marks',
      service: 'fwmark:7',
      matches: [
        { address: '192.0.2.10/32', in: 'eth0', protocol: 'tcp', ports: '8000-8010' },
        { address: '192.0.2.0/24', protocol: 'sctp', ports: '9' },
        { in: 'eth0', protocol: 'udp' },
        { in: 'eth1' },
      ],
    },
    'mangle inet',
    [
      '-d 192.0.2.10/32 -i eth0 -p tcp -m tcp --dport 8000:8010 -m comment --comment "ipvsd: marks fwmark:7" -j MARK --set-xmark 0x7/0xffffffff',
      '-d 192.0.2.0/24 -p sctp -m sctp --dport 9 -m comment --comment "ipvsd: marks fwmark:7" -j MARK --set-xmark 0x7/0xffffffff',
      '-i eth0 -p udp -m comment --comment "ipvsd: marks fwmark:7" -j MARK --set-xmark 0x7/0xffffffff',
      '-i eth1 -m comment --comment "ipvsd: marks fwmark:7" -j MARK --set-xmark 0x7/0xffffffff',
    ],
    '192.0.2.10/32 tcp 8000-8010 in eth0, 192.0.2.0/24 sctp 9, udp in eth0, in eth1',
  ],
  [
    { kind: 'guard', address: '192.0.2.10', tcp: ['80', '8000-8010'], udp: 'all', sctp: [], marks: [7, 4_294_967_295] },
    'filter inet',
    [
      '-d 192.0.2.10/32 -m mark --mark 0x7 -m comment --comment "ipvsd: guard 192.0.2.10" -j RETURN',
      '-d 192.0.2.10/32 -m mark --mark 0xffffffff -m comment --comment "ipvsd: guard 192.0.2.10" -j RETURN',
      '-d 192.0.2.10/32 -p tcp -m tcp --dport 80 -m comment --comment "ipvsd: guard 192.0.2.10" -j RETURN',
      '-d 192.0.2.10/32 -p tcp -m tcp --dport 8000:8010 -m comment --comment "ipvsd: guard 192.0.2.10" -j RETURN',
      '-d 192.0.2.10/32 -p udp -m comment --comment "ipvsd: guard 192.0.2.10" -j RETURN',
      '-d 192.0.2.10/32 -p tcp -m conntrack --ctstate NEW -m comment --comment "ipvsd: guard 192.0.2.10" -j REJECT --reject-with tcp-reset',
      '-d 192.0.2.10/32 -p sctp -m conntrack --ctstate NEW -m comment --comment "ipvsd: guard 192.0.2.10" -j REJECT --reject-with icmp-port-unreachable',
    ],
    'refuses all but tcp 80 8000-8010, all of udp, fwmark 7, fwmark 4294967295',
  ],
  [
    { kind: 'guard', address: '2001:db8::10', tcp: [], udp: [], sctp: [], marks: [] },
    'filter inet6',
    ['tcp', 'udp', 'sctp'].map(
      (protocol) =>
        `-d 2001:db8::10/128 -p ${protocol} -m conntrack --ctstate NEW -m comment --comment "ipvsd: guard 2001:db8::10" -j REJECT --reject-with ${protocol === 'tcp' ? 'tcp-reset' : 'icmp6-port-unreachable'}`,
    ),
    'refuses everything',
  ],
])('%j', (rule, place, lines, words) => {
  const { chain, family } = placeOf(nameOf(rule));
  expect([`${chain.table} ${family}`, linesOfRule(rule), describeServiceRule(rule)]).toEqual([place, lines, words]);
  expect(rulesIn(lines.map((text) => ({ text }))).get(nameOf(rule))?.rule).toEqual(rule);
});

describe('laws', () => {
  const port = fc.integer({ min: 1, max: 0xffff });
  const service = fc.oneof(
    fc
      .tuple(fc.constantFrom('tcp', 'udp', 'sctp'), fc.constantFrom('192.0.2.10', '[2001:db8::10]'), fc.nat(0xffff))
      .map(([protocol, ip, number]) => `${protocol}://${ip}:${number}`),
    fc
      .tuple(fc.integer({ min: 1, max: 0xffff_ffff }), fc.constantFrom('', '/inet6'))
      .map(([mark, family]) => `fwmark:${mark}${family}`),
  );
  const ports = fc.oneof(fc.constant('all' as const), fc.array(port).map(rangesOf));
  const protocol = fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const);
  const match = fc.oneof(
    fc.record({ address: fc.constantFrom('192.0.2.0/24', '192.0.2.10/32'), in: fc.constantFrom('eth0', 'br.7') }),
    fc.record({ in: fc.constant('eth0'), protocol, ports: port.map(String) }),
    fc.record({ address: fc.constant('192.0.2.0/24'), protocol }),
  );
  const rule: fc.Arbitrary<ServiceRule> = fc.oneof(
    fc.record({ kind: fc.constant('sourceNat' as const), service }),
    fc.record({
      kind: fc.constant('marks' as const),
      service: fc.constant('fwmark:7'),
      matches: fc.array(match, { minLength: 1 }),
    }),
    fc.record({
      kind: fc.constant('guard' as const),
      address: fc.constantFrom('192.0.2.10', '2001:db8::10'),
      tcp: ports,
      udp: ports,
      sctp: ports,
      marks: fc.uniqueArray(fc.integer({ min: 1, max: 0xffff_ffff })),
    }),
  );

  test('lines read back are the rule, and each says whose it is', () => {
    fc.assert(
      fc.property(rule, (rule) => {
        const lines = linesOfRule(rule);
        expect(readServiceRule(nameOf(rule), lines)).toEqual(rule);
        for (const line of lines) expect(keyOf(line)).toBe(nameOf(rule));
      }),
    );
  });

  test('lines of which one is away, or that are those of another one, are no rule', () => {
    fc.assert(
      fc.property(rule, rule, fc.nat(), (rule, other, n) => {
        const lines = linesOfRule(rule);
        const rest = lines.toSpliced(n % lines.length, 1);
        const read = readServiceRule(nameOf(rule), rest);
        // Less of the same kind may be a rule; it is another one.
        if (read) expect(linesOfRule(read)).toEqual(rest);
        expect(read).not.toEqual(rule);
        if (nameOf(other) !== nameOf(rule)) expect(readServiceRule(nameOf(rule), linesOfRule(other))).toBeUndefined();
      }),
    );
  });

  test('ranges hold the ports and no others, and are the fewest', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 })), (some) => {
        const ranges = rangesOf(some).map((text) => text.split('-').map(Number));
        const held = ranges.flatMap(([low = 0, high = low]) =>
          Array.from({ length: high - low + 1 }, (_, i) => low + i),
        );
        expect(held).toEqual([...new Set(some)].sort((a, b) => a - b));
        for (const [i, [low = 0]] of ranges.entries()) expect(low - (ranges[i - 1]?.at(-1) ?? -9)).toBeGreaterThan(1);
      }),
    );
  });
});

test('rules of services are asked before those of inner networks', () => {
  const groups = ['10.0.0.0/24 out eth0 protocol tcp', 'source NAT fwmark:7', `source NAT ${web}`].map(
    (name) => [name, []] as const,
  );
  expect([...inOrder(new Map(groups)).keys()]).toEqual([
    'source NAT fwmark:7',
    `source NAT ${web}`,
    '10.0.0.0/24 out eth0 protocol tcp',
  ]);
});
