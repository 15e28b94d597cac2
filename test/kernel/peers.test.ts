/** ipvsadm and this package read what the other wrote. */
import { describe, expect, it } from 'vitest';
import { type Destination, type DestinationInput, normalizeDestination } from '../../src/ipvs/destination.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService, type VirtualServiceInput } from '../../src/ipvs/service.ts';
import { native } from '../../src/kernel/native.ts';
import { ipvsadm, listing, restore } from '../helpers/ipvsadm.ts';
import { configured, done, kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('peers');

interface Described extends VirtualServiceInput {
  readonly address: string;
  /** Sorted as ipvsadm sorts them. */
  readonly destinations: readonly DestinationInput[];
}

/** A table with all that there is, as we say it. */
const described: readonly Described[] = [
  { address: 'tcp://192.0.2.1:0', scheduler: 'rr', persistence: { timeoutSeconds: 60 }, destinations: [] },
  {
    address: 'tcp://192.0.2.1:80',
    scheduler: 'wrr',
    destinations: [
      { address: '10.0.0.1:8080', weight: 3 },
      { address: '10.0.0.2:80', forward: 'direct', weight: 0 },
      { address: '10.0.0.3:80', forward: 'tunnel', weight: 2147483647 },
      { address: '10.0.0.4:80', forward: { tunnel: 'gue', port: 6080 } },
      { address: '10.0.0.5:80', forward: { tunnel: 'gue', port: 6081, checksum: 'csum' } },
      { address: '10.0.0.6:80', forward: { tunnel: 'gue', port: 6082, checksum: 'remcsum' } },
      { address: '10.0.0.7:80', forward: { tunnel: 'gre' } },
      { address: '10.0.0.8:80', forward: { tunnel: 'gre', checksum: 'csum' } },
      { address: '[2001:db8::7]:80', forward: 'tunnel' },
    ],
  },
  {
    address: 'tcp://192.0.2.9:80',
    scheduler: 'lc',
    persistence: { timeoutSeconds: 60, netmask: '255.0.255.0' },
    destinations: [],
  },
  {
    address: 'udp://192.0.2.1:5060',
    scheduler: 'sh',
    schedulerFlags: ['sh-port', 'sh-fallback'],
    persistence: { timeoutSeconds: 600, netmask: 24, engine: 'sip' },
    onePacket: true,
    destinations: [],
  },
  {
    address: 'sctp://192.0.2.1:3868',
    scheduler: 'mh',
    schedulerFlags: ['mh-port'],
    destinations: [{ address: '10.0.0.1:3868' }],
  },
  {
    address: 'tcp://[2001:db8::1]:443',
    scheduler: 'rr',
    persistence: { timeoutSeconds: 300, netmask: 64 },
    destinations: [{ address: '10.0.0.1:443', forward: 'tunnel' }, { address: '[2001:db8::11]:443' }],
  },
  { address: 'udp://[2001:db8::1]:53', scheduler: 'rr', onePacket: true, destinations: [] },
  {
    address: 'fwmark:7',
    scheduler: 'mh',
    schedulerFlags: ['mh-fallback', 'mh-port'],
    persistence: { timeoutSeconds: 900 },
    destinations: [{ address: '10.0.0.1:0', forward: 'direct' }],
  },
  {
    address: 'fwmark:7/inet6',
    scheduler: 'wlc',
    schedulerFlags: ['flag-1', 'flag-3'],
    destinations: [{ address: '[2001:db8::11]:0', forward: 'direct' }],
  },
];

/** The same table as ipvsadm lists it. */
const listed = [
  'TCP  192.0.2.1:0 rr persistent 60',
  'TCP  192.0.2.1:80 wrr',
  '  -> 10.0.0.1:8080                Masq    3      0          0',
  '  -> 10.0.0.2:80                  Route   0      0          0',
  '  -> 10.0.0.3:80                  Tunnel  2147483647 0          0',
  '  -> 10.0.0.4:80                  Tunnel  1      0          0',
  '  -> 10.0.0.5:80                  Tunnel  1      0          0',
  '  -> 10.0.0.6:80                  Tunnel  1      0          0',
  '  -> 10.0.0.7:80                  Tunnel  1      0          0',
  '  -> 10.0.0.8:80                  Tunnel  1      0          0',
  '  -> [2001:db8::7]:80             Tunnel  1      0          0',
  'TCP  192.0.2.9:80 lc persistent 60 mask 255.0.255.0',
  'UDP  192.0.2.1:5060 sh (sh-fallback,sh-port) persistent 600 mask 255.255.255.0 pe sip ops',
  'SCTP 192.0.2.1:3868 mh (mh-port)',
  '  -> 10.0.0.1:3868                Masq    1      0          0',
  'TCP  [2001:db8::1]:443 rr persistent 300 mask 64',
  '  -> 10.0.0.1:443                 Tunnel  1      0          0',
  '  -> [2001:db8::11]:443           Masq    1      0          0',
  'UDP  [2001:db8::1]:53 rr ops',
  'FWM  7 mh (mh-fallback,mh-port) persistent 900',
  '  -> 10.0.0.1:0                   Route   1      0          0',
  'FWM  7 IPv6 wlc (flag-1,flag-3)',
  '  -> [2001:db8::11]:0             Route   1      0          0',
];

/** And as it saves it. */
const saved = [
  '-A -t 192.0.2.1:0 -s rr -p 60',
  '-A -t 192.0.2.1:80 -s wrr',
  '-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 3',
  '-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 0',
  '-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 2147483647 --tun-type ipip',
  '-a -t 192.0.2.1:80 -r 10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum',
  '-a -t 192.0.2.1:80 -r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 6081 --tun-csum',
  '-a -t 192.0.2.1:80 -r 10.0.0.6:80 -i -w 1 --tun-type gue --tun-port 6082 --tun-remcsum',
  '-a -t 192.0.2.1:80 -r 10.0.0.7:80 -i -w 1 --tun-type gre --tun-nocsum',
  '-a -t 192.0.2.1:80 -r 10.0.0.8:80 -i -w 1 --tun-type gre --tun-csum',
  '-a -t 192.0.2.1:80 -r [2001:db8::7]:80 -i -w 1 --tun-type ipip',
  '-A -t 192.0.2.9:80 -s lc -p 60 -M 255.0.255.0',
  '-A -u 192.0.2.1:5060 -s sh -p 600 -M 255.255.255.0 --pe sip -o -b sh-fallback,sh-port',
  '-A --sctp-service 192.0.2.1:3868 -s mh -b mh-port',
  '-a --sctp-service 192.0.2.1:3868 -r 10.0.0.1:3868 -m -w 1',
  '-A -t [2001:db8::1]:443 -s rr -p 300 -M 64',
  '-a -t [2001:db8::1]:443 -r 10.0.0.1:443 -i -w 1 --tun-type ipip',
  '-a -t [2001:db8::1]:443 -r [2001:db8::11]:443 -m -w 1',
  '-A -u [2001:db8::1]:53 -s rr -o',
  '-A -f 7 -s mh -p 900 -b mh-fallback,mh-port',
  '-a -f 7 -r 10.0.0.1:0 -g -w 1',
  '-A -f 7 -6 -s wlc -b flag-1,flag-3',
  '-a -f 7 -6 -r [2001:db8::11]:0 -g -w 1',
];

/** The same table as the kernel holds it, after it was written in the order above. */
const held = described
  .map(({ destinations, ...service }) => ({
    ...normalizeService(service),
    destinations: destinations.map((input) => normalizeDestination(input, service.address)).reverse(),
  }))
  .sort((a, b) => (a.address < b.address ? -1 : 1));

const operations = described.flatMap(({ destinations, ...service }): Operation[] => [
  { type: 'service.add', service: normalizeService(service) },
  ...destinations.map((input): Operation => {
    const destination = normalizeDestination(input, service.address);
    return { type: 'destination.add', service: service.address, destination };
  }),
]);

describe('what we wrote', () => {
  it('ipvsadm lists', async () => {
    await done(table.ipvs, operations);
    expect(listing(table.namespace)).toEqual(listed);
  });

  it('ipvsadm saves', async () => {
    await done(table.ipvs, operations);
    expect(ipvsadm(table.namespace, '--save', '--numeric')).toEqual(saved);
  });

  it('/proc/net/ip_vs shows', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'wrr' });
    await table.ipvs.addDestination('tcp://192.0.2.1:80', { address: '10.0.0.1:8080', weight: 3 });
    expect(table.namespace.run('cat', ['/proc/net/ip_vs']).trimEnd().split('\n').slice(3).map(words)).toEqual([
      ['TCP', 'C0000201:0050', 'wrr'],
      ['->', '0A000001:1F90', 'Masq', '3', '0', '0'],
    ]);
  });

  it('ipvsadm lists: thresholds', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    await table.ipvs.addDestination('tcp://192.0.2.1:80', {
      address: '10.0.0.1',
      upperThreshold: 9,
      lowerThreshold: 5,
    });
    expect(listing(table.namespace, '--thresholds')).toEqual([
      'TCP  192.0.2.1:80 wlc',
      '  -> 10.0.0.1:80                  9          5          0          0',
    ]);
  });

  it('ipvsadm changes and deletes', async () => {
    await done(table.ipvs, operations);
    restore(table.namespace, [
      '-E -t 192.0.2.1:80 -s wlc',
      '-e -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 9',
      '-d -t 192.0.2.1:80 -r [2001:db8::7]:80',
      '-D -f 7 -6',
    ]);
    const now = configured(await table.ipvs.snapshot());
    const web = now.find(({ address }) => address === 'tcp://192.0.2.1:80');

    expect(now).toHaveLength(held.length - 1);
    expect(web).toMatchObject({ scheduler: 'wlc' });
    expect(web?.destinations).toHaveLength(8);
    expect(web?.destinations).toContainEqual({
      address: '10.0.0.2:80',
      forward: 'direct',
      weight: 9,
      upperThreshold: 0,
      lowerThreshold: 0,
    });
  });
});

