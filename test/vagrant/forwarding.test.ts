/** Every way of forwarding, over both families, TCP and UDP: shares as the scheduler promises, from one file each. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  address,
  apply,
  type Client,
  enter,
  type Family,
  families,
  leave,
  machine,
  realServers,
  virtual,
} from './lab/lab.ts';
import { setUp } from './lab/report.ts';

const director = machine('director1');
/** real1 gets three of six, or three of five, and so on: rounds of the weights come out even. */
const weights = realServers.map((_, index) => 3 - index);
const rounds = 4;
const round = weights.reduce((sum, weight) => sum + weight, 0);
const shares = Object.fromEntries(realServers.map(({ name }, index) => [name, (weights[index] ?? 0) * rounds]));

let client: Client;
setUp(async () => {
  client = await enter();
});
afterAll(async () => {
  await machine('real1').script(families.map((family) => `${iptables[family]} -F PREROUTING`).join('\n'));
  await leave();
});

function destinations(network: 'lan' | 'inner', family: Family) {
  return realServers.map(({ name }, index) => ({ address: address(name, network, family), weight: weights[index] }));
}

const urls = [
  ['TCP over IPv4', `http://${virtual.inet}/`],
  ['UDP over IPv4', `udp://${virtual.inet}:53`],
  ['TCP over IPv6', `http://[${virtual.inet6}]/`],
  ['UDP over IPv6', `udp://[${virtual.inet6}]:53`],
] as const;

/** What a tunnel needs on the other side: modules of the kernel, which it may not have. */
const ends = {
  ipip: `modprobe -a ipip ip6_tunnel; ip link set tunl0 up; ip link set ip6tnl0 up
    sysctl -qw net.ipv4.conf.tunl0.rp_filter=0`,
  gre: `modprobe -a ip_gre ip6_gre; ip link set gre0 up; ip link set ip6gre0 up
    sysctl -qw net.ipv4.conf.gre0.rp_filter=0`,
  gue: `modprobe -a fou fou6 ipip ip6_tunnel; ip link set tunl0 up; ip link set ip6tnl0 up
    sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
    ip fou show | grep -q 'port 6080 gue.*$' || ip fou add port 6080 gue
    ip -6 fou show | grep -q 'port 6080 .*-6' || ip -6 fou add port 6080 gue`,
};

const ways = [
  ['masquerade', 'masquerade', 'inner', undefined],
  ['direct routing', 'direct', 'lan', undefined],
  ['an ipip tunnel', { tunnel: 'ipip' }, 'lan', 'ipip'],
  ['a gre tunnel', { tunnel: 'gre' }, 'lan', 'gre'],
  ['a gue tunnel', { tunnel: 'gue', port: 6080 }, 'lan', 'gue'],
] as const;

/** What tells, of packets that come to a real server, by which way they came; before a tunnel's wrapping is off. */
const wires = {
  masquerade: (family: Family) => `-i eth2 -d ${address('real1', 'inner', family)}`,
  'direct routing': (family: Family) => `-i eth1 -d ${virtual[family]}`,
  'an ipip tunnel': (family: Family) => `-i eth1 -p ${family === 'inet' ? 4 : 41}`,
  'a gre tunnel': () => '-i eth1 -p 47',
  'a gue tunnel': () => '-i eth1 -p udp --dport 6080',
};
const iptables = { inet: 'iptables -w -t raw', inet6: 'ip6tables -w -t raw' };

/** Counts of the packets that have come to real1 since the last time, by way. */
async function arrived(family: Family): Promise<Record<string, number>> {
  const said = await machine('real1').script(
    `${iptables[family]} -vnxL PREROUTING; ${iptables[family]} -F PREROUTING
    ${Object.values(wires)
      .map((match) => `${iptables[family]} -A PREROUTING ${match(family)}`)
      .join('\n')}`,
  );
  const counts = said
    .split('\n')
    .slice(2)
    .map((line) => Number(line.trim().split(/\s+/)[0]));
  return Object.fromEntries(Object.keys(wires).map((way, index) => [way, counts[index] ?? 0]));
}

