/** The live table of mappings, with real traffic: seen, looked up, deleted, counted; conntrack(8) as a witness. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Mapping } from '../../src/conntrack/mapping.ts';
import { MappingTable } from '../../src/conntrack/mapping-table.ts';
import { openPortMeter, type PortMeter } from '../../src/conntrack/port-meter.ts';
import { KernelRuleHost } from '../../src/iptables/host.ts';
import { MasqueradeTable } from '../../src/iptables/masquerade-table.ts';
import type { MasqueradeInput } from '../../src/iptables/rules/masquerade.ts';
import { native } from '../../src/kernel/native.ts';
import { type Gateway, inner, mapped, outer, PORT, startGateway } from '../helpers/gateway.ts';
import { natAbsence } from '../helpers/nat.ts';

const absent = await natAbsence('auto');

let lab: Gateway;
let mappings: MappingTable;
beforeAll(async () => {
  if (absent !== undefined) return;
  lab = await startGateway();
  mappings = new MappingTable({ native: native(), namespacePath: path() });
  lab.gateway.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
});
afterAll(async () => {
  mappings?.close();
  await lab?.close();
});
beforeEach(({ skip }) => {
  skip(absent !== undefined, absent);
  lab.gateway.run('conntrack', ['-F'], { stdio: 'ignore' });
});

const path = () => `/run/netns/${lab.gateway.name}`;

/** These rules and no others. */
async function masqueraded(...rules: readonly MasqueradeInput[]): Promise<void> {
  if (absent !== undefined) return;
  const table = new MasqueradeTable({ host: new KernelRuleHost({ native: native(), namespacePath: path() }) });
  for (const { key } of await table.list()) await table.delete(key);
  for (const rule of rules) await table.add(rule);
  table.close();
  // Nothing ends by itself while a test looks at it, however slow the kernel is.
  lab.gateway.run('sysctl', ['-qw', 'net.netfilter.nf_conntrack_udp_timeout=600']);
}

async function listed(filter = {}): Promise<Mapping[]> {
  const found: Mapping[] = [];
  for await (const mapping of mappings.list(filter)) found.push(mapping);
  return found;
}

const both = [
  { source: '10.0.0.0/24', out: 'out0', ports: '61000-61063' },
  { source: 'fd00::/64', out: 'out0', ports: '62000-62063' },
];

describe('mappings', () => {
  beforeAll(() => masqueraded(...both));

  test.each([
    ['IPv4', inner.inet, outer.inet, mapped.inet, (text: string) => text],
    ['IPv6', inner.inet6, outer.inet6, mapped.inet6, (text: string) => `[${text}]`],
  ])('of %s: three protocols, each seen as outer sees it, found from either side', async (_, from, to, as, shown) => {
    const [tcp, udp] = lab.ask(['tcp', to], ['udp', to], ['icmp', to]);
    const found = await listed({ inner: from });
    const isIpv6 = from.includes(':');
    expect(found.map(({ protocol }) => protocol).sort()).toEqual([isIpv6 ? 'icmpv6' : 'icmp', 'tcp', 'udp'].sort());
    for (const [protocol, seen] of [
      ['tcp', tcp],
      ['udp', udp],
    ] as const) {
      const mapping = found.find((each) => each.protocol === protocol) as Mapping;
      const { inner, outer, mapped } = mapping;
      expect([outer, mapped]).toEqual([`${shown(to)}:${PORT}`, `${shown(as)}:${seen?.[1]}`]);
      expect(inner.replace(/:\d+$/, '')).toBe(shown(from));
      expect(mapping).toMatchObject({ replied: true, helper: null });
      expect(await mappings.fromInside({ protocol, inner, outer })).toMatchObject({ id: mapping.id, mapped });
      expect(await mappings.fromOutside({ protocol, outer, mapped })).toMatchObject({ id: mapping.id, inner });
      expect(await mappings.byMapped(protocol, mapped)).toMatchObject([{ id: mapping.id }]);
      expect(await listed({ protocol, mappedPort: seen?.[1] })).toMatchObject([{ id: mapping.id }]);
      expect(await mappings.fromInside({ protocol, inner, outer: outer.replace(/\d+$/, '7001') })).toBeUndefined();
    }
    expect(await mappings.ofInner(from)).toHaveLength(3);
  });

  test('are those that conntrack(8) shows', async () => {
    lab.ask(['tcp', outer.inet], ['udp', outer.inet], ['udp', outer.inet6]);
    const witnessed = ['ipv4', 'ipv6'].flatMap((family) =>
      lab.gateway
        .run('conntrack', ['-L', '--src-nat', '-f', family, '-o', 'id'], { stdio: ['ignore', 'pipe', 'ignore'] })
        .trim()
        .split('\n'),
    );
    const ids = witnessed.map((line) => Number(/ id=(\d+)/.exec(line)?.[1])).sort();
    expect((await listed()).map(({ id }) => id).sort()).toEqual(ids);
    expect(ids).toHaveLength(3);
  });

  test('one is deleted while it is in use, the others stay; the next packet from inside begins another', async () => {
    lab.ask(['udp', outer.inet], ['udp', outer.inet6]);
    const talk = lab.talk(outer.inet);
    const [address, port] = await talk.say();
    expect(await talk.say()).toEqual([address, port]);
    const [mapping] = await listed({ protocol: 'udp', mapped: `${address}:${port}` });
    if (mapping === undefined) throw new Error('there is no mapping of what outer saw');
    const { inner, outer: to, mapped: as } = mapping;
    const place = { protocol: 'udp', inner, outer: to } as const;

    expect(await mappings.delete(place)).toMatchObject({ id: mapping.id });
    expect(await mappings.fromOutside({ protocol: 'udp', outer: to, mapped: as })).toBeUndefined();
    expect(await listed()).toHaveLength(2);
    await expect(mappings.delete(place)).rejects.toMatchObject({ code: 'MAPPING_NOT_FOUND' });

    await talk.say();
    const [next] = await listed({ protocol: 'udp', inner });
    expect(next).toMatchObject({ outer: to, replied: true });
    expect(await listed()).toHaveLength(3);
  });

  test('bytes are counted where accounting is on', async () => {
    lab.ask(['udp', outer.inet]);
    lab.gateway.run('sysctl', ['-qw', 'net.netfilter.nf_conntrack_acct=1']);
    lab.ask(['udp', outer.inet6]);
    const [without] = await listed({ inner: inner.inet });
    const [counted] = await listed({ inner: inner.inet6 });
    expect(without).not.toHaveProperty('counters');
    expect(counted?.counters).toMatchObject({ out: { packets: 1n, bytes: 49n }, in: { packets: 1n } });
  });
});

