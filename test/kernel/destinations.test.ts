/** Destinations: what is written is what the kernel holds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DestinationInput, normalizeDestination } from '../../src/ipvs/destination.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { destinations, services } from '../helpers/kernel-arbitraries.ts';
import { configured, configuredDestination, done, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('destinations');

/** Adds it to a new service and reads it back. */
async function roundTrip(service: string, input: DestinationInput): Promise<void> {
  const { ipvs } = table;
  await ipvs.addService({ address: service, persistence: {} });
  await ipvs.addDestination(service, input);
  const connections = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  expect(await ipvs.destinations(service)).toEqual([{ ...normalizeDestination(input, service), ...connections }]);
}

async function addresses(service: string): Promise<string[]> {
  return (await table.ipvs.destinations(service)).map(({ address }) => address);
}

describe('each kind of destination is added, edited and deleted', () => {
  it.each([
    ['tcp://192.0.2.1:80', '10.0.0.1:8080'],
    ['udp://192.0.2.1:53', '10.0.0.1:53'],
    ['sctp://192.0.2.1:3868', '10.0.0.1:3868'],
    ['tcp://192.0.2.1:80', '127.0.0.1:80'],
    ['tcp://[2001:db8::1]:80', '[2001:db8::2]:8080'],
    ['udp://[2001:db8::1]:53', '[fd00::2]:53'],
    ['sctp://[2001:db8::1]:3868', '[2001:db8::2]:3868'],
    ['fwmark:1', '10.0.0.1:0'],
    ['fwmark:1', '10.0.0.1:443'],
    ['fwmark:1/inet6', '[2001:db8::2]:0'],
    ['tcp://192.0.2.1:0', '10.0.0.1:0'],
  ])('%s to %s', async (service, address) => {
    const { ipvs } = table;
    await roundTrip(service, { address });

    await ipvs.editDestination(service, address, { weight: 5 });
    expect(await ipvs.destinations(service)).toMatchObject([{ address, weight: 5 }]);

    await ipvs.removeDestination(service, address);
    expect(await ipvs.destinations(service)).toEqual([]);
    expect(await refusal(ipvs.removeDestination(service, address))).toMatchObject({ code: 'DESTINATION_NOT_FOUND' });
  });
});

it('without a port it has the port of its service', async () => {
  await table.ipvs.addService({ address: 'tcp://192.0.2.1:8443' });
  await table.ipvs.addDestination('tcp://192.0.2.1:8443', { address: '10.0.0.1' });
  expect(await addresses('tcp://192.0.2.1:8443')).toEqual(['10.0.0.1:8443']);

  await table.ipvs.removeDestination('tcp://192.0.2.1:8443', '10.0.0.1');
  expect(await addresses('tcp://192.0.2.1:8443')).toEqual([]);
});

describe('forwarding', () => {
  const service = 'tcp://192.0.2.1:80';
  it.each([
    ['masquerade'],
    ['direct'],
    ['tunnel'],
    ['local'],
    ['bypass'],
    [{ tunnel: 'ipip' }],
    [{ tunnel: 'gue', port: 6080 }],
    [{ tunnel: 'gue', port: 65535, checksum: 'csum' }],
    [{ tunnel: 'gue', port: 1, checksum: 'remcsum' }],
    [{ tunnel: 'gre' }],
    [{ tunnel: 'gre', checksum: 'csum' }],
  ])('%j', async (forward) => {
    await roundTrip(service, { address: '10.0.0.1', forward });
  });

  it.each([
    ['masquerade', { tunnel: 'gue', port: 6080, checksum: 'csum' }],
    [
      { tunnel: 'gue', port: 6080, checksum: 'csum' },
      { tunnel: 'gre', port: 0, checksum: 'csum' },
    ],
    [{ tunnel: 'gre', checksum: 'csum' }, 'tunnel'],
    [{ tunnel: 'gue', port: 6080, checksum: 'remcsum' }, 'direct'],
  ])('is edited from %j to %j', async (before, after) => {
    await roundTrip(service, { address: '10.0.0.1', forward: before });

    await table.ipvs.editDestination(service, '10.0.0.1', { forward: after });

    expect(await table.ipvs.destinations(service)).toMatchObject([{ forward: after }]);
  });

  it.each([
    ['tcp://192.0.2.1:80', '[2001:db8::2]:80', 'tunnel'],
    ['tcp://[2001:db8::1]:80', '10.0.0.1:80', 'tunnel'],
    ['tcp://192.0.2.1:80', '[2001:db8::2]:80', { tunnel: 'gue', port: 6080 }],
    ['fwmark:1/inet6', '10.0.0.1:0', { tunnel: 'gre' }],
  ])('a tunnel crosses address families: %s to %s by %j', async (service, address, forward) => {
    await roundTrip(service, { address, forward });

    await table.ipvs.editDestination(service, address, { weight: 3 });
    expect(await table.ipvs.destinations(service)).toMatchObject([{ address, weight: 3 }]);

    await table.ipvs.removeDestination(service, address);
    expect(await table.ipvs.destinations(service)).toEqual([]);
  });
});

