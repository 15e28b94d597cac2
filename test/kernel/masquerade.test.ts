/** Masquerade rules, on a real kernel: iptables-save as a witness, packets as the proof. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDirector } from '../../src/director/director.ts';
import { placeName } from '../../src/iptables/chain.ts';
import { KernelRuleHost } from '../../src/iptables/host.ts';
import { MasqueradeTable } from '../../src/iptables/masquerade-table.ts';
import { openMasquerade } from '../../src/iptables/open.ts';
import { linesOf } from '../../src/iptables/rules/lines.ts';
import { type MasqueradeInput, normalizeMasquerade } from '../../src/iptables/rules/masquerade.ts';
import type { RuleResult } from '../../src/iptables/rules/operation.ts';
import { masquerade, placeOf } from '../../src/iptables/rules/own-rule.ts';
import { native } from '../../src/kernel/native.ts';
import { cli } from '../helpers/cli.ts';
import { type Gateway, mapped, outer, second, startGateway } from '../helpers/gateway.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';
import { natAbsence } from '../helpers/nat.ts';

/** Many starts of the command, where a kernel is emulated. */
vi.setConfig({ testTimeout: 400_000 });

let namespace: TestNamespace;
let folder: string;

beforeEach(() => {
  namespace = makeNamespace('masquerade');
  folder = mkdtempSync(join(tmpdir(), 'ipvs-masquerade-'));
});
afterEach(() => {
  namespace.remove();
  rmSync(folder, { recursive: true });
});

const absent = await natAbsence('auto');

function ipvs(...args: readonly string[]) {
  return namespace.ipvs(['--state-dir', folder, ...args]);
}

function described(masquerade: readonly object[], more: object = {}): string {
  const file = join(folder, 'state.yaml');
  writeFileSync(file, JSON.stringify({ services: [], masquerade, ...more }));
  return file;
}

