import { describe, expect, it } from 'vitest';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import type { Request } from '../../../src/netlink/connection.ts';
import { type Message, messagesOf } from '../../../src/netlink/message.ts';
import {
  addAddressRequest,
  addRouteRequest,
  deleteAddressRequest,
  dumpAddressesRequest,
  dumpLinksRequest,
  dumpRoutesRequest,
  linkRequest,
  NETLINK_ROUTE,
  readAddress,
  readLink,
  readRoute,
} from '../../../src/netlink/rtnetlink.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { attribute, hex, le32, message, text, toHex } from '../../helpers/fake-kernel.ts';

/** The type, and what follows the message header. */
function sent(request: Request) {
  const writer = new Writer();
  request.write(writer);
  return { type: request.type, bytes: toHex(writer.take()) };
}

function only(bytes: Uint8Array): Message {
  const [first] = messagesOf(bytes);
  return first as Message;
}

const refused = expect.objectContaining({ code: 'REPLY_MALFORMED' });

describe.runIf(hostIsLittleEndian)('requests of routing netlink, on a little-endian host', () => {
  it('are of protocol 0', () => expect(NETLINK_ROUTE).toBe(0));

  it('all interfaces: RTM_GETLINK with an empty struct ifinfomsg', () => {
    expect(sent(dumpLinksRequest)).toEqual({ type: 18, bytes: '00'.repeat(16) });
  });

  it('an interface: RTM_GETLINK with its name', () => {
    const bytes = `
      00 00 0000 00000000 00000000 00000000   # struct ifinfomsg
      0900 0300 65746830 00 000000            # IFLA_IFNAME "eth0"
    `;
    expect(sent(linkRequest('eth0'))).toEqual({ type: 18, bytes: toHex(hex(bytes)) });
  });

  it('all addresses: RTM_GETADDR with an empty struct ifaddrmsg', () => {
    expect(sent(dumpAddressesRequest)).toEqual({ type: 22, bytes: '00'.repeat(8) });
  });

  it('all routes: RTM_GETROUTE with an empty struct rtmsg', () => {
    expect(sent(dumpRoutesRequest)).toEqual({ type: 26, bytes: '00'.repeat(12) });
  });

  const ipv4 = { index: 0x0102, bytes: hex('c000020a'), prefixLength: 32 };
  const ipv6 = { index: 7, bytes: hex('20010db800000000000000000000000a'), prefixLength: 64 };

  it('an IPv4 address: RTM_NEWADDR and RTM_DELADDR alike', () => {
    const bytes = `
      02 20 00 00 02010000        # AF_INET, /32, no flags, scope universe, index 0x102
      0800 0100 c000020a          # IFA_ADDRESS 192.0.2.10
      0800 0200 c000020a          # IFA_LOCAL
    `;
    expect(sent(addAddressRequest(ipv4))).toEqual({ type: 20, bytes: toHex(hex(bytes)) });
    expect(sent(deleteAddressRequest(ipv4))).toEqual({ type: 21, bytes: toHex(hex(bytes)) });
  });

  it('an IPv6 address is added without duplicate address detection', () => {
    const bytes = `
      0a 40 00 00 07000000                              # AF_INET6, /64
      1400 0100 20010db8000000000000 00000000000a       # IFA_ADDRESS 2001:db8::a
      1400 0200 20010db8000000000000 00000000000a       # IFA_LOCAL
    `;
    const flags = '0800 0800 02000000                   # IFA_FLAGS: IFA_F_NODAD';
    expect(sent(addAddressRequest(ipv6))).toEqual({ type: 20, bytes: toHex(hex(`${bytes}${flags}`)) });
    expect(sent(deleteAddressRequest(ipv6))).toEqual({ type: 21, bytes: toHex(hex(bytes)) });
  });

  it('is added with a lifetime, and deleted whatever it has', () => {
    const bytes = `
      0a 80 00 00 07000000                              # AF_INET6, /128
      1400 0100 20010db8000000000000 00000000000a       # IFA_ADDRESS 2001:db8::a
      1400 0200 20010db8000000000000 00000000000a       # IFA_LOCAL
      1400 0600 00000000 ffffffff 00000000 00000000     # IFA_CACHEINFO: preferred 0, valid for ever
      0800 0800 02000000                                # IFA_FLAGS: IFA_F_NODAD
    `;
    const alone = { ...ipv6, prefixLength: 128, lifetime: { preferredSeconds: 0, validSeconds: 0xffff_ffff } };
    expect(sent(deleteAddressRequest(alone)).bytes).not.toContain('ffffffff');
    expect(sent(addAddressRequest(alone))).toEqual({ type: 20, bytes: toHex(hex(bytes)) });
  });
});