describe('limits', () => {
  it.each([
    [{ weight: 0 }],
    [{ weight: 2 ** 31 - 1 }],
    [{ upperThreshold: 1 }],
    [{ upperThreshold: 2 ** 31 - 1, lowerThreshold: 2 ** 31 - 1 }],
    [{ upperThreshold: 100, lowerThreshold: 50 }],
  ])('%j', async (limits) => {
    await roundTrip('tcp://192.0.2.1:80', { address: '10.0.0.1', ...limits });
  });
});

describe('a partial edit keeps the rest', () => {
  const service = 'tcp://192.0.2.1:80';
  const before = {
    address: '10.0.0.1:80',
    forward: { tunnel: 'gue', port: 6080, checksum: 'csum' },
    weight: 5,
    upperThreshold: 100,
    lowerThreshold: 50,
  };

  it.each([
    [{ weight: 0 }, { ...before, weight: 0 }],
    [{ upperThreshold: 200 }, { ...before, upperThreshold: 200 }],
    [{ lowerThreshold: 0 }, { ...before, lowerThreshold: 0 }],
    [
      { upperThreshold: 0, lowerThreshold: 0 },
      { ...before, upperThreshold: 0, lowerThreshold: 0 },
    ],
    [{ forward: 'direct' }, { ...before, forward: 'direct' }],
    [{ weight: undefined }, before],
    [{}, before],
  ])('%j', async (changes, after) => {
    await table.ipvs.addService({ address: service });
    await table.ipvs.addDestination(service, before);

    await table.ipvs.editDestination(service, before.address, changes);

    expect((await table.ipvs.destinations(service)).map(configuredDestination)).toEqual([after]);
  });
});

describe('order', () => {
  const service = 'tcp://192.0.2.1:80';

  it('is that of the kernel: the newest first, whatever its address', async () => {
    await table.ipvs.addService({ address: service });
    for (const address of ['10.0.0.2', '10.0.0.3', '10.0.0.1']) await table.ipvs.addDestination(service, { address });

    expect(await addresses(service)).toEqual(['10.0.0.1:80', '10.0.0.3:80', '10.0.0.2:80']);
    expect((await table.ipvs.snapshot()).services[0]?.destinations.map(({ address }) => address)).toEqual(
      await addresses(service),
    );
  });

  it('does not change by edits, of the service either', async () => {
    await table.ipvs.addService({ address: service });
    for (const address of ['10.0.0.2', '10.0.0.3', '10.0.0.1']) await table.ipvs.addDestination(service, { address });
    const before = await addresses(service);

    await table.ipvs.editDestination(service, '10.0.0.2', { weight: 9 });
    await table.ipvs.editService(service, { scheduler: 'wrr' });

    expect(await addresses(service)).toEqual(before);
  });
});

it('destinations of one address serve several services, each by itself', async () => {
  const { ipvs } = table;
  for (const service of ['tcp://192.0.2.1:80', 'udp://192.0.2.1:80', 'fwmark:1']) {
    await ipvs.addService({ address: service });
    await ipvs.addDestination(service, { address: '10.0.0.1:80' });
  }

  await ipvs.editDestination('udp://192.0.2.1:80', '10.0.0.1:80', { weight: 9 });
  await ipvs.removeDestination('fwmark:1', '10.0.0.1:80');

  expect(await ipvs.destinations('tcp://192.0.2.1:80')).toMatchObject([{ weight: 1 }]);
  expect(await ipvs.destinations('udp://192.0.2.1:80')).toMatchObject([{ weight: 9 }]);
  expect(await ipvs.destinations('fwmark:1')).toEqual([]);
});

it('any valid table comes back as it was written', async () => {
  const tables = fc.uniqueArray(
    services.chain((service) => destinations(service.address as string).map((list) => ({ service, list }))),
    { maxLength: 5, selector: ({ service }) => service.address },
  );
  await fc.assert(
    fc.asyncProperty(tables, async (described) => {
      await table.ipvs.flush();
      const expected = described.map(({ service, list }) => {
        const { address, ...settings } = normalizeService(service);
        return { address, ...settings, destinations: list.map((input) => normalizeDestination(input, address)) };
      });
      await done(
        table.ipvs,
        expected.flatMap(({ destinations, ...service }): Operation[] => [
          { type: 'service.add', service },
          // The newest stands first.
          ...destinations
            .toReversed()
            .map((destination) => ({ type: 'destination.add', service: service.address, destination }) as const),
        ]),
      );
      expect(configured(await table.ipvs.snapshot())).toEqual(
        expected.sort((a, b) => (a.address < b.address ? -1 : 1)),
      );
    }),
    { numRuns: 60 },
  );
});
