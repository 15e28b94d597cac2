import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  announcements,
  gratuitousReply,
  gratuitousRequest,
  unsolicitedAdvertisement,
} from '../../../src/netlink/announcement.ts';
import type { Link } from '../../../src/netlink/rtnetlink.ts';
import { hex, toHex } from '../../helpers/fake-kernel.ts';

const hardwareAddress = hex('0200000000aa');
const ipv4 = hex('c000020a');
const ipv6 = hex('20010db800000000000000000000000a');

describe('a gratuitous ARP', () => {
  it('as a request', () => {
    const frame = `
      ffffffffffff 0200000000aa 0806   # to all, from the interface, ARP
      0001 0800 06 04 0001             # Ethernet, IPv4, request
      0200000000aa c000020a            # sender
      000000000000 c000020a            # target
    `;
    expect(toHex(gratuitousRequest(hardwareAddress, ipv4))).toBe(toHex(hex(frame)));
  });

  it('as a reply', () => {
    const frame = `
      ffffffffffff 0200000000aa 0806
      0001 0800 06 04 0002             # reply
      0200000000aa c000020a
      0200000000aa c000020a            # target: the same
    `;
    expect(toHex(gratuitousReply(hardwareAddress, ipv4))).toBe(toHex(hex(frame)));
  });
});

describe('an unsolicited neighbour advertisement', () => {
  const frame = (flags: string, checksum: string) => `
    333300000001 0200000000aa 86dd                # to all nodes, from the interface, IPv6
    60000000 0020 3a ff                           # version 6, 32 bytes of ICMPv6, hop limit 255
    20010db800000000000000000000000a              # from the address itself
    ff020000000000000000000000000001              # to all nodes
    88 00 ${checksum} ${flags} 000000             # advertisement
    20010db800000000000000000000000a              # target
    02 01 0200000000aa                            # target link-layer address
  `;

  it('of a host', () => {
    expect(toHex(unsolicitedAdvertisement(hardwareAddress, ipv6, false))).toBe(toHex(hex(frame('20', 'f86f'))));
  });

  it('of a router', () => {
    expect(toHex(unsolicitedAdvertisement(hardwareAddress, ipv6, true))).toBe(toHex(hex(frame('a0', '786f'))));
  });

  it('has a checksum that makes the sum of everything all ones, whatever is in it', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(6), bytes(16), fc.boolean(), (hardware, ip, router) => {
        const packet = unsolicitedAdvertisement(hardware, ip, router).subarray(14);
        // Source, destination, length and next header; then the message (RFC 8200, 8.1).
        const summed = [...packet.subarray(8, 40), 0, 32, 0, 58, ...packet.subarray(40)];
        let sum = 0;
        for (let at = 0; at < summed.length; at += 2) sum += (summed[at] as number) * 256 + (summed[at + 1] as number);
        expect(sum % 0xffff).toBe(0);
      }),
    );
  });
});

describe('an address is announced', () => {
  const UP = 0x1;
  const NOARP = 0x80;
  const link: Link = { index: 2, name: 'eth0', type: 1, flags: UP, hardwareAddress, forwardsIpv6: false };

  it('of IPv4 by a request and a reply', () => {
    expect(announcements(link, ipv4)).toEqual([
      gratuitousRequest(hardwareAddress, ipv4),
      gratuitousReply(hardwareAddress, ipv4),
    ]);
  });

  it('of IPv6 by an advertisement, a router by that of a router', () => {
    expect(announcements(link, ipv6)).toEqual([unsolicitedAdvertisement(hardwareAddress, ipv6, false)]);
    expect(announcements({ ...link, forwardsIpv6: true }, ipv6)).toEqual([
      unsolicitedAdvertisement(hardwareAddress, ipv6, true),
    ]);
  });

  it.each<[string, Partial<Link>]>([
    ['that is down', { flags: 0 }],
    ['without ARP', { flags: UP | NOARP }],
    ['that is the loopback', { type: 772, hardwareAddress: new Uint8Array(6) }],
    ['that is a tunnel', { type: 768, hardwareAddress: ipv4 }],
    ['without a hardware address', { hardwareAddress: new Uint8Array() }],
  ])('not on an interface %s', (_, other) => {
    expect(announcements({ ...link, ...other }, ipv4)).toEqual([]);
    expect(announcements({ ...link, ...other }, ipv6)).toEqual([]);
  });
});
