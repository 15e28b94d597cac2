import { describe, expect, test } from 'vitest';
import { sortServices, type TableOptions, tableOf, withFreshRates, withOwners } from '../../../src/cli/words/list.ts';
import { count } from '../../../src/cli/words/output.ts';
import type { DestinationState, Snapshot, Statistics, VirtualServiceWithDestinations } from '../../../src/index.ts';

function statistics(connections: bigint, rate = 0n): Statistics {
  const counters = {
    connections,
    packetsIn: connections * 10n,
    packetsOut: 0n,
    bytesIn: connections * 1000n,
    bytesOut: 0n,
  };
  return { ...counters, rates: { connections: rate, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n } };
}

function destination(address: string, weight: number, activeConnections: number): DestinationState {
  const limits = { upperThreshold: 10 * weight, lowerThreshold: 5 };
  const counters = { activeConnections, inactiveConnections: 7, persistentConnections: 2 };
  const total = statistics(BigInt(activeConnections) * 100n);
  return { address, weight, forward: 'masquerade', ...limits, ...counters, statistics: total };
}

function service(address: string, destinations: DestinationState[]): VirtualServiceWithDestinations {
  const sum = destinations.reduce((sum, d) => sum + (d.statistics?.connections ?? 0n), 0n);
  const settings = { scheduler: 'wrr', schedulerFlags: [], persistence: null, onePacket: false };
  return { address, ...settings, destinations, statistics: statistics(sum) };
}

const services = [
  service('tcp://192.0.2.2:80', [destination('10.0.0.2:80', 1, 30), destination('10.0.0.1:80', 3, 20)]),
  service('tcp://192.0.2.1:80', [destination('10.0.0.9:80', 0, 10)]),
  service('fwmark:7', []),
];
const plain = (_: string, text: string) => text;
const options: TableOptions = { view: 'overview', sort: 'address', exact: false, paint: plain };

function table(changes: Partial<TableOptions> = {}, snapshot: Snapshot = { services, readAtMs: 1000 }): string[] {
  return tableOf(snapshot, { ...options, ...changes }).split('\n');
}