describe('ports', () => {
  let meter: PortMeter;
  beforeAll(() => masqueraded({ source: '10.0.0.0/24', out: 'out0', ports: '61000-61007' }));
  beforeEach(async () => {
    meter = await openPortMeter({ netns: lab.gateway.name, scarceShare: 0.5 });
    return () => meter.close();
  });

  const question = ['udp', outer.inet, 2] as const;
  const about = { rule: '10.0.0.0/24 out out0', protocol: 'udp', outer: `${outer.inet}:${PORT}`, mapped: mapped.inet };

  test('are counted for each outer end; scarce, exhausted, and then the kernel counts a failure', async () => {
    expect(await meter.look()).toMatchObject({ ports: [], newFailures: { insertFailed: 0, drop: 0 } });
    lab.ask(question, question, question);
    const few = { ...about, ports: '61000-61007', used: 3, free: 5, peak: 3, state: 'ample' };
    expect((await meter.look()).ports).toEqual([few]);
    lab.ask(question, question, question, question, question);
    expect((await meter.look()).ports).toEqual([{ ...few, used: 8, free: 0, peak: 8, state: 'exhausted' }]);

    // One more finds no port; another protocol has its own.
    const [lost, other] = lab.ask(question, ['tcp', outer.inet]);
    expect([lost, other]).toEqual([null, [mapped.inet, expect.any(Number)]]);
    const { ports, newFailures, failures, entries, most } = await meter.look();
    expect(ports.map(({ protocol, used, state }) => [protocol, used, state])).toEqual([
      ['udp', 8, 'exhausted'],
      ['tcp', 1, 'ample'],
    ]);
    expect(newFailures.insertFailed + newFailures.drop).toBeGreaterThanOrEqual(1);
    expect(failures).toMatchObject(newFailures);
    expect(entries).toBeGreaterThanOrEqual(9);
    expect(most).toBeGreaterThan(entries);
  });

  test('the peak stays when ports are free again', async () => {
    lab.ask(question, question, question, question);
    expect((await meter.look()).ports).toMatchObject([{ used: 4, peak: 4, state: 'scarce' }]);
    for (const { inner: from, outer: to } of (await listed()).slice(1))
      await mappings.delete({ protocol: 'udp', inner: from, outer: to });
    expect((await meter.look()).ports).toMatchObject([{ ...about, used: 1, free: 7, peak: 4, state: 'ample' }]);
  });
});
