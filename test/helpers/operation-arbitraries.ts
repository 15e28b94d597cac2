/**
 * Operations at random, valid and invalid, as a backend takes them: what the door would refuse too, so that the
 * kernel's own checks are met. Few addresses, so that they meet each other, and values at every border.
 */
import fc from 'fast-check';
import type { KernelTransport } from '../../src/ipvs/backend.ts';
import type { Destination, Forward } from '../../src/ipvs/destination.ts';
import type { Profile } from '../../src/ipvs/memory/profile.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { type Persistence, schedulerFlagNames, type VirtualService } from '../../src/ipvs/service.ts';
import type { SyncDaemon } from '../../src/ipvs/sync-daemon.ts';
import { parseServiceAddress } from '../../src/net/address.ts';

/** An operation, and the way that it goes. */
export interface Step {
  readonly via: KernelTransport;
  readonly operation: Operation;
}

const addresses4 = [
  'tcp://192.0.2.1:80',
  'tcp://192.0.2.1:81',
  'udp://192.0.2.1:80',
  'sctp://192.0.2.2:80',
  'tcp://192.0.2.2:0',
  'tcp://0.0.0.0:0',
  'ip-1://192.0.2.1:80',
  'fwmark:1',
  'fwmark:4294967295',
];
const addresses6 = ['tcp://[2001:db8::1]:80', 'udp://[::1]:0', 'fwmark:1/inet6'];

const hosts4 = ['10.0.0.1:80', '10.0.0.1:0', '10.0.0.2:80', '127.0.0.1:80', '0.1.2.3:80', '240.0.0.1:80'];
const hosts6 = ['[2001:db8::2]:80', '[2001:db8::2]:0', '[::1]:80', '[::a00:1]:80', '[fec0::1]:80'];
const noHosts4 = ['127.255.255.255:80', '224.0.0.1:80', '0.0.0.0:80', '255.255.255.255:80'];
const noHosts6 = ['[fe80::1]:80', '[ff02::1]:80', '[::]:80', '[::ffff:10.0.0.1]:80'];

const INT_MAX = 2 ** 31 - 1;
const UINT_MAX = 2 ** 32 - 1;
const weights = fc.constantFrom(0, 1, 5, INT_MAX, INT_MAX + 1, UINT_MAX, -1);
const limits = fc.constantFrom(0, 0, 0, 1, 2, INT_MAX, INT_MAX + 1, UINT_MAX);

const forwards: fc.Arbitrary<Forward> = fc.oneof(
  fc.constantFrom('masquerade', 'local', 'tunnel', 'direct', 'bypass', 'tunnel', 'unknown-5', 'unknown-7'),
  fc.record({
    tunnel: fc.constantFrom('ipip', 'gue', 'gre', 'unknown-9'),
    port: fc.constantFrom(0, 6080, 65_535),
    checksum: fc.constantFrom('nocsum', 'csum', 'remcsum', 'unknown-77'),
  }),
) as fc.Arbitrary<Forward>;

/** What this way can express, and a little of what it cannot. */
export function operations(via: KernelTransport, profile: Profile): fc.Arbitrary<Operation> {
  const seldom = via === 'netlink' ? 4 : 1;
  const addresses = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...addresses4) },
    { weight: seldom, arbitrary: fc.constantFrom(...addresses6) },
  );
  const services = addresses.chain((address) => serviceAt(address, via, profile));
  const destinations = fc.record<Destination>({
    address: fc.oneof(
      { weight: 24, arbitrary: fc.constantFrom(...hosts4) },
      { weight: 2, arbitrary: fc.constantFrom(...noHosts4) },
      { weight: 2 * seldom, arbitrary: fc.constantFrom(...hosts6) },
      { weight: 1, arbitrary: fc.constantFrom(...noHosts6) },
    ),
    forward: via === 'netlink' ? forwards : fc.oneof({ weight: 9, arbitrary: plainForwards }, forwards),
    weight: mostly(fc.constantFrom(0, 1, 5), weights),
    upperThreshold: mostly(fc.constantFrom(0, 2), limits),
    lowerThreshold: mostly(fc.constant(0), limits),
  });
  const type = <T extends Operation['type']>(name: T) => fc.constant(name);
  return fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: type('service.add'), service: services }) },
    { weight: 3, arbitrary: fc.record({ type: type('service.edit'), service: services }) },
    { weight: 3, arbitrary: fc.record({ type: type('service.delete'), service: addresses }) },
    {
      weight: 16,
      arbitrary: fc.record({ type: type('destination.add'), service: addresses, destination: destinations }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ type: type('destination.edit'), service: addresses, destination: destinations }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        type: type('destination.delete'),
        service: addresses,
        destination: destinations.map(({ address }) => address),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: type('flush') }) },
    {
      weight: 2,
      arbitrary: fc.record(
        { type: type('zero'), service: addresses },
        { requiredKeys: ['type'] },
      ) as fc.Arbitrary<Operation>,
    },
    { weight: 2, arbitrary: fc.record({ type: type('timeouts.set'), timeouts: timeouts(profile) }) },
    { weight: 2, arbitrary: fc.record({ type: type('sync.start'), daemon: daemons(via) }) },
    { weight: 2, arbitrary: fc.record({ type: type('sync.stop'), state: fc.constantFrom('master', 'backup') }) },
  );
}

