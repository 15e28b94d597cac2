/** Services: what is written is what the kernel holds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openIpvs } from '../../src/ipvs/ipvs.ts';
import { normalizeService, type VirtualServiceInput } from '../../src/ipvs/service.ts';
import { requireFeature } from '../helpers/feature.ts';
import { schedulers, serviceAddresses, serviceSettings } from '../helpers/kernel-arbitraries.ts';
import { configured, done, kernelTable, refusal } from '../helpers/kernel-table.ts';
import { makeNamespace } from '../helpers/namespace.ts';

const table = kernelTable('services');

/** Writes it and reads it back, alone and in a dump. */
async function roundTrip(input: VirtualServiceInput): Promise<void> {
  const { ipvs } = table;
  await ipvs.addService(input);
  const expected = { ...normalizeService(input), destinations: [] };
  expect(await ipvs.service(input.address)).toEqual(expected);
  expect((await ipvs.snapshot()).services).toEqual([expected]);
}

describe('each kind of service is added, read, edited and deleted', () => {
  it.each([
    'tcp://192.0.2.1:80',
    'udp://192.0.2.1:53',
    'sctp://192.0.2.1:3868',
    'tcp://[2001:db8::1]:80',
    'udp://[2001:db8::1]:53',
    'sctp://[2001:db8::1]:3868',
    'tcp://192.0.2.1:65535',
    'tcp://0.0.0.0:1',
    'tcp://[::ffff:192.0.2.1]:80',
    'fwmark:1',
    'fwmark:1/inet6',
    'fwmark:4294967295',
  ])('%s', async (address) => {
    const { ipvs } = table;
    await roundTrip({ address, scheduler: 'rr' });

    await ipvs.editService(address, { scheduler: 'wrr' });
    expect(await ipvs.service(address)).toMatchObject({ address, scheduler: 'wrr' });

    await ipvs.removeService(address);
    expect(await refusal(ipvs.service(address))).toMatchObject({ code: 'SERVICE_NOT_FOUND', subject: address });
    expect(await ipvs.snapshot()).toEqual({ services: [] });
  });
});

it('services differ by protocol, family, address, port and mark', async () => {
  const addresses = [
    'tcp://192.0.2.1:80',
    'udp://192.0.2.1:80',
    'tcp://192.0.2.1:81',
    'tcp://192.0.2.2:80',
    'tcp://[2001:db8::1]:80',
    'fwmark:1',
    'fwmark:1/inet6',
    'fwmark:2',
  ].sort();
  for (const address of addresses) await table.ipvs.addService({ address });

  expect(configured(await table.ipvs.snapshot()).map(({ address }) => address)).toEqual(addresses);

  await table.ipvs.removeService('fwmark:1');
  const rest = addresses.filter((address) => address !== 'fwmark:1');
  expect(configured(await table.ipvs.snapshot()).map(({ address }) => address)).toEqual(rest);
});

describe('schedulers', () => {
  it.each(schedulers)('%s', async (scheduler) => {
    await roundTrip({ address: 'tcp://192.0.2.1:80', scheduler });
  });

  it('twos', async ({ skip }) => {
    await requireFeature(skip, 'scheduler twos');
    await roundTrip({ address: 'tcp://192.0.2.1:80', scheduler: 'twos' });
  });

  it.each([
    ['sh', ['sh-fallback']],
    ['sh', ['sh-port']],
    ['sh', ['sh-fallback', 'sh-port']],
    ['mh', ['mh-fallback']],
    ['mh', ['mh-port']],
    ['mh', ['mh-fallback', 'mh-port', 'flag-3']],
    ['rr', ['flag-1']],
    ['wlc', ['flag-2', 'flag-3']],
  ])('%s with %j', async (scheduler, schedulerFlags) => {
    await roundTrip({ address: 'udp://192.0.2.1:53', scheduler, schedulerFlags });
  });

  it('an edit to another scheduler leaves no flag of the old one behind', async () => {
    const address = 'udp://192.0.2.1:53';
    await table.ipvs.addService({ address, scheduler: 'sh', schedulerFlags: ['sh-port', 'sh-fallback'] });

    await table.ipvs.editService(address, { scheduler: 'mh' });

    expect(await table.ipvs.service(address)).toMatchObject({ scheduler: 'mh', schedulerFlags: [] });
  });
});