describe('what ipvsadm wrote', () => {
  it('we read: a whole table', async () => {
    restore(table.namespace, saved);
    expect(configured(await table.ipvs.snapshot())).toEqual(held);
  });

  it('we read: thresholds', async () => {
    restore(table.namespace, [
      '-A -t 192.0.2.1:80 -s wlc',
      '-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1 --u-threshold 2147483647 --l-threshold 7',
    ]);
    expect(await table.ipvs.destinations('tcp://192.0.2.1:80')).toMatchObject([
      { upperThreshold: 2147483647, lowerThreshold: 7 },
    ]);
  });

  it('we read: a service without a scheduler', async () => {
    restore(table.namespace, ['-A -t 192.0.2.1:80 -s none']);
    expect(await table.ipvs.service('tcp://192.0.2.1:80')).toMatchObject({ scheduler: 'none' });
  });

  it('we read: what our own checks would refuse', async () => {
    // ipvsadm checks as much as we do; the kernel takes these from other programs.
    const backend = new NetlinkBackend({ native: native(), namespacePath: `/run/netns/${table.namespace.name}` });
    const plain = normalizeService({ address: 'tcp://192.0.2.1:80' });
    const odd = [
      { ...plain, address: 'ip-47://192.0.2.1:80' },
      { ...plain, address: 'tcp://192.0.2.1:0' },
      { ...plain, address: 'tcp://192.0.2.1:5060', persistence: { timeoutSeconds: 0, netmask: 32, engine: 'sip' } },
    ];
    const sound = normalizeDestination({ address: '10.0.0.1' }, plain.address);
    const destinations: Destination[] = [
      { ...sound, address: '10.0.0.1:8080', forward: 'direct' },
      { ...sound, address: '10.0.0.2:80', forward: 'unknown-6' },
      { ...sound, address: '10.0.0.3:80', forward: { tunnel: 'unknown-9', port: 7, checksum: 'unknown-5' } },
    ];
    const results = await backend.execute([
      ...[plain, ...odd].map((service) => ({ type: 'service.add', service }) as const),
      ...destinations
        .toReversed()
        .map((destination) => ({ type: 'destination.add', service: plain.address, destination }) as const),
    ]);
    backend.close();
    expect(results.filter(({ error }) => error)).toEqual([]);

    expect(configured(await table.ipvs.snapshot())).toEqual(
      [{ ...plain, destinations }, ...odd.map((service) => ({ ...service, destinations: [] }))].sort((a, b) =>
        a.address < b.address ? -1 : 1,
      ),
    );
    for (const { address } of odd) await table.ipvs.removeService(address);
  });

  it('we change and delete, and the rest stays', async () => {
    restore(table.namespace, saved);
    const { ipvs } = table;

    await ipvs.editService('udp://192.0.2.1:5060', { scheduler: 'rr' });
    await ipvs.editDestination('tcp://192.0.2.1:80', '10.0.0.6:80', { weight: 4 });
    await ipvs.removeDestination('tcp://[2001:db8::1]:443', '10.0.0.1:443');
    await ipvs.removeService('fwmark:7');

    const expected = saved
      .filter((rule) => !rule.includes('[2001:db8::1]:443 -r 10.0.0.1:443'))
      .filter((rule) => !rule.includes('-f 7') || rule.includes('-f 7 -6'))
      .map((rule) => rule.replace('-s sh', '-s rr').replace(' -b sh-fallback,sh-port', ''))
      .map((rule) => (rule.includes('10.0.0.6:80') ? rule.replace('-w 1', '-w 4') : rule));
    expect(ipvsadm(table.namespace, '--save', '--numeric')).toEqual(expected);
  });

  it('we flush, and it flushes what we wrote', async () => {
    restore(table.namespace, saved);
    await table.ipvs.flush();
    expect(listing(table.namespace)).toEqual([]);

    await done(table.ipvs, operations);
    ipvsadm(table.namespace, '--clear');
    expect(await table.ipvs.snapshot()).toEqual({ services: [] });
  });
});

function words(line: string): string[] {
  return line.trim().split(/\s+/);
}