/** What iptables-save prints, without what tells the time. */
function saved(program = 'iptables-save', ...args: readonly string[]): string[] {
  return namespace
    .run(program, args)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function ours(program?: string): string[] {
  return saved(program, '-t', 'nat').filter((line) => line.includes('IPVSD'));
}

const rule = { source: '10.0.0.0/24', out: 'lo', ports: '61000-65095' };
const JUMP = '-A POSTROUTING -j IPVSD-POSTROUTING';

describe('rules', () => {
  beforeEach(({ skip }) => skip(absent !== undefined, absent));

  test('stand as iptables-save prints them, all that there may be', async () => {
    using table = await openMasquerade({ netns: namespace.name });
    const inputs = [
      { source: '10.0.0.0/24' },
      { source: '10.0.1.0/24', out: 'lo', ports: '61000-65095', randomFully: true },
      { source: '10.0.2.0/24', protocol: 'icmp', toSource: '192.0.2.1' },
      { source: '10.0.3.0/24', protocol: 'sctp', ports: 700, toSource: '192.0.2.1', randomFully: true },
      { source: '10.0.4.7', toSource: '192.0.2.1', ports: '1-65535' },
      { source: '0.0.0.0/0', out: 'lo', protocol: 'udp' },
      { source: 'fd00::/64', protocol: 'icmp' },
      { source: 'fd01::/64', ports: '5000-6000', toSource: '2001:db8::1' },
      { source: 'fd02::7', toSource: '2001:db8::1', randomFully: true },
      { source: '::/0', out: 'lo', protocol: 'tcp', ports: '61000-65095' },
    ] as const;
    const apart = inputs.filter(({ source }) => source !== '0.0.0.0/0' && source !== '::/0');
    const rulesOf = (some: readonly MasqueradeInput[]) => some.map(normalizeMasquerade);
    const added = (some: readonly MasqueradeInput[]) =>
      table.execute(rulesOf(some).map((rule) => ({ type: 'rule.add', rule: masquerade(rule) })));
    const deleted = async () =>
      table.execute(
        (await table.list()).map(({ key }) => ({ type: 'rule.delete', place: placeName(placeOf(key)), name: key })),
      );
    const failed = (results: readonly RuleResult[]) => results.filter(({ error }) => error);
    expect(failed(await added(apart))).toEqual([]);
    for (const program of ['iptables-save', 'ip6tables-save']) {
      const isIpv6 = program === 'ip6tables-save';
      const lines = apart
        .filter(({ source }) => source.includes(':') === isIpv6)
        .flatMap((each) => linesOf(normalizeMasquerade(each)));
      expect(
        ours(program)
          .filter((line) => line.startsWith('-A IPVSD'))
          .sort(),
      ).toEqual(lines.map((line) => `-A IPVSD-POSTROUTING ${line}`).sort());
    }
    const listed = (await table.list()).map(({ rule }) => rule);
    expect(listed).toHaveLength(apart.length);
    expect(listed).toEqual(expect.arrayContaining(apart.map(normalizeMasquerade)));
    expect(failed(await deleted())).toEqual([]);
    const whole = inputs.filter(({ source }) => source.endsWith('/0'));
    expect(failed(await added(whole))).toEqual([]);
    expect((await table.list()).map(({ rule }) => rule)).toEqual(whole.map(normalizeMasquerade));
    expect(failed(await deleted())).toEqual([]);
    expect([ours(), ours('ip6tables-save')]).toEqual([[], []]);
  });

  test('of others stay byte for byte, with their counters; and ours go without a trace', async () => {
    const many = Array.from({ length: 150 }, (_, i) => i);
    const foreign = [
      '*nat',
      ...many.map((i) => `:FOREIGN-${i} - [0:0]`),
      ...many.map(
        (i) =>
          `[${i}:${i * 60}] -A POSTROUTING -s 10.${i}.0.0/16 -m comment --comment "rule \\"${i}\\" of others" -j FOREIGN-${i}`,
      ),
      ...many.map(
        (i) =>
          `[${i}:${i}] -A FOREIGN-${i} -d 198.51.100.${i}/32 -p tcp -m tcp --dport ${i + 1} -j SNAT --to-source 192.0.2.${i}`,
      ),
      'COMMIT',
      '*filter',
      ...many.map((i) => `[${i}:7] -A FORWARD -s 10.${i}.0.0/16 -i lo -m mark --mark 0x${i.toString(16)} -j ACCEPT`),
      'COMMIT\n',
    ].join('\n');
    namespace.run('iptables-restore', ['--counters'], { input: foreign });
    const before = saved('iptables-save', '-c');
    expect(before.length).toBeGreaterThan(600);
    const file = described([rule, { source: '10.0.1.0/24', toSource: '192.0.2.1' }]);
    expect(await ipvs('apply', '--yes', file)).toMatchObject({ status: 0 });
    expect(saved('iptables-save', '-c').filter((line) => !line.includes('IPVSD'))).toEqual(before);
    expect(ours()).toHaveLength(7);
    expect(ours()[1]).toBe(JUMP);
    const applied = saved('iptables-save', '-c');
    expect((await ipvs('apply', '--yes', file)).stdout).toMatch(/^nothing to change/);
    expect(saved('iptables-save', '-c')).toEqual(applied);
    expect(await ipvs('apply', '--yes', described([]))).toMatchObject({ status: 0 });
    expect(saved('iptables-save', '-c')).toEqual(before);
  });

  test('are planned with forwarding, applied, verified, compared, watched, mended and undone', async () => {
    const both = [rule, { source: 'fd00::/64' }];
    const file = described(both);
    expect(await ipvs('plan', file)).toMatchObject({
      status: 2,
      stdout: [
        '~ sysctl net.ipv4.ip_forward  0 → 1',
        '      masquerade needs it: inner hosts are forwarded',
        '      sets some settings of all interfaces to those of a router, or of a host; an undo does not bring back what single ones had',
        '~ sysctl net.ipv6.conf.all.forwarding  0 → 1',
        '      masquerade needs it: inner hosts are forwarded',
        '      router advertisements are not taken any more, but where accept_ra is 2',
        '      sets forwarding of all interfaces; an undo does not bring back what single ones had',
        '+ masquerade 10.0.0.0/24 out lo  ports 61000-65095',
        '+ masquerade fd00::/64  any port',
        '2 to add, 2 to change; 0 unchanged\n',
      ].join('\n'),
    });
    expect(saved('iptables-save', '-t', 'nat').filter((line) => line.includes('IPVSD'))).toEqual([]);
    expect((await ipvs('apply', '--yes', file)).stdout).toContain('4 changes made');
    expect((await ipvs('plan', file)).stdout).toBe('nothing to change; 4 unchanged\n');
    expect((await ipvs('diff', 'kernel', '1')).stdout).toContain('no change');

    namespace.run('iptables', ['-t', 'nat', '-F']);
    namespace.run('ip6tables', ['-t', 'nat', '-D', 'POSTROUTING', '1']);
    const drift = await ipvs('drift');
    expect(drift.status).toBe(2);
    expect(drift.stdout).toMatch(/ours +masquerade 10\.0\.0\.0\/24 out lo +missing: ports 61000-65095/);
    expect(drift.stdout).toMatch(/ours +chain IPVSD-POSTROUTING of IPv6 +nothing leads to it → POSTROUTING does/);
    expect((await ipvs('apply', '--yes', file)).stdout).toContain('2 changes made');
    expect((await ipvs('drift')).stdout).toBe('nothing differs\n');

    const changed = described([{ ...rule, ports: '20000-20007' }]);
    const { stdout } = await ipvs('apply', '--yes', changed);
    expect(stdout).toContain('~ masquerade 10.0.0.0/24 out lo  ports 61000-65095 → ports 20000-20007');
    expect(stdout).toContain('- masquerade fd00::/64  left the file');
    expect(ours('ip6tables-save')).toEqual([]);
    expect((await ipvs('undo', '--yes')).status).toBe(0);
    expect((await ipvs('plan', described(both))).stdout).toMatch(/^nothing to change/);

    expect((await ipvs('undo', '1', '--yes')).status).toBe(0);
    expect([ours(), ours('ip6tables-save')]).toEqual([[], []]);
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  test('that somebody altered, doubled or put in our chain are seen, and only ours mended', async () => {
    const file = described([rule, { source: '10.0.1.0/24' }]);
    await ipvs('apply', '--yes', file);
    const [whole = []] = [ours()];
    const change = (...args: readonly string[]) => namespace.run('iptables', ['-t', 'nat', ...args]);
    change('-D', 'IPVSD-POSTROUTING', '1');
    change('-I', 'IPVSD-POSTROUTING', '-s', '10.9.0.0/24', '-j', 'RETURN');
    change('-A', 'POSTROUTING', '-j', 'IPVSD-POSTROUTING');
    const { stdout } = await ipvs('drift');
    expect(stdout).toMatch(/ours +masquerade 10\.0\.0\.0\/24 out lo +altered → ports 61000-65095/);
    expect(stdout).toMatch(/foreign +chain IPVSD-POSTROUTING of IPv4: -s 10\.9\.0\.0\/24 -j RETURN +not described/);
    expect(stdout).toMatch(/ours +chain IPVSD-POSTROUTING of IPv4 +POSTROUTING leads to it 2 times → once/);
    expect((await ipvs('apply', '--yes', file)).status).toBe(0);
    const foreign = '-A IPVSD-POSTROUTING -s 10.9.0.0/24 -j RETURN';
    expect(ours().filter((line) => line !== foreign)).toEqual(whole);
    expect(ours()).toContain(foreign);
  });

  test('of a verb and of the file live together; what is foreign is not taken', async () => {
    expect((await ipvs('masquerade', 'add', '--source', '10.0.1.0/24')).stdout).toBe('added 10.0.1.0/24  any port\n');
    await ipvs('apply', '--yes', described([rule]));
    expect(ours().filter((line) => line.includes('ipvsd: 10.0.1.0/24'))).toHaveLength(1);
    expect((await ipvs('drift')).stdout).toMatch(/verb +masquerade 10\.0\.1\.0\/24 +not described/);
    const listed = JSON.parse((await ipvs('masquerade', 'list', '--json')).stdout);
    expect(listed).toEqual({
      rules: [
        { key: '10.0.0.0/24 out lo', ...rule, flows: 0 },
        { key: '10.0.1.0/24', source: '10.0.1.0/24', flows: 0 },
      ],
    });
    // A record that is lost leaves nothing that is ours.
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    const other = described([{ ...rule, ports: '7000-7007' }]);
    expect(await ipvs('apply', '--yes', other)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('somebody else'),
    });
    expect((await ipvs('apply', '--yes', '--adopt', other)).status).toBe(0);
    expect(ours().filter((line) => line.includes('7000-7007'))).toHaveLength(3);
    expect((await ipvs('masquerade', 'delete', '10.0.1.0/24')).stdout).toBe('deleted 10.0.1.0/24\n');
  });

  test('keep their counters when others come', async () => {
    using table = await openMasquerade({ netns: namespace.name });
    await table.add({ source: '10.0.0.0/24' });
    const [line = ''] = ours().filter((each) => each.startsWith('-A IPVSD'));
    const text = `*nat\n:IPVSD-POSTROUTING - [0:0]\n[42:2520] ${line}\nCOMMIT\n`;
    namespace.run('iptables-restore', ['--noflush', '--counters'], { input: text });
    await table.add({ source: '10.0.1.0/24' });
    expect((await table.list()).map(({ key, flows }) => [key, flows])).toEqual([
      ['10.0.0.0/24', 42n],
      ['10.0.1.0/24', 0n],
    ]);
  });

  test('of another namespace are those of that one', async () => {
    using here = await openMasquerade();
    const before = JSON.stringify((await here.list()).map(({ key }) => key));
    await using director = await openDirector({ netns: namespace.name, stateDir: folder });
    const masquerade = [normalizeMasquerade({ source: '10.0.0.0/24', out: 'lo' })];
    expect((await director.apply({ desired: { services: [], masquerade } })).outcome).toBe('applied');
    expect(ours()).toHaveLength(3);
    expect(JSON.stringify((await here.list()).map(({ key }) => key))).toBe(before);
  });

  test('where something is refused later are as they were before', async () => {
    namespace.run('iptables', ['-t', 'nat', '-A', 'POSTROUTING', '-s', '10.9.0.0/24', '-j', 'MASQUERADE']);
    const before = saved();
    const file = described([rule, { source: '10.0.9.0/24', out: 'none0' }]);
    expect(await ipvs('apply', '--yes', file)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /^ipvs: add masquerade 10\.0\.9\.0\/24 out none0: there is no such network interface: "none0"\n/,
      ),
    });
    expect(saved()).toEqual(before);
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });
});

