/** Valid services and destinations at random, of everything that every kernel since 6.1 can hold. */
import fc from 'fast-check';
import type { DestinationInput, TunnelInput } from '../../src/ipvs/destination.ts';
import { schedulerFlagNames, type VirtualServiceInput } from '../../src/ipvs/service.ts';
import type { Family } from '../../src/net/address.ts';
import { parseServiceAddress } from '../../src/net/address.ts';

/** Those of every kernel that is tested: Debian bookworm has no `twos`. */
export const schedulers = [
  'none',
  'rr',
  'wrr',
  'lc',
  'wlc',
  'sed',
  'nq',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'mh',
  'fo',
  'ovf',
] as const;

const families: fc.Arbitrary<Family> = fc.constantFrom('inet', 'inet6');

/** The kernel takes only unicast addresses for destinations, so all are. */
function hosts(family: Family): fc.Arbitrary<string> {
  if (family === 'inet') {
    return fc
      .tuple(fc.constantFrom(10, 172, 192), fc.nat(255), fc.nat(255), fc.nat(255))
      .map((bytes) => bytes.join('.'));
  }
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 6, maxLength: 6 });
  return groups.map((groups) => `[2001:db8:${groups.map((group) => group.toString(16)).join(':')}]`);
}

const ports = fc.integer({ min: 1, max: 0xffff });

/** Of either family, by address and by mark. */
export const serviceAddresses: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 3,
    arbitrary: families
      .chain((family) => fc.tuple(fc.constantFrom('tcp', 'udp', 'sctp'), hosts(family), ports))
      .map(([protocol, host, port]) => `${protocol}://${host}:${port}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 0xffff_ffff }), families)
      .map(([mark, family]) => `fwmark:${mark}${family === 'inet6' ? '/inet6' : ''}`),
  },
);

/** Everything about a service but its address. */
export function serviceSettings(address: string): fc.Arbitrary<Omit<VirtualServiceInput, 'address'>> {
  const parsed = parseServiceAddress(address);
  const udp = 'protocol' in parsed && parsed.protocol === 'udp';
  const prefix = fc.integer({ min: 1, max: parsed.family === 'inet' ? 32 : 128 });
  const mask = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((bytes) => bytes.join('.'));
  return fc.constantFrom(...schedulers).chain((scheduler) =>
    fc.record({
      scheduler: fc.constant(scheduler),
      schedulerFlags: fc.subarray([...schedulerFlagNames(scheduler)]),
      persistence: fc.option(
        fc.record({
          timeoutSeconds: fc.integer({ min: 1, max: 4_294_967 }),
          netmask: parsed.family === 'inet' ? fc.oneof(prefix, mask) : prefix,
          engine: udp ? fc.constantFrom(null, 'sip') : fc.constant(null),
        }),
      ),
      onePacket: udp || 'fwmark' in parsed ? fc.boolean() : fc.constant(false),
    }),
  );
}

export const services: fc.Arbitrary<VirtualServiceInput> = serviceAddresses.chain((address) =>
  serviceSettings(address).map((settings) => ({ address, ...settings })),
);

const tunnels: fc.Arbitrary<string | TunnelInput> = fc.oneof(
  fc.constant('tunnel'),
  fc.record({
    tunnel: fc.constant('gue'),
    port: ports,
    checksum: fc.constantFrom('nocsum', 'csum', 'remcsum'),
  }),
  fc.record({ tunnel: fc.constant('gre'), checksum: fc.constantFrom('nocsum', 'csum') }),
);

/** Destinations that this service can have, of distinct addresses. */
export function destinations(service: string): fc.Arbitrary<DestinationInput[]> {
  const of = parseServiceAddress(service);
  const other = of.family === 'inet' ? 'inet6' : 'inet';
  const samePort = fc.constant('port' in of ? of.port : 0);
  const weight = fc.oneof(fc.nat(100), fc.nat(0x7fff_ffff));
  const thresholds = fc.tuple(fc.nat(0x7fff_ffff), fc.nat(0x7fff_ffff));
  const way = fc.oneof(
    fc.tuple(hosts(of.family), fc.nat(0xffff), fc.constant('masquerade')),
    fc.tuple(hosts(of.family), samePort, fc.oneof(fc.constantFrom('direct', 'local', 'bypass'), tunnels)),
    fc.tuple(hosts(other), samePort, tunnels),
  );
  const one = fc.tuple(way, weight, thresholds).map(([[host, port, forward], weight, [a, b]]) => ({
    address: `${host}:${port}`,
    forward,
    weight,
    upperThreshold: Math.max(a, b),
    lowerThreshold: Math.min(a, b),
  }));
  return fc.uniqueArray(one, { maxLength: 6, selector: ({ address }) => address });
}
