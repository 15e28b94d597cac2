/** Has the kernel load ip_vs: asking for its netlink family by name does that, and needs no privilege. */
import type { Native } from '../../kernel/native.ts';
import { NetlinkConnection } from '../../netlink/connection.ts';
import { NETLINK_GENERIC, resolveFamily } from '../../netlink/generic.ts';
import { IPVS_FAMILY_NAME } from './wire.ts';

/** Whether it is there now. */
export function loadModule(native: Native): boolean {
  const connection = NetlinkConnection.open({ native, protocol: NETLINK_GENERIC });
  try {
    return resolveFamily(connection, IPVS_FAMILY_NAME) !== undefined;
  } finally {
    connection.close();
  }
}
