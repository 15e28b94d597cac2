import { describe, expect, it } from 'vitest';
import {
  type AddressOperation,
  addressRefusal,
  describeAddressOperation,
  normalizeAddressOperation,
} from '../../../src/addresses/operation.ts';

const ipv4 = { interface: 'eth0', address: '192.0.2.10', prefixLength: 32 };
const ipv6 = { interface: 'eth0', address: '2001:db8::a', prefixLength: 128 };
const add: AddressOperation = { type: 'address.add', address: ipv4 };
const remove: AddressOperation = { type: 'address.delete', address: ipv4 };
const addIpv6: AddressOperation = { type: 'address.add', address: ipv6 };
const removeIpv6: AddressOperation = { type: 'address.delete', address: ipv6 };

describe('operations on addresses', () => {
  it('have words', () => {
    expect(describeAddressOperation(add)).toEqual({ verb: 'add address', subject: '192.0.2.10/32 on eth0' });
    expect(describeAddressOperation(removeIpv6)).toEqual({
      verb: 'delete address',
      subject: '2001:db8::a/128 on eth0',
    });
  });

  it('are made canonical', () => {
    const given = { type: 'address.add', address: { ...ipv6, address: '2001:DB8::a' } } as const;
    expect(normalizeAddressOperation(given)).toEqual(addIpv6);
  });

  it.each([null, 'address.add', { type: 'address.edit', address: ipv4 }, { type: 'toString', address: ipv4 }, {}])(
    'are refused where they are none: %j',
    (operation) => {
      expect(() => normalizeAddressOperation(operation as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
    },
  );
});

describe('a refusal', () => {
  it.each<[string, number, string, AddressOperation]>([
    ['EPERM', 1, 'PERMISSION_DENIED', add],
    ['ENODEV', 19, 'INTERFACE_NOT_FOUND', add],
    ['ENODEV', 19, 'INTERFACE_NOT_FOUND', remove],
    ['EEXIST', 17, 'ADDRESS_EXISTS', add],
    ['EADDRNOTAVAIL', 99, 'ADDRESS_NOT_FOUND', remove],
    ['EADDRNOTAVAIL', 99, 'KERNEL_REFUSED', addIpv6],
    ['ENXIO', 6, 'ADDRESS_NOT_FOUND', removeIpv6],
    ['EACCES', 13, 'FAMILY_NOT_SUPPORTED', addIpv6],
    ['EACCES', 13, 'KERNEL_REFUSED', add],
    ['EOPNOTSUPP', 95, 'FAMILY_NOT_SUPPORTED', removeIpv6],
    ['EINVAL', 22, 'KERNEL_REFUSED', add],
  ])('%s (%i) is %s of %j', (errnoName, errno, code, operation) => {
    expect(addressRefusal(operation, { errno, text: undefined })).toMatchObject({ code, errno, errnoName });
  });

  it('says what helps', () => {
    const hint = (operation: AddressOperation, errno: number) =>
      addressRefusal(operation, { errno, text: undefined }).hint;
    expect(hint(add, 1)).toContain('CAP_NET_ADMIN in the network namespace');
    expect(hint(add, 17)).toContain('ip address show');
    expect(hint(remove, 99)).toContain('prefix length');
    expect(hint(addIpv6, 13)).toContain('net.ipv6.conf.eth0.disable_ipv6');
    expect(hint(addIpv6, 95)).toContain('not in this kernel');
  });

  it("keeps the kernel's words", () => {
    const answer = { errno: 22, text: 'ipv4: Invalid scope value' };
    expect(addressRefusal(add, answer)).toMatchObject({ code: 'KERNEL_REFUSED', detail: 'ipv4: Invalid scope value' });
  });
});