describe.each(ways)('by %s', (way, forward, network, end) => {
  let missing: string | undefined;
  setUp(async () => {
    if (end !== undefined) {
      const attempts = await Promise.all(
        realServers.map((one) => one.attempt(['bash', '-e', '-s'], { input: ends[end] })),
      );
      const lack = attempts.find(({ stderr }) => /Module .* not found/.test(stderr));
      if (lack && end !== 'ipip') missing = `the kernel of the real servers: ${lack.stderr.trim()}`;
      else if (attempts.some(({ status }) => status !== 0)) throw new Error(attempts.map((one) => one.stderr).join(''));
    }
    await apply(director, {
      sysctls: { 'net.ipv4.ip_forward': 'on', 'net.ipv6.conf.all.forwarding': 'on' },
      services: families.flatMap((family) => {
        const host = family === 'inet' ? virtual.inet : `[${virtual.inet6}]`;
        const to = destinations(network, family);
        const common = { interface: 'eth1', scheduler: 'wrr', forward, destinations: to };
        return ['tcp', 'udp'].map((protocol) => {
          return { ...common, address: `${protocol}://${host}:${protocol === 'tcp' ? 80 : 53}` };
        });
      }),
    });
  });

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
  });

  it.each(urls)('%s: each server gets its share, that way, and sees the client', async (_, url) => {
    const family = url.includes('[') ? 'inet6' : 'inet';
    await arrived(family);
    const outcome = await client.send({ url, count: rounds * round });
    expect(outcome).toMatchObject({ failed: 0, errors: {}, servers: shares });
    expect(outcome.clients).toEqual([address('client', 'lan', family)]);
    const { [way]: here = 0, ...elsewhere } = await arrived(family);
    expect(here).toBeGreaterThanOrEqual(shares['real1'] ?? Infinity);
    expect(Object.values(elsewhere)).toEqual([0, 0, 0, 0]);
  });
});

describe('by a firewall mark, with its rules', () => {
  setUp(async () => {
    await apply(director, {
      services: [
        {
          address: ['fwmark:7', 'fwmark:7/inet6'],
          scheduler: 'wrr',
          forward: 'direct',
          match: [
            { address: Object.values(virtual), protocol: 'tcp', ports: [80] },
            { address: Object.values(virtual), protocol: 'udp', ports: [53] },
          ],
          destinations: families.flatMap((family) => destinations('lan', family)),
        },
      ],
    });
    await director.script(`ip address replace ${virtual.inet}/32 dev eth1
      ip address replace ${virtual.inet6}/128 dev eth1 nodad`);
  });

  it.each(urls)('%s', async (_, url) => {
    expect(await client.send({ url, count: rounds * round })).toMatchObject({ failed: 0, servers: shares });
  });

  it('what matches no rule is not balanced', async () => {
    const balanced = async () => {
      const { services } = JSON.parse(await director.run('ipvs', 'list', '--stats', '--json'));
      return services.map(({ statistics }: { statistics: { connections: unknown } }) => statistics.connections);
    };
    const before = await balanced();
    expect(before.length).toBe(2);
    const { failed } = await client.send({ url: `http://${virtual.inet}:8080/`, count: 3, timeoutMs: 5000 });
    expect(failed).toBe(3);
    expect(await balanced()).toEqual(before);
  });
});

describe('with persistence', () => {
  it('a client stays at one server', async () => {
    // The address stood there before, for the marks.
    const description = {
      services: [
        {
          address: `tcp://${virtual.inet}:80`,
          interface: 'eth1',
          scheduler: 'rr',
          persistence: { timeout: '5m' },
          forward: 'direct',
          destinations: realServers.map(({ name }) => ({ address: address(name, 'lan', 'inet') })),
        },
      ],
    };
    await apply(director, description, '--adopt');
    const { failed, servers } = await client.send({ url: `http://${virtual.inet}/`, count: 12 });
    expect(failed).toBe(0);
    expect(Object.values(servers)).toEqual([12]);
    const templates = (await director.run('ipvs', 'connections', '--json')).split('\n').filter(Boolean);
    expect(templates.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'template')).toHaveLength(1);
  });
});