const plainForwards: fc.Arbitrary<Forward> = fc.constantFrom(
  'masquerade',
  'local',
  'tunnel',
  'direct',
  'bypass',
  'unknown-6',
);

function mostly<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 3, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

function serviceAt(address: string, via: KernelTransport, profile: Profile): fc.Arbitrary<VirtualService> {
  const known = ['none', ...profile.schedulers];
  const schedulers = fc.oneof(
    { weight: 200, arbitrary: fc.constantFrom(...known) },
    // One character too many: netlink refuses it; the struct of the options has no room for it.
    { weight: via === 'netlink' ? 4 : 0, arbitrary: fc.constant('sixteen_letters_') },
    // Looking for its module takes a process.
    { weight: 1, arbitrary: fc.constant('fastest') },
  );
  return schedulers.chain((scheduler) =>
    fc.record<VirtualService>({
      address: fc.constant(address),
      scheduler: fc.constant(scheduler),
      schedulerFlags: fc.subarray([...schedulerFlagNames(scheduler)]),
      persistence: fc.option(persistenceOf(address, via)),
      onePacket: fc.boolean(),
    }),
  );
}

function persistenceOf(address: string, via: KernelTransport): fc.Arbitrary<Persistence> {
  const ipv4 = parseServiceAddress(address).family === 'inet';
  return fc.record<Persistence>({
    timeoutSeconds: fc.constantFrom(0, 1, 300, 4_294_967, 4_294_968, 17_179_869, 17_179_870, 42_949_673, UINT_MAX),
    netmask: ipv4
      ? fc.constantFrom<(number | string)[]>(1, 24, 32, '0.0.0.0', '255.0.255.0')
      : fc.constantFrom(0, 1, 64, 128, 128, 129),
    engine: fc.oneof(
      { weight: via === 'netlink' ? 2 : 20, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constant('sip') },
    ),
  });
}

function timeouts({ hz }: Profile) {
  const longest = Math.floor(INT_MAX / hz);
  const seconds = fc.constantFrom(0, 1, 900, 2_147_483, longest, longest + 1, INT_MAX + 1, UINT_MAX);
  return fc.record({ tcpSeconds: seconds, tcpFinSeconds: seconds, udpSeconds: seconds }, { requiredKeys: [] });
}

function daemons(via: KernelTransport): fc.Arbitrary<SyncDaemon> {
  const odd = via === 'netlink' ? ['nowhere0', '', 'sixteen_letters_'] : ['nowhere0', ''];
  const who = {
    state: fc.constantFrom<('master' | 'backup')[]>('master', 'backup'),
    interface: mostly(fc.constant('lo'), fc.constantFrom(...odd)),
    id: fc.constantFrom(0, 1, 255, 256, UINT_MAX),
  };
  const settings = {
    maxLengthBytes: fc.constantFrom(0, 1, 1023, 1024, 1472, 65_507, 65_508, 65_535),
    group: fc.constantFrom('224.0.0.81', '239.255.255.255', 'ff02::81', '10.0.0.1', '2001:db8::1'),
    port: fc.constantFrom(0, 1, 8848, 65_000),
    ttl: fc.constantFrom(0, 1, 255),
  };
  const full = fc.record(
    { ...who, ...settings },
    { requiredKeys: ['state', 'interface', 'id'] },
  ) as fc.Arbitrary<SyncDaemon>;
  return fc.oneof({ weight: via === 'netlink' ? 1 : 9, arbitrary: fc.record(who) }, full);
}
