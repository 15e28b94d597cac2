/** What can be done to the addresses of interfaces, as data; and what the kernel's refusals mean. */
import { errno, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import type { Acknowledgement } from '../netlink/message.ts';
import { formatInterfaceAddress, type InterfaceAddress, normalizeInterfaceAddress } from './interface-address.ts';

export type AddressOperation =
  | { readonly type: 'address.add'; readonly address: InterfaceAddress }
  | { readonly type: 'address.delete'; readonly address: InterfaceAddress };

/** One for each operation, in order. */
export interface AddressResult {
  readonly operation: AddressOperation;
  /** Absent if it was done. */
  readonly error?: IpvsError;
  /** The address was added, and its neighbours could not be told. */
  readonly announcementError?: IpvsError;
}

const verbs: Readonly<Record<AddressOperation['type'], string>> = {
  'address.add': 'add address',
  'address.delete': 'delete address',
};

/** "add address" and "192.0.2.10/32 on eth0": the words of errors, plans and logs. */
export function describeAddressOperation({ type, address }: AddressOperation): { verb: string; subject: string } {
  return { verb: verbs[type], subject: formatInterfaceAddress(address) };
}

/** Throws INVALID_OPTION and those of `normalizeInterfaceAddress`. */
export function normalizeAddressOperation(operation: AddressOperation): AddressOperation {
  if (typeof operation !== 'object' || operation === null)
    throw new IpvsError('INVALID_OPTION', { detail: `${quote(operation)} is no operation` });
  const { type, address } = operation;
  if (!Object.hasOwn(verbs, type))
    throw new IpvsError('INVALID_OPTION', { detail: `there is no operation ${quote(type)}` });
  return { type, address: normalizeInterfaceAddress(address) };
}

/** inet_rtm_newaddr() and inet_rtm_deladdr() of devinet.c, inet6_rtm_newaddr() and inet6_rtm_deladdr() of addrconf.c. */
export function addressRefusal({ type, address }: AddressOperation, answer: Acknowledgement): IpvsError {
  const { errno: code, text } = answer;
  const isIpv6 = address.address.includes(':');
  switch (code) {
    case errno.EPERM: {
      const hint = 'it needs CAP_NET_ADMIN in the network namespace: run it as root';
      return new IpvsError('PERMISSION_DENIED', { errno: code, hint });
    }
    case errno.ENODEV:
      return new IpvsError('INTERFACE_NOT_FOUND', { detail: quote(address.interface), errno: code });
    case errno.EEXIST:
      if (type === 'address.add') return new IpvsError('ADDRESS_EXISTS', { errno: code });
      break;
    case errno.EADDRNOTAVAIL:
    case errno.ENXIO: // no IPv6 at all on the interface
      if (type === 'address.delete') return new IpvsError('ADDRESS_NOT_FOUND', { errno: code });
      break;
    case errno.EACCES:
    case errno.EOPNOTSUPP: {
      if (!isIpv6) break;
      const hint =
        code === errno.EACCES
          ? `IPv6 is switched off there: set net.ipv6.conf.${address.interface}.disable_ipv6 to 0`
          : 'IPv6 is not in this kernel, or switched off when it is booted';
      return new IpvsError('FAMILY_NOT_SUPPORTED', { errno: code, hint });
    }
  }
  return new IpvsError('KERNEL_REFUSED', { errno: code, ...(text !== undefined && { detail: text }) });
}
