/** Everything on a netlink socket starts at a multiple of 4 (NLMSG_ALIGNTO and NLA_ALIGNTO, linux/netlink.h). */
export function align(length: number): number {
  return (length + 3) & ~3;
}

/** Netlink's integers are in host byte order unless a field says otherwise. */
export const hostIsLittleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