describe('packets', () => {
  let lab: Gateway;
  beforeEach(async ({ skip }) => {
    skip(absent !== undefined, absent);
    lab = await startGateway();
    return () => lab.close();
  });

  async function applied(masquerade: readonly object[]): Promise<void> {
    const result = await lab.gateway.ipvs(['--state-dir', folder, 'apply', '--yes', described(masquerade)]);
    expect(result).toMatchObject({ status: 0, stderr: '' });
  }

  test('of TCP, UDP and ICMP, IPv4 and IPv6, leave under our address and from our ports, and answers come back', async () => {
    await applied([
      { source: '10.0.0.0/24', out: 'out0', ports: '61000-61007' },
      { source: 'fd00::/64', out: 'out0', ports: '62000-62007', randomFully: true },
    ]);
    for (const [family, low] of [
      ['inet', 61_000],
      ['inet6', 62_000],
    ] as const) {
      const protocols = ['tcp', 'tcp', 'tcp', 'udp', 'udp', 'udp', 'icmp'] as const;
      const seen = lab.ask(...protocols.map((protocol) => [protocol, outer[family]] as const));
      for (const [address, port] of seen.slice(0, 6).map((answer) => answer ?? [])) {
        expect(address).toBe(mapped[family]);
        expect(port).toBeGreaterThanOrEqual(low);
        expect(port).toBeLessThanOrEqual(low + 7);
      }
      // Outer knows no way to the inner network: an answer is one to our address.
      expect(seen.slice(6)).toEqual([[]]);
    }
    using table = new MasqueradeTable({
      host: new KernelRuleHost({ native: native(), namespacePath: `/run/netns/${lab.gateway.name}` }),
    });
    /** The packets that iptables counted in the rules of our chain: the first of each flow. */
    const counted = (program: string) => {
      const saved = lab.gateway.run(program, ['--counters', '-t', 'nat']);
      const rules = [...saved.matchAll(/^\[(\d+):\d+\] -A IPVSD-POSTROUTING .*MASQUERADE/gm)];
      return rules.reduce((sum, [, packets = '']) => sum + BigInt(packets), 0n);
    };
    const [flows, flows6] = [counted('iptables-save'), counted('ip6tables-save')];
    // Each question is a flow.
    expect([flows >= 7n, flows6 >= 7n]).toEqual([true, true]);
    expect((await table.list()).map(({ key, flows }) => [key, flows])).toEqual([
      ['10.0.0.0/24 out out0', flows],
      ['fd00::/64 out out0', flows6],
    ]);
  });

  test('leave under the address that a rule says, those of one protocol under another', async () => {
    await applied([
      { source: '10.0.0.0/24', toSource: second.inet },
      { source: '10.0.0.0/24', protocol: 'udp', ports: '5000-5003', toSource: mapped.inet },
      { source: 'fd00::/64', toSource: second.inet6, ports: 4711 },
    ]);
    expect(
      lab.ask(
        ['tcp', outer.inet],
        ['udp', outer.inet],
        ['tcp', outer.inet6],
        ['icmp', outer.inet],
        ['icmp', outer.inet6],
      ),
    ).toEqual([
      [second.inet, expect.any(Number)],
      [mapped.inet, expect.toSatisfy((port: number) => port >= 5000 && port <= 5003)],
      [second.inet6, 4711],
      [],
      [],
    ]);
  });
});