// What Linux sends, shortened to a few attributes.
const ethernet = hex(`
  74000000 1000 0200 01000000 00000000    # length 116, RTM_NEWLINK
  00 00 0100 03000000 43100100 00000000   # ARPHRD_ETHER, index 3, UP|BROADCAST|RUNNING|MULTICAST|LOWER_UP
  0900 0300 65746830 00 000000            # IFLA_IFNAME "eth0"
  0800 0400 dc050000                      # IFLA_MTU 1500
  0a00 0100 0200000000aa 0000             # IFLA_ADDRESS
  3400 1a00                               # IFLA_AF_SPEC
    0c00 0200 0800 0100 01000000          #   AF_INET: IFLA_INET_CONF, of which forwarding is another matter
    2400 0a00                             #   AF_INET6
      0800 0100 00000080                  #     IFLA_INET6_FLAGS
      1800 0200 00000000 40000000 dc050000 01000000 01000000   # IFLA_INET6_CONF: forwarding 0, hop limit 64, ...
`);
const loopback = hex(`
  2c000000 1000 0200 01000000 00000000
  00 00 0403 01000000 49000100 00000000   # ARPHRD_LOOPBACK 772, index 1
  0700 0300 6c6f 00 00                    # "lo"
  0400 0700                               # IFLA_STATS, empty
`);
const inet = hex(`
  50000000 1400 0200 02000000 00000000    # length 80, RTM_NEWADDR
  02 18 80 00 03000000                    # AF_INET, /24, IFA_F_PERMANENT, scope universe, index 3
  0800 0100 c6336401                      # IFA_ADDRESS 198.51.100.1: the other end
  0800 0200 c000020a                      # IFA_LOCAL 192.0.2.10
  0900 0300 65746830 00 000000            # IFA_LABEL
  0800 0800 80000000                      # IFA_FLAGS
  1400 0600 ffffffff ffffffff 10000000 20000000   # IFA_CACHEINFO: preferred and valid for ever
`);
const inet6 = hex(`
  2c000000 1400 0200 02000000 00000000
  0a 80 80 00 03000000                    # AF_INET6, /128
  1400 0100 20010db800000000000000000000000a
`);

describe.runIf(hostIsLittleEndian)('interfaces, on a little-endian host', () => {
  it('have a name, an index, a type, flags and a hardware address', () => {
    expect(readLink(only(ethernet))).toEqual({
      index: 3,
      name: 'eth0',
      type: 1,
      flags: 0x11043,
      hardwareAddress: hex('0200000000aa'),
      forwardsIpv6: false,
    });
    expect(readLink(only(loopback))).toMatchObject({ name: 'lo', type: 772, hardwareAddress: new Uint8Array() });
  });

  it('forward IPv6 where the first of its settings says so', () => {
    const header = [hex('00 00 0100 03000000 00000000 00000000'), attribute(3, text('eth0'))];
    const forwards = (...settings: Uint8Array[]) =>
      readLink(only(message(16, 2, 1, ...header, attribute(26, attribute(10, ...settings))))).forwardsIpv6;
    expect(forwards(attribute(2, le32(1), le32(0)))).toBe(true);
    expect(forwards(attribute(2, le32(0), le32(1)))).toBe(false);
    expect(forwards(attribute(2))).toBe(false);
    expect(forwards()).toBe(false);
  });

  it.each([
    ['another type', message(20, 2, 1, new Uint8Array(16), attribute(3, text('eth0')))],
    ['no name', message(16, 2, 1, new Uint8Array(16))],
    ['an empty name', message(16, 2, 1, hex('00000000 01000000 00000000 00000000'), attribute(3, text('')))],
    ['the index 0', message(16, 2, 1, new Uint8Array(16), attribute(3, text('eth0')))],
    ['a name without an end', message(16, 2, 1, new Uint8Array(16), attribute(3, hex('65746830')))],
  ])('are refused with %s', (_, bytes) => {
    expect(() => readLink(only(bytes))).toThrow(refused);
  });
});