describe('the views', () => {
  test('overview: schedulers, forwarding, weights, connections', () => {
    expect(table()).toEqual([
      'SERVICE             SCHEDULER',
      '  DESTINATION       FORWARD     WEIGHT  ACTIVE  INACTIVE',
      'tcp://192.0.2.1:80  wrr',
      '  10.0.0.9:80       masquerade       0      10         7',
      'tcp://192.0.2.2:80  wrr',
      '  10.0.0.1:80       masquerade       3      20         7',
      '  10.0.0.2:80       masquerade       1      30         7',
      'fwmark:7            wrr',
    ]);
  });

  test('with owners, in a column of services and destinations alike', () => {
    const ownerOf = (key: string) =>
      key === 'tcp://192.0.2.1:80' ? 'ours' : key.endsWith(' 10.0.0.1:80') ? 'verb' : 'foreign';
    expect(table({ ownerOf }).slice(0, 6)).toEqual([
      'SERVICE             OWNER    SCHEDULER',
      '  DESTINATION       OWNER    FORWARD     WEIGHT  ACTIVE  INACTIVE',
      'tcp://192.0.2.1:80  ours     wrr',
      '  10.0.0.9:80       foreign  masquerade       0      10         7',
      'tcp://192.0.2.2:80  foreign  wrr',
      '  10.0.0.1:80       verb     masquerade       3      20         7',
    ]);
    expect(table({ ownerOf, view: 'rate' }).slice(0, 4)).toEqual([
      'SERVICE',
      expect.stringMatching(/^ {2}DESTINATION {7}OWNER {4} *CONNECTIONS\/s/),
      expect.stringMatching(/^tcp:\/\/192\.0\.2\.1:80 {2}ours {5} *0/),
      expect.stringMatching(/^ {2}10\.0\.0\.9:80 {7}foreign {2} *0/),
    ]);
    expect(table({ ownerOf }, { services: services.slice(2) })).toEqual([
      'SERVICE        OWNER    SCHEDULER',
      '  DESTINATION  OWNER    FORWARD  WEIGHT  ACTIVE  INACTIVE',
      'fwmark:7       foreign  wrr',
    ]);
    expect(withOwners(services.slice(1, 2), ownerOf)).toMatchObject([
      { address: 'tcp://192.0.2.1:80', owner: 'ours', destinations: [{ address: '10.0.0.9:80', owner: 'foreign' }] },
    ]);
  });

  test('stats: a service has numbers of its own', () => {
    expect(table({ view: 'stats' }).slice(0, 4)).toEqual([
      'SERVICE',
      '  DESTINATION       CONNECTIONS  PACKETS IN  PACKETS OUT  BYTES IN  BYTES OUT',
      'tcp://192.0.2.1:80         1000       10000            0     1.00M          0',
      '  10.0.0.9:80              1000       10000            0     1.00M          0',
    ]);
    expect(table({ view: 'stats', exact: true })[2]).toContain('  1000000  ');
  });

  test('thresholds, and persistence', () => {
    expect(table({ view: 'thresholds' })[6]).toBe(
      '  10.0.0.2:80       masquerade       1     10      5      30         7',
    );
    expect(table({ view: 'persistent' })[6]).toBe(
      '  10.0.0.2:80       masquerade       1          2      30         7',
    );
  });

  test("rates are the kernel's, or those since the snapshot before; unknown where there is none to compare with", () => {
    const of = (address: string, connections: bigint) => ({
      ...service(address, []),
      statistics: statistics(connections, 5n),
    });
    const before = { services: [of('fwmark:1', 100n), of('fwmark:2', 400n)], readAtMs: 1000 };
    const after = { services: [of('fwmark:1', 300n), of('fwmark:2', 300n), of('fwmark:3', 1n)], readAtMs: 3000 };
    expect(
      table({ view: 'rate' }, after)
        .slice(2)
        .map((row) => row.split(/ +/, 2)[1]),
    ).toEqual(['5', '5', '5']);
    const fresh = table({ view: 'rate' }, withFreshRates(before, after));
    expect(fresh.slice(2).map((row) => row.split(/ +/, 2)[1])).toEqual(['100', '-', '-']);
  });

  test('an empty table says so', () => {
    for (const view of ['overview', 'stats'] as const)
      expect(table({ view }, { services: [] })).toEqual(['no services']);
  });
});

describe('order', () => {
  const order = (by: string | undefined, view: TableOptions['view'] = 'overview') =>
    sortServices(services, view, by).map(({ address, destinations }) => [
      address,
      ...destinations.map((d) => d.address),
    ]);
  const [second, first, mark] = services.map(({ address, destinations }) => [
    address,
    ...destinations.map((d) => d.address),
  ]);

  test('by address', () => {
    expect(order('address')).toEqual([first, ['tcp://192.0.2.2:80', '10.0.0.1:80', '10.0.0.2:80'], mark]);
  });
  test("the kernel's", () => expect(order('kernel')).toEqual([second, first, mark]));
  test('services by address, destinations as in the kernel', () => {
    expect(order(undefined)).toEqual([first, second, mark]);
  });
  test('largest first, services by the sum of their destinations or by their own counter', () => {
    expect(order('active')).toEqual([second, first, mark]);
    expect(order('weight')).toEqual([['tcp://192.0.2.2:80', '10.0.0.1:80', '10.0.0.2:80'], first, mark]);
    expect(order('connections', 'stats')).toEqual([second, first, mark]);
  });
  test('by a column that the view has not is refused', () => {
    expect(() => order('bytes-in')).toThrow('but weight, active, inactive, address and kernel');
  });
});

test.each([
  [0, '0'],
  [99_999, '99999'],
  [100_000, '100k'],
  [123_456, '123k'],
  [999_499, '999k'],
  [999_500, '1.00M'],
  [12_345_678n, '12.3M'],
  [9_994_000, '9.99M'],
  [9_996_000, '10.0M'],
  [1_234_567_890_123n, '1.23T'],
  [18_446_744_073_709_551_615n, '18.4E'],
])('%s is shown as %s', (value, text) => expect(count(value)).toBe(text));