describe('refusals', () => {
  test.each([
    [
      ['--source', '10.0.0.0/24', '--ports', '65095-61000'],
      64,
      'invalid masquerade rule: ports 65095-61000 end before they begin; write 61000-65095',
    ],
    [
      ['--source', '10.0.0.0/24', '--out', 'none0'],
      1,
      'add masquerade 10.0.0.0/24 out none0: there is no such network interface: "none0"',
    ],
    [
      ['--source', '10.0.0.9/24'],
      64,
      'malformed address: "10.0.0.9/24" has bits behind its prefix; the network is 10.0.0.0/24',
    ],
    [
      ['--source', '10.0.0.0/24', '--to-source', '2001:db8::1'],
      64,
      'invalid masquerade rule: 10.0.0.0/24 and 2001:db8::1 are of different address families; write a rule for each family',
    ],
    [[], 64, 'say which inner network: --source 10.0.0.0/24; see "ipvs masquerade --help"'],
  ])('%j is one line', async (args, status, line) => {
    expect(await ipvs('masquerade', 'add', ...args)).toEqual({ status, stdout: '', stderr: `ipvs: ${line}\n` });
    expect([ours(), ours('ip6tables-save')]).toEqual([[], []]);
  });

  test('an inner network that overlaps another is one line', async ({ skip }) => {
    skip(absent !== undefined, absent);
    await ipvs('masquerade', 'add', '--source', '10.0.0.0/24');
    const before = saved('iptables-save', '-c');
    const { status, stderr } = await ipvs('masquerade', 'add', '--source', '10.0.0.128/25');
    expect({ status, lines: stderr.trim().split('\n') }).toEqual({
      status: 64,
      lines: [expect.stringContaining('10.0.0.128/25 overlaps 10.0.0.0/24')],
    });
    expect(saved('iptables-save', '-c')).toEqual(before);
  });

  test('a kernel without NAT is one line, though iptables shows a table', async ({ skip }) => {
    skip(absent === undefined, `Linux ${release()} has NAT`);
    expect(saved('iptables-save', '-t', 'nat')).toContain(':POSTROUTING ACCEPT [0:0]');
    const { status, stderr } = await ipvs('apply', '--yes', described([rule]));
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^ipvs: add masquerade 10\.0\.0\.0\/24 out lo: the kernel has no address translation for iptables/,
    );
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  /** In the namespace itself, where no other program is needed to come there. */
  function tableWith(path: string): MasqueradeTable {
    return new MasqueradeTable({ host: new KernelRuleHost({ native: native(), path }) });
  }

  test('iptables that is missing, or too old', async () => {
    using none = tableWith(folder);
    await expect(none.add({ source: '10.0.0.0/24' })).rejects.toThrow(
      expect.objectContaining({ code: 'IPTABLES_MISSING', detail: 'there is no iptables-save' }),
    );
    const real = execFileSync('sh', ['-c', 'command -v iptables-save'], { encoding: 'utf8' }).trim();
    writeFileSync(join(folder, 'iptables-save'), `#!/bin/sh\nexec ${real} "$@"\n`);
    writeFileSync(
      join(folder, 'iptables-restore'),
      `#!/bin/sh\necho "iptables-restore: unrecognized option '--wait'" >&2; exit 1\n`,
    );
    for (const name of ['iptables-save', 'iptables-restore']) chmodSync(join(folder, name), 0o755);
    using old = tableWith(folder);
    await expect(old.add({ source: '10.0.0.0/24' })).rejects.toThrow(
      expect.objectContaining({ code: 'IPTABLES_TOO_OLD' }),
    );
  });

  test('another namespace without nsenter', async () => {
    using table = new MasqueradeTable({
      host: new KernelRuleHost({
        native: native(),
        namespacePath: `/run/netns/${namespace.name}`,
        path: folder,
      }),
    });
    await expect(table.list()).rejects.toThrow(
      expect.objectContaining({ code: 'NAMESPACE_REFUSED', detail: 'nsenter is not installed' }),
    );
  });

  test('a variant of iptables that there is not', async () => {
    const { status, stderr } = await cli(['--netns', namespace.name, 'masquerade'], {
      environment: { IPVS_DIRECTOR_IPTABLES: 'nftables' },
    });
    expect({ status, stderr }).toEqual({
      status: 64,
      stderr: 'ipvs: invalid option: variant of iptables "nftables"; one of auto, nft, legacy\n',
    });
  });

  test('without rules in the file iptables is not run, and need not work', async () => {
    const marker = join(folder, 'was-run');
    for (const name of ['iptables-save', 'iptables-restore', 'ip6tables-save', 'ip6tables-restore']) {
      writeFileSync(join(folder, name), `#!/bin/sh\ntouch ${marker}\nexit 1\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const environment = { PATH: `${folder}:${process.env['PATH']}` };
    const file = join(folder, 'state.yaml');
    writeFileSync(file, 'services: []\nsysctls: { net.ipv4.ip_forward: on }\n');
    for (const words of [['plan', file], ['apply', '--yes', file], ['drift']]) {
      const result = await namespace.ipvs(['--state-dir', folder, ...words], { environment });
      expect(result.stderr).toBe('');
    }
    expect(existsSync(marker)).toBe(false);
    const asked = await cli(['--netns', namespace.name, '--state-dir', folder, 'masquerade'], { environment });
    expect([asked.status, existsSync(marker)]).toEqual([1, true]);
  });
});

describe('tables of legacy', () => {
  const withLegacy = { IPVS_DIRECTOR_IPTABLES: 'legacy' };
  const legacy = (...args: readonly string[]) =>
    namespace.ipvs(['--state-dir', folder, 'masquerade', ...args], { environment: withLegacy });

  test('are used where they are wanted, or refused where the kernel has none', async () => {
    const missing = await natAbsence('legacy');
    const { status, stdout, stderr } = await legacy('add', '--source', '10.0.0.0/24');
    if (missing !== undefined) {
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(
          /^ipvs: add masquerade 10\.0\.0\.0\/24: the kernel has no address translation for iptables: .+\n$/,
        ),
      });
      return;
    }
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'added 10.0.0.0/24  any port\n' });
    expect(saved('iptables-legacy-save', '-t', 'nat').filter((line) => line.includes('IPVSD'))).toEqual([
      ':IPVSD-POSTROUTING - [0:0]',
      JUMP,
      '-A IPVSD-POSTROUTING -s 10.0.0.0/24 -m comment --comment "ipvsd: 10.0.0.0/24" -j MASQUERADE',
    ]);
    expect(saved('iptables-nft-save', '-t', 'nat').filter((line) => line.includes('IPVSD'))).toEqual([]);
    // Nobody says legacy any more: our chain is there, so it is that.
    expect((await ipvs('masquerade', 'add', '--source', '10.0.1.0/24')).status).toBe(0);
    expect((await legacy('list')).stdout).toContain('10.0.1.0/24');
    await ipvs('masquerade', 'delete', '10.0.1.0/24');
    await ipvs('masquerade', 'delete', '10.0.0.0/24');
    expect(saved('iptables-legacy-save', '-t', 'nat').filter((line) => line.includes('IPVSD'))).toEqual([]);
  });

  test('are taken where they alone have rules', async ({ skip }) => {
    for (const variant of ['legacy', 'nft'] as const) {
      const missing = await natAbsence(variant);
      if (missing !== undefined) skip(missing);
    }
    namespace.run('iptables-legacy', ['-t', 'nat', '-A', 'POSTROUTING', '-s', '10.9.0.0/24', '-j', 'MASQUERADE']);
    await ipvs('masquerade', 'add', '--source', '10.0.0.0/24');
    expect(saved('iptables-legacy-save', '-t', 'nat')).toContain(JUMP);
    // Rules of nft do not change that: ours are there.
    namespace.run('iptables-nft', ['-t', 'nat', '-A', 'POSTROUTING', '-s', '10.8.0.0/24', '-j', 'MASQUERADE']);
    expect((await ipvs('masquerade', 'list')).stdout).toContain('10.0.0.0/24');
  });
});
