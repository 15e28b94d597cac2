import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inDestinationOrder, inServiceOrder } from '../../../src/ipvs/order.ts';

const rows = (addresses: readonly string[]) => addresses.map((address) => ({ address }));

describe('the order in which people look for them', () => {
  it('services: IPv4, IPv6, marks; then address, port, protocol', () => {
    const sorted = rows([
      'tcp://9.0.0.1:80',
      'tcp://10.0.0.1:80',
      'udp://10.0.0.1:80',
      'tcp://10.0.0.1:443',
      'tcp://10.0.0.2:22',
      'tcp://[::1]:80',
      'tcp://[2001:db8::1]:80',
      'fwmark:2',
      'fwmark:2/inet6',
      'fwmark:10',
    ]);
    expect(inServiceOrder(sorted.toReversed())).toEqual(sorted);
  });

  it('destinations: IPv4, IPv6; then address, port', () => {
    const sorted = rows(['9.0.0.1:9', '10.0.0.1:80', '10.0.0.1:443', '10.0.0.2:1', '[::2]:1', '[2001:db8::]:1']);
    expect(inDestinationOrder(sorted.toReversed())).toEqual(sorted);
  });

  it('does not depend on the order before, and loses nothing', () => {
    const address = fc.tuple(fc.ipV4(), fc.nat(0xffff)).map(([ip, port]) => ({ address: `${ip}:${port}` }));
    fc.assert(
      fc.property(fc.uniqueArray(address, { selector: (row) => row.address }), fc.gen(), (all, gen) => {
        const shuffled = all.toSorted(() => gen(fc.integer, { min: -1, max: 1 }));
        expect(inDestinationOrder(shuffled)).toEqual(inDestinationOrder(all));
        expect(new Set(inDestinationOrder(all))).toEqual(new Set(all));
      }),
    );
  });
});