describe('persistence', () => {
  it.each([
    ['one second', 'tcp://192.0.2.1:80', { timeoutSeconds: 1 }],
    ['the longest time', 'tcp://192.0.2.1:80', { timeoutSeconds: 4294967 }],
    ['of IPv4 networks', 'tcp://192.0.2.1:80', { netmask: 24 }],
    ['of all of IPv4 in two halves', 'tcp://192.0.2.1:80', { netmask: 1 }],
    ['by an IPv4 mask with holes', 'tcp://192.0.2.1:80', { netmask: '255.0.255.0' }],
    ['by an empty IPv4 mask', 'tcp://192.0.2.1:80', { netmask: '0.0.0.0' }],
    ['of single IPv6 clients', 'tcp://[2001:db8::1]:80', {}],
    ['of IPv6 networks', 'tcp://[2001:db8::1]:80', { netmask: 64 }],
    ['of all of IPv6 in two halves', 'tcp://[2001:db8::1]:80', { netmask: 1 }],
    ['of a mark', 'fwmark:7', { timeoutSeconds: 900, netmask: 16 }],
    ['of a mark for IPv6', 'fwmark:7/inet6', { timeoutSeconds: 900, netmask: 48 }],
    ['by SIP call', 'udp://192.0.2.1:5060', { engine: 'sip' }],
    ['by SIP call, over IPv6', 'udp://[2001:db8::1]:5060', { engine: 'sip', netmask: 64 }],
    ['for every port', 'tcp://192.0.2.1:0', {}],
    ['for every port, over IPv6', 'udp://[2001:db8::1]:0', {}],
  ])('%s', async (_, address, persistence) => {
    await roundTrip({ address, persistence });
  });

  it('is added by an edit and taken away by one', async () => {
    const address = 'udp://192.0.2.1:5060';
    await table.ipvs.addService({ address });

    await table.ipvs.editService(address, { persistence: { engine: 'sip' } });
    expect(await table.ipvs.service(address)).toMatchObject({
      persistence: { timeoutSeconds: 300, netmask: 32, engine: 'sip' },
    });

    await table.ipvs.editService(address, { persistence: { engine: null } });
    expect(await table.ipvs.service(address)).toMatchObject({
      persistence: { timeoutSeconds: 300, netmask: 32, engine: null },
    });

    await table.ipvs.editService(address, { persistence: null });
    expect(await table.ipvs.service(address)).toMatchObject({ persistence: null });
  });
});

describe('one-packet scheduling', () => {
  it.each(['udp://192.0.2.1:53', 'udp://[2001:db8::1]:53', 'fwmark:3', 'fwmark:3/inet6'])('%s', async (address) => {
    await roundTrip({ address, onePacket: true });
  });
});

