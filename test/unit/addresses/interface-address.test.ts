import { describe, expect, it } from 'vitest';
import {
  formatInterfaceAddress,
  type InterfaceAddress,
  normalizeInterfaceAddress,
} from '../../../src/addresses/interface-address.ts';

const ipv4: InterfaceAddress = { interface: 'eth0', address: '192.0.2.10', prefixLength: 32 };
const ipv6: InterfaceAddress = { interface: 'eth0.100', address: '2001:db8::a', prefixLength: 64 };

describe('an address on an interface', () => {
  it('is written with its prefix length and its interface', () => {
    expect(formatInterfaceAddress(ipv4)).toBe('192.0.2.10/32 on eth0');
    expect(formatInterfaceAddress(ipv6)).toBe('2001:db8::a/64 on eth0.100');
  });

  it('is made canonical, once', () => {
    expect(normalizeInterfaceAddress({ ...ipv6, address: '2001:DB8:0::000A' })).toEqual(ipv6);
    for (const each of [ipv4, ipv6]) expect(normalizeInterfaceAddress(each)).toEqual(each);
  });

  it.each(['lo', 'bond0', 'br-5e3f', 'wlp0s20f3', 'eth0@a', 'überbrücke', 'fifteen-letters'])(
    '%j is an interface',
    (name) => {
      expect(normalizeInterfaceAddress({ ...ipv4, interface: name }).interface).toBe(name);
    },
  );

  it.each([
    ...['', '.', '..', 'a b', 'a/b', 'eth0:1', 'a\nb', 'a\0b', 'sixteen-letters0', 'ääääääää', 5, null, undefined].map(
      (name) => ['INVALID_OPTION', 'interface', name],
    ),
    ...['', 'eth0', '192.0.2', '192.0.2.010', '192.0.2.1/32', '2001:db8::1%eth0', 5, null, undefined].map((text) => [
      'INVALID_ADDRESS',
      'address',
      text,
    ]),
    ...['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1', 'fe80::1', '::ffff:192.0.2.1'].map((text) => [
      'NOT_A_HOST',
      'address',
      text,
    ]),
    ...[0, 33, -1, 1.5, '32', null, undefined].map((length) => ['INVALID_NETMASK', 'prefixLength', length]),
  ])('is refused, %s: %s %j', (code, field, value) => {
    const attempt = () => normalizeInterfaceAddress({ ...ipv4, [field as string]: value });
    expect(attempt).toThrow(expect.objectContaining({ code, path: [field] }));
  });

  it('of IPv6 has up to 128 bits of prefix', () => {
    expect(normalizeInterfaceAddress({ ...ipv6, prefixLength: 128 }).prefixLength).toBe(128);
    expect(() => normalizeInterfaceAddress({ ...ipv6, prefixLength: 129 })).toThrow(
      expect.objectContaining({ code: 'INVALID_NETMASK' }),
    );
  });

  it.each([null, undefined, 'eth0', [], 5])('is no %j', (input) => {
    expect(() => normalizeInterfaceAddress(input as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });

  it('has nothing else', () => {
    expect(() => normalizeInterfaceAddress({ ...ipv4, label: 'eth0:1' } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', path: ['label'] }),
    );
  });
});
