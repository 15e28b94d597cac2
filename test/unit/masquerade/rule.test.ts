import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linesOf, ruleOf } from '../../../src/iptables/rules/lines.ts';
import {
  conflictOf,
  describeAction,
  formatMatch,
  type MasqueradeInput,
  type MasqueradeRule,
  masqueradeProtocols,
  normalizeMasquerade,
  parseMatch,
} from '../../../src/iptables/rules/masquerade.ts';
import { inOrder, rulesIn } from '../../../src/iptables/rules/own-rule.ts';

const sources = ['10.0.0.0/24', '10.1.0.0/16', '10.0.0.7/32', '0.0.0.0/0', 'fd00::/64', '2001:db8::7/128', '::/0'];

const rule: fc.Arbitrary<MasqueradeRule> = fc
  .record(
    {
      source: fc.constantFrom(...sources),
      out: fc.constantFrom('eth0', 'bond0.100', 'veth_a-1@2', 'lo'),
      protocol: fc.constantFrom(...masqueradeProtocols),
      ports: fc.tuple(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 65535 })),
      randomFully: fc.boolean(),
      toSource: fc.boolean(),
    },
    { requiredKeys: ['source'] },
  )
  .map(({ ports, toSource, ...rest }) => {
    const range = ports && `${Math.min(...ports)}-${Math.max(...ports)}`;
    return normalizeMasquerade({
      ...rest,
      ...(rest.protocol !== 'icmp' && range !== undefined && { ports: range }),
      ...(toSource && { toSource: rest.source.includes(':') ? '2001:db8::1' : '192.0.2.1' }),
    });
  });

describe('laws', () => {
  test('a rule is what its lines say', () => {
    fc.assert(
      fc.property(rule, (rule) => {
        expect(ruleOf(formatMatch(rule), linesOf(rule))).toEqual(rule);
      }),
    );
  });

  test('what a rule is called says what it is about', () => {
    fc.assert(
      fc.property(rule, ({ source, out, protocol }) => {
        const match = { source, ...(out !== undefined && { out }), ...(protocol !== undefined && { protocol }) };
        expect(parseMatch(formatMatch(match))).toEqual(match);
      }),
    );
  });

  test('a canonical rule stays as it is', () => {
    fc.assert(
      fc.property(rule, (rule) => {
        expect(normalizeMasquerade(rule)).toEqual(rule);
      }),
    );
  });

  test('lines that somebody altered are no rule', () => {
    fc.assert(
      fc.property(rule, fc.nat(), (rule, at) => {
        const lines = linesOf(rule);
        const altered = lines.map((line, i) => (i === at % lines.length ? line.replace(' -j ', ' -m mark -j ') : line));
        expect(ruleOf(formatMatch(rule), altered)).toBeUndefined();
        expect(ruleOf(formatMatch(rule), [...lines, lines[0] as string])).toBeUndefined();
      }),
    );
  });

  test('two rules conflict in both directions or in none, and each with itself', () => {
    fc.assert(
      fc.property(rule, rule, (a, b) => {
        expect(conflictOf(a, b) === undefined).toBe(conflictOf(b, a) === undefined);
        expect(conflictOf(a, a)).toBeDefined();
      }),
    );
  });

  test('the order of rules follows from which there are', () => {
    fc.assert(
      fc.property(fc.uniqueArray(rule, { selector: formatMatch }), (rules) => {
        const groups = (some: readonly MasqueradeRule[]) =>
          new Map(some.map((each) => [formatMatch(each), linesOf(each)]));
        const order = [...inOrder(groups(rules))];
        expect([...inOrder(groups([...rules].reverse()))]).toEqual(order);
        expect([...rulesIn(order.flatMap(([, lines]) => lines.map((text) => ({ text })))).keys()]).toEqual(
          order.map(([key]) => key),
        );
      }),
    );
  });
});

test.each<[MasqueradeInput, string[]]>([
  [{ source: '10.0.0.0/24' }, ['-s 10.0.0.0/24 -m comment --comment "ipvsd: 10.0.0.0/24" -j MASQUERADE']],
  [
    { source: '10.0.0.0/24', out: 'eth0', ports: '61000-65095', randomFully: true },
    [
      ...['tcp', 'udp', 'sctp'].map(
        (protocol) =>
          `-s 10.0.0.0/24 -o eth0 -p ${protocol} -m comment --comment "ipvsd: 10.0.0.0/24 out eth0" -j MASQUERADE --to-ports 61000-65095 --random-fully`,
      ),
      '-s 10.0.0.0/24 -o eth0 -m comment --comment "ipvsd: 10.0.0.0/24 out eth0" -j MASQUERADE --random-fully',
    ],
  ],
  [
    { source: 'fd00::/64', protocol: 'icmp', toSource: '2001:DB8:0::1' },
    ['-s fd00::/64 -p ipv6-icmp -m comment --comment "ipvsd: fd00::/64 protocol icmp" -j SNAT --to-source 2001:db8::1'],
  ],
  [
    { source: '::/0', protocol: 'tcp', ports: 700, toSource: '2001:db8::1' },
    ['-p tcp -m comment --comment "ipvsd: ::/0 protocol tcp" -j SNAT --to-source [2001:db8::1]:700'],
  ],
])('%j becomes lines as iptables-save prints them', (input, lines) => {
  expect(linesOf(normalizeMasquerade(input))).toEqual(lines);
});

