/** A namespace for each test whose tables of iptables are changed in both stores, nft and legacy. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach } from 'vitest';
import { makeNamespace, type TestNamespace } from './namespace.ts';

/** Our chain with the rule that `described(rule)` wants, as iptables-save prints it. */
export const whole = [
  ':IPVSD-POSTROUTING - [0:0]',
  '-A POSTROUTING -j IPVSD-POSTROUTING',
  '-A IPVSD-POSTROUTING -s 10.0.0.0/24 -m comment --comment "ipvsd: 10.0.0.0/24" -j MASQUERADE',
];
export const rule = { source: '10.0.0.0/24' };

/** Declares the hooks; where `absent` says why there is no NAT for nft, all tests skip. */
export function useStores(absent: string | undefined) {
  let namespace: TestNamespace;
  let records: string;
  beforeEach(({ skip }) => {
    skip(absent !== undefined, absent);
    namespace = makeNamespace('stores');
    records = mkdtempSync(join(tmpdir(), 'ipvs-stores-'));
    return () => {
      namespace.remove();
      rmSync(records, { recursive: true });
    };
  });

  function described(...masquerade: readonly object[]): string {
    const file = join(records, 'state.yaml');
    writeFileSync(file, JSON.stringify({ services: [], masquerade }));
    return file;
  }

  function ipvs(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    return namespace.ipvs(['--state-dir', records, ...args], { environment });
  }

  const nft = (...args: readonly string[]) => namespace.run('nft', args);
  const held = (store: 'nft' | 'legacy') =>
    namespace
      .run(`iptables-${store}-save`, ['-t', 'nat'])
      .split('\n')
      .filter((line) => line.includes('IPVSD'));

  function addNativeRules(): void {
    nft('add', 'table', 'ip', 'nat');
    nft('add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }');
    nft('add map ip nat m { type ipv4_addr : ipv4_addr; }');
    nft('add rule ip nat POSTROUTING snat to ip saddr map @m');
  }

  /** Where `iptables` is legacy, as after update-alternatives. */
  function legacyByDefault(): Readonly<Record<string, string>> {
    const programs = join(records, 'programs');
    mkdirSync(programs);
    for (const family of ['iptables', 'ip6tables'])
      for (const part of ['', '-save', '-restore']) {
        const real = execFileSync('sh', ['-c', `command -v ${family}-legacy${part}`], { encoding: 'utf8' }).trim();
        symlinkSync(real, join(programs, `${family}${part}`));
      }
    return { PATH: `${programs}:${process.env['PATH']}` };
  }

  return {
    described,
    ipvs,
    nft,
    held,
    addNativeRules,
    legacyByDefault,
    /** A file of the record's folder. */
    file: (name: string) => join(records, name),
    run: (program: string, args: readonly string[], options?: { readonly input: string }) =>
      namespace.run(program, args, options),
  };
}
