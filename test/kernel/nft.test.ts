/**
 * Masquerade rules in the tables of nft, which is what iptables is on a stock Debian: added, used by packets, deleted;
 * beside rules that iptables cannot show, and beside the tables of legacy.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { linesOf } from '../../src/iptables/rules/lines.ts';
import { normalizeMasquerade } from '../../src/iptables/rules/masquerade.ts';
import { type Gateway, mapped, outer, startGateway } from '../helpers/gateway.ts';
import { natAbsence } from '../helpers/nat.ts';
import { rule, useStores, whole } from '../helpers/stores.ts';

const absent = await natAbsence('nft');
let lab: Gateway;
let folder: string;
beforeAll(async () => {
  if (absent !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'ipvs-nft-'));
  lab = await startGateway();
});
afterAll(async () => {
  if (absent !== undefined) return;
  await lab.close();
  rmSync(folder, { recursive: true });
});

const environment = { IPVS_DIRECTOR_IPTABLES: 'nft' };

async function applied(masquerade: readonly object[]): Promise<string> {
  const file = join(folder, 'state.yaml');
  writeFileSync(file, JSON.stringify({ services: [], masquerade }));
  const { status, stdout, stderr } = await lab.gateway.ipvs(['--state-dir', folder, 'apply', '--yes', file], {
    environment,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

const ours = (program: string) =>
  lab.gateway
    .run(program, ['-t', 'nat'])
    .split('\n')
    .filter((line) => line.includes('IPVSD'));

describe('rules of nft', () => {
  beforeEach(({ skip }) => skip(absent !== undefined, absent));

  it('are there as iptables-nft prints them, and applied again nothing changes', async () => {
    const [ipv4, ipv6] = [
      { source: '10.0.0.0/24', out: 'out0', ports: '61000-61007' },
      { source: 'fd00::/64', out: 'out0', ports: '62000-62007' },
    ] as const;
    const rules = [ipv4, ipv6];
    await applied(rules);
    for (const [program, rule] of [
      ['iptables-nft-save', ipv4],
      ['ip6tables-nft-save', ipv6],
    ] as const) {
      const chain = ours(program).filter((line) => line.startsWith('-A IPVSD'));
      expect(chain.toSorted()).toEqual(
        linesOf(normalizeMasquerade(rule))
          .map((line) => `-A IPVSD-POSTROUTING ${line}`)
          .toSorted(),
      );
      expect(ours(program)).toContain('-A POSTROUTING -j IPVSD-POSTROUTING');
    }
    expect(await applied(rules)).toMatch(/^nothing to change/);
  });

  it('translate what leaves, in both families', () => {
    for (const [family, low] of [
      ['inet', 61_000],
      ['inet6', 62_000],
    ] as const) {
      const [tcp, udp, icmp] = lab.ask(['tcp', outer[family]], ['udp', outer[family]], ['icmp', outer[family]]);
      for (const seen of [tcp, udp]) {
        expect(seen?.[0]).toBe(mapped[family]);
        expect(seen?.[1]).toBeGreaterThanOrEqual(low);
        expect(seen?.[1]).toBeLessThanOrEqual(low + 7);
      }
      expect(icmp).toEqual([]);
    }
  });

  it('go without a trace', async () => {
    await applied([]);
    expect([ours('iptables-nft-save'), ours('ip6tables-nft-save')]).toEqual([[], []]);
  });
});

describe('what iptables cannot show, or shows elsewhere', () => {
  const { described, ipvs, nft, held, addNativeRules, legacyByDefault, run } = useStores(absent);

  it('a table with native rules is refused, and stays as it is; the other store is free', async () => {
    const file = described(rule);
    addNativeRules();
    const before = nft('list', 'ruleset');
    for (const words of [
      ['apply', '--yes', file],
      ['masquerade', 'add', '--source', '10.0.1.0/24'],
    ])
      expect(await ipvs(words)).toEqual({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^ipvs: read table nat of IPv4: iptables does not show the whole table: Table `nat' is incompatible, use 'nft' tool; .*"nft list table ip nat".*\n$/,
        ),
      });
    expect(nft('list', 'ruleset')).toBe(before);
    // In the other store nothing of ours can be hidden there.
    const legacy = { IPVS_DIRECTOR_IPTABLES: 'legacy' };
    expect(await ipvs(['apply', '--yes', file], legacy)).toMatchObject({ status: 0 });
    expect(nft('list', 'ruleset')).toBe(before);
    expect(held('legacy')).toEqual(whole);
  });

  it('a switch of the default moves nothing, and rules go from where they are', async () => {
    const file = described(rule);
    const switched = legacyByDefault();
    expect((await ipvs(['apply', '--yes', file])).status).toBe(0);
    expect(await ipvs(['apply', '--yes', file], switched)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^nothing to change/),
    });
    expect([held('nft'), run('cat', ['/proc/net/ip_tables_names'])]).toEqual([whole, '']);
    expect((await ipvs(['apply', '--yes', described()], switched)).status).toBe(0);
    expect(held('nft')).toEqual([]);
    // The new default is that of what comes now.
    expect((await ipvs(['apply', '--yes', described(rule)], switched)).status).toBe(0);
    expect([held('nft'), held('legacy')]).toEqual([[], whole]);
  });
});