test.each<[object, string, string]>([
  [{}, 'INVALID_MASQUERADE', 'it names no inner network'],
  [{ source: '10.0.0.1/24' }, 'INVALID_ADDRESS', 'bits behind its prefix'],
  [{ source: '224.0.0.0/8' }, 'INVALID_MASQUERADE', 'no host has an address of'],
  [{ source: 'ff00::/16' }, 'INVALID_MASQUERADE', 'no host has an address of'],
  [{ source: '::ffff:0:0/96' }, 'INVALID_MASQUERADE', 'no host has an address of'],
  [{ source: '10.0.0.0/24', ports: '65095-61000' }, 'INVALID_MASQUERADE', 'ports 65095-61000 end before they begin'],
  [{ source: '10.0.0.0/24', ports: '0-5' }, 'INVALID_MASQUERADE', 'ports "0-5"'],
  [{ source: '10.0.0.0/24', ports: '70000-5' }, 'INVALID_MASQUERADE', 'ports "70000-5"'],
  [{ source: '10.0.0.0/24', ports: '1-2-3' }, 'INVALID_MASQUERADE', 'ports "1-2-3"'],
  [{ source: '10.0.0.0/24', ports: 1.5 }, 'INVALID_MASQUERADE', 'ports 1.5'],
  [{ source: '10.0.0.0/24', ports: '5-6', protocol: 'icmp' }, 'INVALID_MASQUERADE', 'icmp has no ports'],
  [{ source: '10.0.0.0/24', protocol: 'gre' }, 'INVALID_PROTOCOL', '"gre"'],
  [{ source: '10.0.0.0/24', toSource: '2001:db8::1' }, 'INVALID_MASQUERADE', 'of different address families'],
  [{ source: '10.0.0.0/24', toSource: '0.0.0.0' }, 'INVALID_MASQUERADE', 'no address of a host'],
  [{ source: '10.0.0.0/24', toSource: '192.0.2.1-192.0.2.9' }, 'INVALID_ADDRESS', '192.0.2.1-192.0.2.9'],
  [{ source: '10.0.0.0/24', out: 'eth+' }, 'INVALID_MASQUERADE', 'interface "eth+"'],
  [{ source: '10.0.0.0/24', out: 'a"b' }, 'INVALID_MASQUERADE', 'interface'],
  [{ source: '10.0.0.0/24', out: '-j' }, 'INVALID_MASQUERADE', 'interface "-j"'],
  [{ source: '10.0.0.0/24', out: 'a\nCOMMIT' }, 'INVALID_MASQUERADE', 'interface'],
  [{ source: '10.0.0.0/24', randomFully: 'yes' }, 'INVALID_OPTION', 'randomFully'],
  [{ source: '10.0.0.0/24', port: 7 }, 'INVALID_OPTION', 'has no "port"'],
])('%j is refused: %s', (input, code, words) => {
  expect(() => normalizeMasquerade(input as MasqueradeInput)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(words) }),
  );
});

describe('rules together', () => {
  const conflict = (a: string, b: string) => conflictOf(parseMatch(a), parseMatch(b))?.message;

  test.each([
    ['10.0.0.0/24', '10.0.1.0/24'],
    ['10.0.0.0/24 out eth0', '10.0.0.0/25 out eth1'],
    ['10.0.0.0/24 protocol tcp', '10.0.0.0/25 protocol udp'],
    ['10.0.0.0/24', '10.0.0.0/24 protocol tcp'],
    ['10.0.0.0/24 out eth0', '10.0.0.0/24 out eth0 protocol udp'],
    ['0.0.0.0/0', 'fd00::/64'],
  ])('%s and %s can stand together', (a, b) => {
    expect(conflict(a, b)).toBeUndefined();
  });

  test.each([
    ['10.0.0.0/24', '10.0.0.128/25'],
    ['10.0.0.0/24', '10.0.0.128/25 out eth0'],
    ['10.0.0.0/24 out eth0', '10.0.0.0/24 protocol tcp'],
    ['0.0.0.0/0', '10.0.0.0/24'],
  ])('%s and %s cannot', (a, b) => {
    expect(conflict(a, b)).toBe(`invalid masquerade rule: ${a} overlaps ${b}`);
  });

  test('the same twice cannot', () => {
    expect(conflict('10.0.0.0/24', '10.0.0.0/24')).toContain('two rules for 10.0.0.0/24');
  });

  test('the special one is asked first', () => {
    const names = [
      '10.0.0.0/24',
      '10.0.0.0/24 out eth0',
      '10.0.0.0/24 protocol tcp',
      '10.0.0.0/24 out eth0 protocol tcp',
    ];
    const groups = new Map(names.map((name) => [name, linesOf(parseMatch(name))]));
    expect([...inOrder(groups).keys()]).toEqual([
      '10.0.0.0/24 out eth0 protocol tcp',
      '10.0.0.0/24 protocol tcp',
      '10.0.0.0/24 out eth0',
      '10.0.0.0/24',
    ]);
  });
});

test('what a rule does, in words', () => {
  const words = (input: Omit<MasqueradeInput, 'source'>) =>
    describeAction(normalizeMasquerade({ source: '10.0.0.0/24', ...input }));
  expect(words({})).toBe('any port');
  expect(words({ ports: '61000-65095', randomFully: true, toSource: '192.0.2.1' })).toBe(
    'ports 61000-65095, at random, from 192.0.2.1',
  );
});
