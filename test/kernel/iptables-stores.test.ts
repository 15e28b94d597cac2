/** Rules of iptables beside those of its other store, and beside rules that it cannot show; nft.test.ts has the rest. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { natAbsence } from '../helpers/nat.ts';
import { rule, useStores, whole } from '../helpers/stores.ts';

const { described, ipvs, nft, held, run, file: fileNamed } = useStores(await natAbsence('nft'));

it('a table that others made unreadable after an apply is refused by drift and apply', async () => {
  const file = described(rule);
  expect((await ipvs(['apply', '--yes', file])).status).toBe(0);
  nft('add', 'rule', 'ip', 'nat', 'POSTROUTING', 'meta', 'random', '7', 'accept');
  const before = nft('list', 'ruleset');
  for (const words of [['drift'], ['apply', '--yes', described()]]) {
    const { status, stderr } = await ipvs(words);
    expect([status, stderr]).toEqual([1, expect.stringContaining('iptables does not show the whole table')]);
  }
  expect(nft('list', 'ruleset')).toBe(before);
});

it('a copy in the other store is drift, and both go with the file', async () => {
  const file = described(rule);
  const copy = () => run('iptables-legacy-restore', ['--noflush'], { input: `*nat\n${whole.join('\n')}\nCOMMIT\n` });
  expect((await ipvs(['apply', '--yes', file])).status).toBe(0);
  copy();
  expect((await ipvs(['drift'])).stdout).toMatch(
    /ours +masquerade 10\.0\.0\.0\/24 +also in the tables of iptables-legacy → removed there/,
  );
  expect((await ipvs(['apply', '--yes', file])).stdout).toContain('1 change made');
  expect([held('nft'), held('legacy')]).toEqual([whole, []]);
  copy();
  expect((await ipvs(['apply', '--yes', described()])).status).toBe(0);
  expect([held('nft'), held('legacy')]).toEqual([[], []]);
});

it('rules move to the store that is named, and back where a later step is refused', async () => {
  const legacy = { IPVS_DIRECTOR_IPTABLES: 'legacy' };
  expect((await ipvs(['apply', '--yes', described(rule)])).status).toBe(0);
  const file = fileNamed('refused.yaml');
  const service = { address: 'tcp://192.0.2.10:80', scheduler: 'nosuch' };
  writeFileSync(file, JSON.stringify({ services: [service], masquerade: [rule] }));
  expect((await ipvs(['apply', '--yes', file], legacy)).status).toBe(1);
  expect([held('nft'), held('legacy')]).toEqual([whole, []]);
  const { stdout } = await ipvs(['apply', '--yes', described(rule)], legacy);
  expect(stdout).toContain('in the tables of iptables-nft → in those of iptables-legacy');
  expect([held('nft'), held('legacy')]).toEqual([[], whole]);
});

it('looking makes no table, and loads no module', async () => {
  const modules = () =>
    readFileSync('/proc/modules', 'utf8')
      .match(/^ip6?table_\w+/gm)
      ?.toSorted() ?? [];
  const before = modules();
  for (const variant of ['nft', 'legacy'])
    expect(await ipvs(['masquerade', 'list'], { IPVS_DIRECTOR_IPTABLES: variant })).toMatchObject({
      status: 0,
      stdout: 'no rules\n',
    });
  expect(modules()).toEqual(before);
  expect(nft('list', 'ruleset')).toBe('');
  expect(run('sh', ['-c', 'cat /proc/net/ip_tables_names 2>/dev/null || true'])).toBe('');
});