describe('a partial edit keeps the rest', () => {
  const before = {
    address: 'udp://192.0.2.1:5060',
    scheduler: 'sh',
    schedulerFlags: ['sh-port'],
    persistence: { timeoutSeconds: 600, netmask: 24, engine: 'sip' },
    onePacket: true,
  };
  const persistence = before.persistence;

  it.each([
    [{ scheduler: 'sh' }, before],
    [{ scheduler: 'wrr' }, { ...before, scheduler: 'wrr', schedulerFlags: [] }],
    [{ schedulerFlags: ['sh-fallback'] }, { ...before, schedulerFlags: ['sh-fallback'] }],
    [{ schedulerFlags: [] }, { ...before, schedulerFlags: [] }],
    [{ persistence: { timeoutSeconds: 60 } }, { ...before, persistence: { ...persistence, timeoutSeconds: 60 } }],
    [{ persistence: { netmask: 8 } }, { ...before, persistence: { ...persistence, netmask: 8 } }],
    [{ persistence: { engine: null } }, { ...before, persistence: { ...persistence, engine: null } }],
    [{ persistence: null }, { ...before, persistence: null }],
    [{ onePacket: false }, { ...before, onePacket: false }],
    [{ scheduler: undefined, onePacket: undefined }, before],
    [{}, before],
  ])('%j', async (changes, after) => {
    await table.ipvs.addService(before);
    await table.ipvs.addDestination(before.address, { address: '10.0.0.1', weight: 7 });
    const { destinations } = await table.ipvs.service(before.address);

    await table.ipvs.editService(before.address, changes);

    expect(await table.ipvs.service(before.address)).toEqual({ ...after, destinations });
  });
});

describe('reading', () => {
  it('without statistics by default, with them on demand', async () => {
    const { ipvs } = table;
    await ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    await ipvs.addDestination('tcp://192.0.2.1:80', { address: '10.0.0.1' });
    const none = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

    const plain = await ipvs.service('tcp://192.0.2.1:80');
    expect(plain).not.toHaveProperty('statistics');
    expect(plain.destinations[0]).not.toHaveProperty('statistics');

    const statistics = { ...none, rates: none };
    const { readAtMs, ...full } = await ipvs.service('tcp://192.0.2.1:80', { statistics: true });
    expect(readAtMs).toBeGreaterThan(0);
    expect(full).toMatchObject({ statistics, destinations: [{ statistics }] });
    expect((await ipvs.snapshot({ statistics: true })).services).toEqual([full]);
  });

  it('no attribute of this kernel is unknown', async () => {
    await table.ipvs.addService({ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip' } });
    await table.ipvs.addDestination('udp://192.0.2.1:5060', {
      address: '10.0.0.1',
      forward: { tunnel: 'gue', port: 6080 },
    });
    const service = await table.ipvs.service('udp://192.0.2.1:5060', { statistics: true });

    expect(service).not.toHaveProperty('unknownAttributes');
    expect(service.destinations[0]).not.toHaveProperty('unknownAttributes');
  });

  it('info tells the version of IPVS and the size of the connection table', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    const { version, connectionTableSize } = await table.ipvs.info();

    expect(version).toBe('1.2.1');
    expect(Math.log2(connectionTableSize) % 1).toBe(0);
  });

  it('a handle sees the table of its own namespace only', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    const other = makeNamespace('services');
    try {
      const ipvs = await openIpvs({ netns: `/run/netns/${other.name}` });
      expect(await ipvs.snapshot()).toEqual({ services: [] });
      await ipvs.close();
    } finally {
      other.remove();
    }
  });
});

it('flush removes every service, and is content with none', async () => {
  const { ipvs } = table;
  for (const address of ['tcp://192.0.2.1:80', 'udp://[2001:db8::1]:53', 'fwmark:1', 'fwmark:1/inet6']) {
    await ipvs.addService({ address });
    await ipvs.addDestination(address, { address: '10.0.0.1', forward: 'tunnel' });
  }

  await ipvs.flush();
  expect(await ipvs.snapshot()).toEqual({ services: [] });
  await ipvs.flush();
});

it('any valid service comes back as it was written, and as it was edited', async () => {
  const edits = serviceAddresses.chain((address) =>
    fc.record({ address: fc.constant(address), before: serviceSettings(address), after: serviceSettings(address) }),
  );
  await fc.assert(
    fc.asyncProperty(edits, async ({ address, before, after }) => {
      await table.ipvs.flush();
      await roundTrip({ address, ...before });

      const service = normalizeService({ address, ...after });
      await done(table.ipvs, [{ type: 'service.edit', service }]);
      expect(await table.ipvs.service(address)).toEqual({ ...service, destinations: [] });
    }),
    { numRuns: 100 },
  );
});