describe.runIf(hostIsLittleEndian)('addresses, on a little-endian host', () => {
  it('are those of this end of the link', () => {
    expect(readAddress(only(inet))).toEqual({
      index: 3,
      bytes: hex('c000020a'),
      prefixLength: 24,
      lifetime: { preferredSeconds: 0xffff_ffff, validSeconds: 0xffff_ffff },
    });
  });

  it('are secondary or deprecated by their flags; of IPv6 the first of them is another', () => {
    const flagged = (flags: number, family = 2, bytes = 'c000020a') =>
      readAddress(
        only(
          message(
            20,
            2,
            1,
            hex(`0${family === 2 ? '2' : 'a'} 18 00 00 03000000`),
            attribute(2, hex(bytes)),
            attribute(8, le32(flags)),
            attribute(6, le32(90), le32(0xffff_ffff), le32(0), le32(0)),
          ),
        ),
      );
    expect(flagged(0x80)).toMatchObject({ lifetime: { preferredSeconds: 90, validSeconds: 0xffff_ffff } });
    expect(flagged(0x80)).not.toHaveProperty('isSecondary');
    expect(flagged(0xa1)).toMatchObject({ isSecondary: true, lifetime: { preferredSeconds: 0 } });
    expect(flagged(0x81, 10, '20010db800000000000000000000000a')).not.toHaveProperty('isSecondary');
  });

  it('of IPv6 are told as IFA_ADDRESS where there is no other end', () => {
    const bytes = hex('20010db800000000000000000000000a');
    expect(readAddress(only(inet6))).toEqual({ index: 3, bytes, prefixLength: 128 });
  });

  it('of other families are none of ours', () => {
    expect(
      readAddress(only(message(20, 2, 1, hex('0c 10 00 00 01000000'), attribute(2, hex('0102'))))),
    ).toBeUndefined();
  });

  it.each([
    ['another type', message(16, 2, 1, hex('02 20 00 00 01000000'), attribute(2, hex('c000020a')))],
    ['none at all', message(20, 2, 1, hex('02 20 00 00 01000000'))],
    ['one of IPv6 for IPv4', message(20, 2, 1, hex('02 20 00 00 01000000'), attribute(2, new Uint8Array(16)))],
    ['a prefix longer than it', message(20, 2, 1, hex('02 21 00 00 01000000'), attribute(2, hex('c000020a')))],
    ['the interface 0', message(20, 2, 1, hex('02 20 00 00 00000000'), attribute(2, hex('c000020a')))],
    ['one of IPv4 for IPv6', message(20, 2, 1, hex('0a 20 00 00 01000000'), attribute(1, new Uint8Array(4)))],
  ])('are refused with %s', (_, bytes) => {
    expect(() => readAddress(only(bytes))).toThrow(refused);
  });
});

const route = hex(`
  44000000 1800 0200 02000000 00000000    # length 68, RTM_NEWROUTE
  02 08 00 00 fe 03 00 01 00000000        # AF_INET, /8, table main, RTPROT_BOOT, scope universe, unicast
  0800 0f00 fe000000                      # RTA_TABLE
  0800 0100 0a000000                      # RTA_DST 10.0.0.0
  0800 0700 c000020a                      # RTA_PREFSRC 192.0.2.10
  0800 0500 c0000201                      # RTA_GATEWAY 192.0.2.1
  0800 0400 03000000                      # RTA_OIF
`);

