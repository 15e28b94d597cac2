import { describe, expect, it } from 'vitest';
import { ratesBetween } from '../../../src/ipvs/rates.ts';
import type { VirtualServiceWithDestinations } from '../../../src/ipvs/service.ts';

const zero = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

function snapshot(readAtMs: number | undefined, counts: Readonly<Record<string, bigint>>) {
  const services = Object.entries(counts).map(([address, connections]): VirtualServiceWithDestinations => {
    const statistics = { ...zero, connections, bytesIn: connections * 100n, rates: zero };
    const destination = { forward: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0 } as const;
    const counters = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
    return {
      ...{ address, scheduler: 'rr', schedulerFlags: [], persistence: null, onePacket: false, statistics },
      destinations: [{ address: '10.0.0.1:80', ...destination, ...counters, statistics }],
    };
  });
  return readAtMs === undefined ? { services } : { services, readAtMs };
}

describe('rates between two snapshots', () => {
  it('are per second, for services and destinations', () => {
    const rates = { connections: 2.5, packetsIn: 0, packetsOut: 0, bytesIn: 250, bytesOut: 0 };
    expect(ratesBetween(snapshot(1000, { 'fwmark:1': 10n }), snapshot(5000, { 'fwmark:1': 20n }))).toEqual([
      { address: 'fwmark:1', rates, destinations: [{ address: '10.0.0.1:80', rates }] },
    ]);
  });

  it('are unknown for what is new, and for counters that were set back', () => {
    const after = ratesBetween(
      snapshot(1000, { 'fwmark:1': 10n, 'fwmark:3': 1n }),
      snapshot(3000, { 'fwmark:1': 9n, 'fwmark:2': 5n }),
    );
    expect(after.map(({ address, rates, destinations }) => [address, rates, destinations[0]?.rates])).toEqual([
      ['fwmark:1', null, null],
      ['fwmark:2', null, null],
    ]);
  });

  it.each([
    ['no counters', undefined, 1],
    ['the same moment', 1, 1],
    ['the wrong order', 2, 1],
  ])('%s: refused', (_, before, after) => {
    expect(() => ratesBetween(snapshot(before, {}), snapshot(after, {}))).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});
