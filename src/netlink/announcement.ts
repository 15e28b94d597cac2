/** Ethernet frames that tell the neighbours of an interface that an address is to be found there now. */
import type { Link } from './rtnetlink.ts';

const ARPHRD_ETHER = 1;
const IFF_UP = 0x1;
const IFF_NOARP = 0x80;

const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const NOBODY = [0, 0, 0, 0, 0, 0];
const ETHERTYPE_ARP = [0x08, 0x06];
const ETHERTYPE_IPV6 = [0x86, 0xdd];

/** Hardware type Ethernet, protocol type IPv4, addresses of 6 and 4 bytes. */
const ARP_ETHERNET_IPV4 = [0x00, 0x01, 0x08, 0x00, 0x06, 0x04];
const ARP_REQUEST = [0x00, 0x01];
const ARP_REPLY = [0x00, 0x02];

const ALL_NODES = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01];
/** RFC 2464, 7: 33:33 and the last four bytes of the group. */
const ALL_NODES_HARDWARE = [0x33, 0x33, 0, 0, 0, 0x01];
const ICMPV6 = 58;
const NEIGHBOUR_ADVERTISEMENT = 136;
const ROUTER = 0x80;
const OVERRIDE = 0x20;
const TARGET_LINK_LAYER_ADDRESS = 2;

/**
 * What announces an address of 4 or 16 bytes: ARP as a request and as a reply, because some hosts heed only one of
 * them; or a neighbour advertisement. Nothing where there are no neighbours to tell: an interface that is down, not
 * Ethernet, or without ARP.
 */
export function announcements(link: Link, ip: Uint8Array): Uint8Array[] {
  const { type, flags, hardwareAddress, forwardsIpv6 } = link;
  if (type !== ARPHRD_ETHER || hardwareAddress.length !== 6) return [];
  if ((flags & IFF_UP) === 0 || (flags & IFF_NOARP) !== 0) return [];
  if (ip.length === 16) return [unsolicitedAdvertisement(hardwareAddress, ip, forwardsIpv6)];
  return [gratuitousRequest(hardwareAddress, ip), gratuitousReply(hardwareAddress, ip)];
}

/** RFC 5227, 2.3: sender and target are both the address; the target's hardware address is not used. */
export function gratuitousRequest(hardwareAddress: Uint8Array, ip: Uint8Array): Uint8Array {
  return arp(hardwareAddress, ip, ARP_REQUEST, NOBODY);
}

/** RFC 5944, 4.6: the target's hardware address is the sender's, without which Linux does not take it for gratuitous. */
export function gratuitousReply(hardwareAddress: Uint8Array, ip: Uint8Array): Uint8Array {
  return arp(hardwareAddress, ip, ARP_REPLY, hardwareAddress);
}

function arp(
  hardwareAddress: Uint8Array,
  ip: Uint8Array,
  operation: readonly number[],
  target: Iterable<number>,
): Uint8Array {
  const ethernet = [...BROADCAST, ...hardwareAddress, ...ETHERTYPE_ARP];
  return Uint8Array.of(...ethernet, ...ARP_ETHERNET_IPV4, ...operation, ...hardwareAddress, ...ip, ...target, ...ip);
}

/**
 * RFC 4861, 4.4 and 7.2.6: to all nodes, to replace what they knew. `router` tells what the sender is, because who
 * believes that a router is none any more gives up the routes through it.
 */
export function unsolicitedAdvertisement(hardwareAddress: Uint8Array, ip: Uint8Array, router: boolean): Uint8Array {
  const flags = router ? ROUTER | OVERRIDE : OVERRIDE;
  const option = [TARGET_LINK_LAYER_ADDRESS, 1, ...hardwareAddress]; // 1 times 8 bytes
  const message = [NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0, ...ip, ...option];
  const length = message.length;
  const pseudoHeader = [...ip, ...ALL_NODES, 0, 0, 0, length, 0, 0, 0, ICMPV6]; // RFC 8200, 8.1
  const sum = checksum([...pseudoHeader, ...message]);
  message[2] = sum >> 8;
  message[3] = sum & 0xff;
  const hopLimit = 255;
  const header = [0x60, 0, 0, 0, 0, length, ICMPV6, hopLimit, ...ip, ...ALL_NODES];
  return Uint8Array.of(...ALL_NODES_HARDWARE, ...hardwareAddress, ...ETHERTYPE_IPV6, ...header, ...message);
}

/** RFC 1071, of an even number of bytes. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  bytes.forEach((byte, at) => {
    sum += at % 2 === 0 ? byte << 8 : byte;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
