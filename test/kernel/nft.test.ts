/** Masquerade rules in the tables of nft, which is what iptables is on a stock Debian: added, used by packets, deleted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { normalizeMasquerade } from '../../src/masquerade/rule.ts';
import { linesOf } from '../../src/masquerade/rule-lines.ts';
import { type Gateway, mapped, outer, startGateway } from '../helpers/gateway.ts';
import { natAbsence } from '../helpers/nat.ts';

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