describe.runIf(hostIsLittleEndian)('routes, on a little-endian host', () => {
  const header = (text: string) => hex(`${text} 00 00 fe 02 00 01 00000000`);

  it('have a destination, and where they lead to', () => {
    expect(readRoute(only(route))).toEqual({
      family: 'inet',
      destination: hex('0a000000'),
      prefixLength: 8,
      index: 3,
      gateway: hex('c0000201'),
      source: hex('c000020a'),
      isKernels: false,
      settings: { table: 254, protocol: 3, scope: 0, tos: 0, flags: 0 },
    });
    const byKernel = readRoute(only(message(24, 2, 1, header('0a 00'))));
    expect(byKernel).toMatchObject({ family: 'inet6', destination: hex(''), prefixLength: 0, isKernels: true });
  });

  // 300 in table 1000, static, scope link, onlink and linkdown, mtu 1400, preference high.
  const whole = [
    hex('0a 30 00 10 fc 04 fd 01 14000000'),
    attribute(1, hex('20010db8000100000000000000000000')),
    attribute(4, le32(3)),
    attribute(6, le32(300)),
    attribute(0x8008, attribute(2, le32(1400))),
    attribute(15, le32(1000)),
    attribute(20, hex('01')),
  ];
  const forEver = attribute(12, new Uint8Array(32));

  it('are added again as they were read', () => {
    const read = readRoute(only(message(24, 2, 1, ...whole, forEver)));
    const { settings = expect.fail(), ...rest } = read ?? expect.fail();
    expect(settings).toEqual({
      table: 1000,
      protocol: 4,
      scope: 253,
      tos: 16,
      flags: 4,
      priority: 300,
      metrics: { mtu: 1400 },
      preference: 1,
    });
    const [header, ...fields] = whole as [Uint8Array, ...Uint8Array[]];
    const asked = toHex(Uint8Array.of(...header.with(8, 4), ...fields.flatMap((field) => [...field])));
    const request = addRouteRequest({ ...rest, settings });
    expect(sent(request)).toEqual({ type: 24, bytes: asked });
    expect(request.flags).toBe(0x600);
    expect(addRouteRequest({ ...rest, settings }, { replaces: true }).flags).toBe(0x500);
  });

  it.each([
    ['several next hops', attribute(9, hex('08000000 03000000'))],
    ['an object of next hops', attribute(30, le32(7))],
    ['a metric of another kind', attribute(8, attribute(16, text('bbr')))],
    ['an end', attribute(12, new Uint8Array(32).with(8, 60))],
  ])('with %s are not understood whole', (_, more) => {
    const fields = whole.filter((each) => each[2] !== more[2]);
    expect(readRoute(only(message(24, 2, 1, ...fields, more)))).not.toHaveProperty('settings');
    expect(readRoute(only(message(24, 2, 1, ...whole)))).toHaveProperty('settings');
  });

  it('that are not unicast, cached, or of another family are none of ours', () => {
    for (const text of [
      '02 00 00 00 fe 02 00 02 00000000',
      '02 00 00 00 fe 02 00 01 00020000',
      '80 00 00 00 fe 02 00 01 00000000',
    ])
      expect(readRoute(only(message(24, 2, 1, hex(text))))).toBeUndefined();
  });

  it.each([
    ['another type', message(20, 2, 1, header('02 00'))],
    ['a network without an address', message(24, 2, 1, header('02 08'))],
    ['one of IPv6 for IPv4', message(24, 2, 1, header('02 08'), attribute(1, new Uint8Array(16)))],
    ['a prefix longer than it', message(24, 2, 1, header('02 21'), attribute(1, new Uint8Array(4)))],
    ['a gateway of IPv6', message(24, 2, 1, header('02 00'), attribute(5, new Uint8Array(16)))],
  ])('are refused with %s', (_, bytes) => {
    expect(() => readRoute(only(bytes))).toThrow(refused);
  });
});

describe.runIf(hostIsLittleEndian)('what is cut off', () => {
  /** Whether nothing of an attribute is left behind. */
  function isBetweenAttributes(bytes: Uint8Array, header: number, length: number): boolean {
    const view = new DataView(bytes.buffer);
    let at = 16 + header;
    while (at < length) {
      const end = at + view.getUint16(at, true);
      if (end > length) return false;
      at = (end + 3) & ~3;
    }
    return length >= 16 + header;
  }

  it.each<[string, Uint8Array, number, (message: Message) => unknown]>([
    ['an interface', ethernet, 16, readLink],
    ['an IPv4 address', inet, 8, readAddress],
    ['an IPv6 address', inet6, 8, readAddress],
    ['a route', route, 12, readRoute],
  ])('inside of an attribute or the header is refused, at any length: %s', (_, bytes, header, read) => {
    for (let length = 16; length < bytes.length; length++) {
      if (isBetweenAttributes(bytes, header, length)) continue;
      const cut = bytes.slice(0, length);
      new DataView(cut.buffer).setUint32(0, length, true);
      expect(() => read(only(cut)), String(length)).toThrow(refused);
    }
  });
});
