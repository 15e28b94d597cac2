import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Mapping } from '../../../src/conntrack/mapping.ts';
import { openPortMeter, PortMeter } from '../../../src/conntrack/port-meter.ts';
import { PortCount, shareOf } from '../../../src/conntrack/port-usage.ts';
import { type MasqueradeInput, normalizeMasquerade } from '../../../src/iptables/rules/masquerade.ts';

const addresses = new Map([
  ['eth0', new Set(['192.0.2.1'])],
  ['eth1', new Set(['198.18.0.1'])],
]);

function mapping(mapped: string, more: Partial<Mapping> = {}): Mapping {
  return {
    protocol: 'tcp',
    inner: '10.0.0.5:4711',
    outer: '198.51.100.9:443',
    mapped,
    state: 'ESTABLISHED',
    replied: true,
    assured: true,
    expiresSeconds: 1,
    mark: 0,
    id: 1,
    helper: null,
    ...more,
  };
}

function usages(rules: readonly MasqueradeInput[], mappings: readonly Mapping[]) {
  const count = new PortCount(rules.map(normalizeMasquerade), addresses);
  for (const each of mappings) count.add(each);
  return count.usages();
}

const source = '10.0.0.0/24';

describe('ports of a rule', () => {
  test('are taken for a protocol and an outer end: others have the same ports again', () => {
    const mappings = [
      mapping('192.0.2.1:61000'),
      mapping('192.0.2.1:61001', { inner: '10.0.0.6:4711' }),
      mapping('192.0.2.1:61000', { outer: '198.51.100.9:80' }),
      mapping('192.0.2.1:61000', { protocol: 'udp' }),
    ];
    const shared = { rule: source, mapped: '192.0.2.1', ports: '61000-61003' };
    expect(usages([{ source, ports: '61000-61003' }], mappings)).toEqual([
      { ...shared, protocol: 'tcp', outer: '198.51.100.9:443', used: 2, free: 2 },
      { ...shared, protocol: 'tcp', outer: '198.51.100.9:80', used: 1, free: 3 },
      { ...shared, protocol: 'udp', outer: '198.51.100.9:443', used: 1, free: 3 },
    ]);
  });

  test('of a balanced connection are taken at the server that it went to', () => {
    const [usage] = usages([{ source }], [mapping('192.0.2.1:61000', { server: '10.9.0.1:8443' })]);
    expect(usage).toMatchObject({ outer: '10.9.0.1:8443', ports: '1024-65535', used: 1, free: 64_511 });
  });

  test('belong to the rule of that interface, address or protocol', () => {
    const rules = [
      { source, out: 'eth0', protocol: 'udp' },
      { source, out: 'eth0' },
      { source, out: 'eth1' },
      { source: 'fd00::/64', toSource: '2001:db8::1' },
    ] as const;
    const named = (...mappings: Mapping[]) => usages(rules, mappings).map(({ rule }) => rule);
    expect(named(mapping('192.0.2.1:5000'))).toEqual([`${source} out eth0`]);
    expect(named(mapping('192.0.2.1:5000', { protocol: 'udp' }))).toEqual([`${source} out eth0 protocol udp`]);
    expect(named(mapping('198.18.0.1:5000'))).toEqual([`${source} out eth1`]);
    const ipv6 = { inner: '[fd00::5]:1', outer: '[2001:db8::9]:443' };
    expect(named(mapping('[2001:db8::1]:5000', ipv6), mapping('[2001:db8::2]:5000', ipv6))).toEqual(['fd00::/64']);
  });

  test.each([
    ['another network', mapping('192.0.2.1:61000', { inner: '10.0.1.5:4711' })],
    ['a port that is none of them', mapping('192.0.2.1:60999')],
    ['an address of no interface of ours', mapping('192.0.2.77:61000')],
    ['a protocol without ports', mapping('192.0.2.1', { protocol: 'icmp', inner: '10.0.0.5' })],
  ])('are not taken by %s', (_, each) => {
    expect(usages([{ source, out: 'eth0', ports: '61000-61003' }], [each])).toEqual([]);
  });

  test('of ICMP there are none', () => {
    expect(usages([{ source, protocol: 'icmp' }], [mapping('192.0.2.1:61000')])).toEqual([]);
  });

  test('that are used and free are the whole range, and those with the fewest left come first', () => {
    const port = fc.integer({ min: 61_000, max: 61_099 });
    fc.assert(
      fc.property(fc.uniqueArray(port), port, (ports, last) => {
        const mappings = ports.map((port) => mapping(`192.0.2.1:${port}`, { outer: `198.51.100.9:${(port % 3) + 1}` }));
        const found = usages([{ source, ports: `61000-${last}` }], mappings);
        for (const { used, free } of found) expect(used + free).toBe(last - 61_000 + 1);
        expect(found.reduce((sum, { used }) => sum + used, 0)).toBe(ports.filter((port) => port <= last).length);
        const shares = found.map(shareOf);
        expect(shares).toEqual(shares.toSorted((a, b) => b - a));
      }),
    );
  });
});

describe('a meter', () => {
  /** What tables hold at each look. */
  function meterOf(looks: readonly { readonly mappings: readonly Mapping[]; readonly insertFailed: number }[]) {
    let look = -1;
    const rule = normalizeMasquerade({ source, ports: '61000-61003' });
    const tables = {
      rules: {
        async list() {
          look++;
          return [
            { key: source, rule, flows: 0n },
            { key: '10.1.0.0/24', rule: null, flows: 0n },
          ];
        },
      },
      mappings: {
        async *list() {
          yield* looks[look]?.mappings ?? [];
        },
        utilisation: async () => ({ entries: 5, most: 1000 }),
        async statistics() {
          const zero = { found: 0, invalid: 0, error: 0, searchRestart: 0, clashResolve: 0, chainTooLong: 0 };
          const processor = { ...zero, drop: 0, earlyDrop: 0, insertFailed: looks[look]?.insertFailed ?? 0 };
          return [processor, { ...processor, insertFailed: 1 }];
        },
      },
      addresses: { list: async () => [] },
      release: async () => undefined,
    };
    return new PortMeter(tables, 0.75);
  }

  const taken = (number: number) => Array.from({ length: number }, (_, i) => mapping(`192.0.2.1:${61_000 + i}`));

  test('remembers the most, says what is scarce, and what failed since its last look', async () => {
    const meter = meterOf([
      { mappings: taken(3), insertFailed: 4 },
      { mappings: taken(4), insertFailed: 9 },
      { mappings: taken(1), insertFailed: 9 },
    ]);
    expect(await meter.look()).toMatchObject({
      ports: [{ used: 3, free: 1, peak: 3, state: 'scarce' }],
      entries: 5,
      most: 1000,
      failures: { insertFailed: 5, drop: 0, earlyDrop: 0 },
      newFailures: { insertFailed: 0, drop: 0, earlyDrop: 0 },
    });
    expect(await meter.look()).toMatchObject({
      ports: [{ used: 4, free: 0, peak: 4, state: 'exhausted' }],
      newFailures: { insertFailed: 5 },
    });
    expect(await meter.look()).toMatchObject({
      ports: [{ used: 1, free: 3, peak: 4, state: 'ample' }],
      newFailures: { insertFailed: 0 },
    });
  });

  test.each([0, 1.1, Number.NaN, '50%' as unknown as number])('refuses a share of %j', async (scarceShare) => {
    await expect(openPortMeter({ scarceShare })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });
});
