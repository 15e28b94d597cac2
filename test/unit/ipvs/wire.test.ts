import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import type { Destination, Forward, Tunnel } from '../../../src/ipvs/destination.ts';
import {
  destinationReader,
  dumpDaemonsRequest,
  dumpDestinationsRequest,
  dumpServicesRequest,
  getServiceRequest,
  IPVS_FAMILY_NAME,
  infoRequest,
  operationRequest,
  probeDaemonRequest,
  probeDestinationRequest,
  probeSchedulerRequest,
  readDaemon,
  readInfo,
  readTimeouts,
  serviceReader,
  timeoutsRequest,
} from '../../../src/ipvs/netlink/wire.ts';
import type { Operation } from '../../../src/ipvs/operation.ts';
import { schedulerFlagNames, type VirtualService } from '../../../src/ipvs/service.ts';
import { normalizeSyncDaemon } from '../../../src/ipvs/sync-daemon.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import type { Request } from '../../../src/netlink/connection.ts';
import { type Message, messagesOf, writeMessage } from '../../../src/netlink/message.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { attribute, concat, genericHeader, hex, le16, le32, message, text, toHex } from '../../helpers/fake-kernel.ts';

const FAMILY = 0x1e;

function bytesOf(request: Request, flags = 0x5, sequence = 0x90): Uint8Array {
  const writer = new Writer();
  writeMessage(writer, request.type, flags, sequence, () => request.write(writer));
  return writer.take();
}

/** What follows the netlink header. */
function payloadOf(request: Request): string {
  return toHex(bytesOf(request).subarray(16));
}

function only(bytes: Uint8Array): Message {
  const [first, ...rest] = messagesOf(bytes);
  expect(rest).toEqual([]);
  return first as Message;
}

/** A request carries everything that a reply would say of the object. */
function asReply(request: Request): Message {
  return only(bytesOf(request));
}

const service: VirtualService = {
  address: 'tcp://192.0.2.10:443',
  scheduler: 'wrr',
  schedulerFlags: [],
  persistence: { timeoutSeconds: 360, netmask: 32, engine: null },
  onePacket: false,
};

const destination: Destination = {
  address: '192.0.2.20:8443',
  forward: 'masquerade',
  weight: 5,
  upperThreshold: 0,
  lowerThreshold: 0,
};

// Attributes of enum ipvs_svc_attr and enum ipvs_dest_attr, linux/ip_vs.h.

const SERVICE_V4 = `
  3000 0180                                       # IPVS_CMD_ATTR_SERVICE, nested, 48 bytes
   0600 0100 0200 0000                            # AF AF_INET
   0600 0200 0600 0000                            # PROTOCOL IPPROTO_TCP
   1400 0300 c000020a 00000000 00000000 00000000  # ADDR 192.0.2.10
   0600 0400 01bb 0000                            # PORT 443, network order
`;

describe.runIf(hostIsLittleEndian)('requests, on a little-endian host', () => {
  it('the family is called IPVS', () => expect(IPVS_FAMILY_NAME).toBe('IPVS'));

  it('add service: the whole message', () => {
    expect(toHex(bytesOf(operationRequest(FAMILY, { type: 'service.add', service })))).toBe(
      toHex(
        hex(`
          68000000 1e00 0500 90000000 00000000            # length 104, family 0x1e, REQUEST|ACK, sequence 0x90
          01 01 0000                                      # IPVS_CMD_NEW_SERVICE, version 1
          5400 0180                                       # IPVS_CMD_ATTR_SERVICE, nested, 84 bytes
           0600 0100 0200 0000                            # AF
           0600 0200 0600 0000                            # PROTOCOL
           1400 0300 c000020a 00000000 00000000 00000000  # ADDR
           0600 0400 01bb 0000                            # PORT
           0800 0600 77727200                             # SCHED_NAME "wrr"
           0c00 0700 01000000 3d000000                    # FLAGS PERSISTENT; mask without HASHED
           0800 0800 68010000                             # TIMEOUT 360
           0800 0900 ffffffff                             # NETMASK, network order
        `),
      ),
    );
  });

  it.each<[string, Operation, string]>([
    [
      'add service: IPv6, prefix in host order, an engine, every flag',
      {
        type: 'service.add',
        service: {
          address: 'udp://[2001:db8::1]:5060',
          scheduler: 'sh',
          schedulerFlags: ['sh-fallback', 'sh-port', 'flag-3'],
          persistence: { timeoutSeconds: 300, netmask: 64, engine: 'sip' },
          onePacket: true,
        },
      },
      `01 01 0000
       5c00 0180
        0600 0100 0a00 0000                            # AF_INET6
        0600 0200 1100 0000                            # IPPROTO_UDP
        1400 0300 20010db8 00000000 00000000 00000001
        0600 0400 13c4 0000                            # 5060
        0700 0600 736800 00                            # "sh"
        0c00 0700 3d000000 3d000000                    # PERSISTENT|ONEPACKET|SCHED1|SCHED2|SCHED3
        0800 0800 2c010000                             # 300
        0800 0900 40000000                             # 64
        0800 0b00 73697000                             # PE_NAME "sip"
      `,
    ],
    [
      'add service: a mark, without persistence',
      {
        type: 'service.add',
        service: {
          address: 'fwmark:258',
          scheduler: 'none',
          schedulerFlags: [],
          persistence: null,
          onePacket: false,
        },
      },
      `01 01 0000
       3c00 0180
        0600 0100 0200 0000
        0800 0500 02010000                             # FWMARK 258
        0900 0600 6e6f6e6500 000000                    # "none"
        0c00 0700 00000000 3d000000
        0800 0800 00000000
        0800 0900 ffffffff
      `,
    ],
    [
      'add service: a mark for IPv6, mh with its port flag',
      {
        type: 'service.add',
        service: {
          address: 'fwmark:1/inet6',
          scheduler: 'mh',
          schedulerFlags: ['mh-port'],
          persistence: null,
          onePacket: false,
        },
      },
      `01 01 0000
       3800 0180
        0600 0100 0a00 0000
        0800 0500 01000000
        0700 0600 6d6800 00
        0c00 0700 10000000 3d000000                    # SCHED2
        0800 0800 00000000
        0800 0900 80000000                             # 128
      `,
    ],
    [
      'edit service: an IPv4 netmask, network order',
      {
        type: 'service.edit',
        service: { ...service, persistence: { timeoutSeconds: 1, netmask: 24, engine: null } },
      },
      `02 01 0000
       5400 0180
        0600 0100 0200 0000
        0600 0200 0600 0000
        1400 0300 c000020a 00000000 00000000 00000000
        0600 0400 01bb 0000
        0800 0600 77727200
        0c00 0700 01000000 3d000000
        0800 0800 01000000
        0800 0900 ffffff00
      `,
    ],
    ['delete service', { type: 'service.delete', service: service.address }, `03 01 0000 ${SERVICE_V4}`],
    [
      'add destination',
      { type: 'destination.add', service: service.address, destination },
      `05 01 0000
       ${SERVICE_V4}
       4800 0280                                       # IPVS_CMD_ATTR_DEST, nested, 72 bytes
        1400 0100 c0000214 00000000 00000000 00000000  # ADDR 192.0.2.20
        0600 0200 20fb 0000                            # PORT 8443
        0800 0300 00000000                             # FWD_METHOD MASQ
        0800 0400 05000000                             # WEIGHT
        0800 0500 00000000                             # U_THRESH
        0800 0600 00000000                             # L_THRESH
        0600 0b00 0200 0000                            # ADDR_FAMILY
      `,
    ],
    [
      'edit destination: IPv6 by GUE, with thresholds',
      {
        type: 'destination.edit',
        service: service.address,
        destination: {
          address: '[2001:db8::20]:443',
          forward: { tunnel: 'gue', port: 6080, checksum: 'remcsum' },
          weight: 2147483647,
          upperThreshold: 1000,
          lowerThreshold: 750,
        },
      },
      `06 01 0000
       ${SERVICE_V4}
       6000 0280
        1400 0100 20010db8 00000000 00000000 00000020
        0600 0200 01bb 0000
        0800 0300 02000000                             # TUNNEL
        0800 0400 ffffff7f
        0800 0500 e8030000
        0800 0600 ee020000
        0600 0b00 0a00 0000                            # ADDR_FAMILY AF_INET6
        0500 0d00 01 000000                            # TUN_TYPE GUE
        0600 0e00 17c0 0000                            # TUN_PORT 6080, network order
        0600 0f00 0200 0000                            # TUN_FLAGS REMCSUM
      `,
    ],
    [
      'delete destination: the family is part of the identity',
      { type: 'destination.delete', service: service.address, destination: '192.0.2.20:8443' },
      `07 01 0000
       ${SERVICE_V4}
       2800 0280
        1400 0100 c0000214 00000000 00000000 00000000
        0600 0200 20fb 0000
        0600 0b00 0200 0000
      `,
    ],
    ['flush', { type: 'flush' }, '11 01 0000'],
    ['zero everything', { type: 'zero' }, '10 01 0000'],
    ['zero one service', { type: 'zero', service: service.address }, `10 01 0000 ${SERVICE_V4}`],
    [
      'set one timeout: the others are not said',
      { type: 'timeouts.set', timeouts: { tcpFinSeconds: 60 } },
      '0c 01 0000  0800 0500 3c000000',
    ],
    [
      'set all timeouts',
      { type: 'timeouts.set', timeouts: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 } },
      '0c 01 0000  0800 0400 84030000  0800 0500 78000000  0800 0600 2c010000',
    ],
    [
      "start a sync daemon with the kernel's defaults",
      { type: 'sync.start', daemon: { state: 'master', interface: 'eth0', id: 7 } },
      `09 01 0000
       2000 0380
        0800 0100 01000000
        0900 0200 65746830 00 000000
        0800 0300 07000000
      `,
    ],
    [
      'start a sync daemon: its port is in host byte order',
      {
        type: 'sync.start',
        daemon: {
          state: 'backup',
          interface: 'lo',
          id: 0,
          maxLengthBytes: 1400,
          group: '224.0.0.82',
          port: 8849,
          ttl: 3,
        },
      },
      `09 01 0000
       3c00 0380
        0800 0100 02000000
        0700 0200 6c6f 00 00
        0800 0300 00000000
        0600 0400 7805 0000
        0800 0500 e0000052
        0600 0700 9122 0000
        0500 0800 03 000000
      `,
    ],
    [
      'start a sync daemon on an IPv6 group',
      { type: 'sync.start', daemon: { state: 'master', interface: 'lo', id: 0, group: 'ff02::81' } },
      `09 01 0000
       3000 0380
        0800 0100 01000000
        0700 0200 6c6f 00 00
        0800 0300 00000000
        1400 0600 ff020000 00000000 00000000 00000081
      `,
    ],
    ['stop a sync daemon', { type: 'sync.stop', state: 'backup' }, '0a 01 0000  0c00 0380 0800 0100 02000000'],
  ])('%s', (_, operation, expected) => {
    expect(payloadOf(operationRequest(FAMILY, operation))).toBe(toHex(hex(expected)));
  });

  it.each<[string, Request, string]>([
    ['info', infoRequest(FAMILY), '0f 01 0000'],
    ['all services', dumpServicesRequest(FAMILY), '04 01 0000'],
    ['one service', getServiceRequest(FAMILY, service.address), `04 01 0000 ${SERVICE_V4}`],
    [
      'one service by mark',
      getServiceRequest(FAMILY, 'fwmark:5/inet6'),
      '04 01 0000  1400 0180 0600 0100 0a00 0000 0800 0500 05000000',
    ],
    [
      'a service of a protocol without a name',
      getServiceRequest(FAMILY, 'ip-47://192.0.2.10:443'),
      `04 01 0000 ${SERVICE_V4.replace('0200 0600', '0200 2f00')}`,
    ],
    ['timeouts', timeoutsRequest(FAMILY), '0d 01 0000'],
    ['sync daemons', dumpDaemonsRequest(FAMILY), '0b 01 0000'],
    ['destinations', dumpDestinationsRequest(FAMILY, service.address), `08 01 0000 ${SERVICE_V4}`],
    [
      'probe of a scheduler: a service that no kernel takes, for its netmask is 0',
      probeSchedulerRequest(FAMILY, 'rr'),
      `01 01 0000
       5400 0180
        0600 0100 0a00 0000
        0600 0200 0600 0000
        1400 0300 20010db8 00000000 00000000 00000000
        0600 0400 0001 0000
        0700 0600 727200 00
        0c00 0700 00000000 00000000
        0800 0800 00000000
        0800 0900 00000000
      `,
    ],
    [
      'probe of an engine',
      probeSchedulerRequest(FAMILY, 'none', 'sip'),
      `01 01 0000
       6000 0180
        0600 0100 0a00 0000
        0600 0200 0600 0000
        1400 0300 20010db8 00000000 00000000 00000000
        0600 0400 0001 0000
        0900 0600 6e6f6e65 00 000000
        0c00 0700 00000000 00000000
        0800 0800 00000000
        0800 0900 00000000
        0800 0b00 73697000
      `,
    ],
    [
      'probe of an attribute of destinations: empty, of a destination that no service has',
      probeDestinationRequest(FAMILY, service.address, 13),
      `07 01 0000 ${SERVICE_V4}
       2400 0280
        1400 0100 00000000 00000000 00000000 00000000
        0600 0200 0000 0000
        0400 0d00
      `,
    ],
    [
      'probe of an attribute of sync daemons: empty, of a daemon that cannot be',
      probeDaemonRequest(FAMILY, 8),
      `09 01 0000
       2000 0380
        0800 0100 03000000
        0600 0200 2f00 0000
        0800 0300 00000000
        0400 0800
      `,
    ],
  ])('%s', (_, request, expected) => {
    expect(request.type).toBe(FAMILY);
    expect(payloadOf(request)).toBe(toHex(hex(expected)));
  });

  it.each<[Forward, number]>([
    ['masquerade', 0],
    ['local', 1],
    ['tunnel', 2],
    ['direct', 3],
    ['bypass', 4],
  ])('forwarding by %s is IP_VS_CONN_F number %i, and no word of tunnels', (forward, number) => {
    const request = operationRequest(FAMILY, {
      type: 'destination.add',
      service: service.address,
      destination: { ...destination, forward },
    });
    expect(payloadOf(request)).toContain(`08000300${toHex(le32(number))}`);
    expect(bytesOf(request)).toHaveLength(16 + 4 + 48 + 72);
  });

  it('only an edit of a service goes alone: a new scheduler takes long', () => {
    expect(operationRequest(FAMILY, { type: 'service.edit', service }).alone).toBe(true);
    expect(operationRequest(FAMILY, { type: 'service.add', service }).alone).toBe(false);
  });
});

const STATS_32 = `
  5c00 0a00                                        # STATS, 92 bytes
   0800 0100 ffffffff 0800 0200 02000000 0800 0300 03000000
   0c00 0400 0000000001000000 0c00 0500 0500000000000000                              # bytes have 64
   0800 0600 06000000 0800 0700 07000000 0800 0800 08000000 0800 0900 09000000 0800 0a00 0a000000
`;
const STATS_64 = `
  7c00 0c00                                        # STATS64, 124 bytes
   0c00 0100 0100000000000000 0c00 0200 0200000000000000 0c00 0300 0300000000000000
   0c00 0400 0000000000000080 0c00 0500 ffffffffffffffff                              # beyond 2^53
   0c00 0600 0600000000000000 0c00 0700 0700000000000000 0c00 0800 0800000000000000
   0c00 0900 0900000000000000 0c00 0a00 0a00000000000000
`;
const statistics = {
  connections: 1n,
  packetsIn: 2n,
  packetsOut: 3n,
  bytesIn: 2n ** 63n,
  bytesOut: 2n ** 64n - 1n,
  rates: { connections: 6n, packetsIn: 7n, packetsOut: 8n, bytesIn: 9n, bytesOut: 10n },
};

const SERVICE_FIELDS = `
   0600 0100 0200 0000
   0600 0200 0600 0000
   1400 0300 c000020a 00000000 00000000 00000000
   0600 0400 01bb 0000
   0800 0600 77727200
   0c00 0700 03000000 ffffffff                     # PERSISTENT|HASHED
   0800 0800 68010000
   0800 0900 ffffffff
`;

/** The reply to GET_SERVICE, as the kernel sends it: nests without their flag, HASHED, a full mask. */
const SERVICE_REPLY = hex(`
  40010000 1e00 0000 91000000 ea020000             # length 320
  01 01 0000                                       # IPVS_CMD_NEW_SERVICE
  2c01 0100                                        # IPVS_CMD_ATTR_SERVICE, 300 bytes
   ${SERVICE_FIELDS}
   ${STATS_32}
   ${STATS_64}
`);

/** The order of the kernel: 1 2 3 4 13 14 15 5 6 7 8 9 11 10 12. */
const DESTINATION_FIELDS = `
   1400 0100 c0000214 00000000 00000000 00000000
   0600 0200 20fb 0000
   0800 0300 00010000                              # MASQ, and a flag that is not of the method
   0800 0400 05000000
   0500 0d00 00 000000                             # TUN_TYPE
   0600 0e00 0000 0000                             # TUN_PORT
   0600 0f00 0000 0000                             # TUN_FLAGS
   0800 0500 64000000                              # U_THRESH 100
   0800 0600 4b000000                              # L_THRESH 75
   0800 0700 07000000                              # ACTIVE_CONNS
   0800 0800 08000000                              # INACT_CONNS
   0800 0900 09000000                              # PERSIST_CONNS
   0600 0b00 0200 0000                             # ADDR_FAMILY
`;

const DESTINATION_REPLY = hex(`
  64010000 1e00 0200 92000000 ea020000             # length 356, NLM_F_MULTI
  05 01 0000                                       # IPVS_CMD_NEW_DEST
  5001 0200                                        # IPVS_CMD_ATTR_DEST, 336 bytes
   ${DESTINATION_FIELDS}
   ${STATS_32}
   ${STATS_64}
`);

const TIMEOUTS_REPLY = hex(`
  2c000000 1e00 0000 91000000 ea020000
  0c 01 0000
  0800 0400 84030000  0800 0500 78000000  0800 0600 2c010000
`);

const DAEMON_REPLY = hex(`
  54000000 1e00 0200 91000000 ea020000
  09 01 0000
  4000 0300
   0800 0100 02000000
   0900 0200 65746830 00 000000
   0800 0300 07000000
   0600 0400 c005 0000
   0600 0700 9022 0000
   0500 0800 01 000000
   0800 0500 e0000051
`);

const INFO_REPLY = hex(`
  24000000 1e00 0000 93000000 ea020000
  0e 01 0000                                       # IPVS_CMD_SET_INFO
  0800 0100 01020100                               # VERSION 0x010201
  0800 0200 00100000                               # CONN_TAB_SIZE 4096
`);

function readService(attributes: string, withStatistics = false) {
  const nest = attribute(1, hex(attributes));
  return serviceReader(withStatistics)(only(message(FAMILY, 2, 1, genericHeader(1), nest)));
}

function readDestination(attributes: string, of = service.address) {
  const nest = attribute(2, hex(attributes));
  return destinationReader(false, of)(only(message(FAMILY, 2, 1, genericHeader(5), nest)));
}

describe.runIf(hostIsLittleEndian)('replies, on a little-endian host', () => {
  it('service', () => {
    expect(serviceReader(false)(only(SERVICE_REPLY))).toEqual(service);
  });

  it('service with its statistics, in 64 bits', () => {
    expect(serviceReader(true)(only(SERVICE_REPLY))).toEqual({ ...service, statistics });
  });

  it.each<[string, (message: Message) => { readonly statistics?: unknown }, number, number, string]>([
    ['service', serviceReader(true), 1, 1, SERVICE_FIELDS],
    ['destination', destinationReader(true, service.address), 5, 2, DESTINATION_FIELDS],
  ])('%s: statistics in 32 bits where a kernel sends no others', (_, read, command, nest, fields) => {
    const reply = message(FAMILY, 2, 1, genericHeader(command), attribute(nest, hex(`${fields} ${STATS_32}`)));
    expect(read(only(reply))).toMatchObject({
      statistics: {
        connections: 4294967295n,
        packetsIn: 2n,
        packetsOut: 3n,
        bytesIn: 2n ** 32n,
        bytesOut: 5n,
        rates: { connections: 6n, packetsIn: 7n, packetsOut: 8n, bytesIn: 9n, bytesOut: 10n },
      },
    });
    expect(read(only(reply))).not.toHaveProperty('unknownAttributes');
  });

  it('service: IPv6, prefix in host order, engine, flags', () => {
    expect(
      readService(`
        0600 0100 0a00 0000  0600 0200 1100 0000
        1400 0300 20010db8 00000000 00000000 00000001
        0600 0400 13c4 0000
        0700 0600 736800 00
        0800 0b00 73697000
        0c00 0700 17000000 ffffffff                # PERSISTENT|HASHED|ONEPACKET|SCHED2
        0800 0800 2c010000
        0800 0900 40000000
      `),
    ).toEqual({
      address: 'udp://[2001:db8::1]:5060',
      scheduler: 'sh',
      schedulerFlags: ['sh-port'],
      persistence: { timeoutSeconds: 300, netmask: 64, engine: 'sip' },
      onePacket: true,
    });
  });

  const MARK = '0600 0100 0200 0000 0800 0500 02010000 0900 0600 6e6f6e6500 000000';

  it('service by mark, without persistence', () => {
    expect(readService(`${MARK} 0c00 0700 02000000 ffffffff 0800 0800 00000000 0800 0900 ffffffff`)).toEqual({
      address: 'fwmark:258',
      scheduler: 'none',
      schedulerFlags: [],
      persistence: null,
      onePacket: false,
    });
  });

  it.each([
    ['ffffff00', 24],
    ['ff00ff00', '255.0.255.0'],
    ['00000000', '0.0.0.0'],
    ['80000000', 1],
  ])('the IPv4 netmask %s, network order, is %s', (mask, netmask) => {
    const { persistence } = readService(`${MARK} 0c00 0700 03000000 ffffffff 0800 0800 01000000 0800 0900 ${mask}`);
    expect(persistence).toEqual({ timeoutSeconds: 1, netmask, engine: null });
  });

  it('a protocol without a name is kept as its number', () => {
    const { address } = readService(`
      0600 0100 0200 0000 0600 0200 2f00 0000 1400 0300 c000020a 00000000 00000000 00000000 0600 0400 01bb 0000
      0700 0600 727200 00 0c00 0700 02000000 ffffffff 0800 0800 00000000 0800 0900 ffffffff
    `);
    expect(address).toBe('ip-47://192.0.2.10:443');
  });

  it('what a newer kernel says of a service is kept', () => {
    const known = '0c00 0700 02000000 ffffffff 0800 0800 00000000 0800 0900 ffffffff';
    expect(readService(`${MARK} ${known} 0600 6300 abcd 0000`).unknownAttributes).toEqual([
      { number: 0x63, bytes: Uint8Array.of(0xab, 0xcd) },
    ]);
  });

  it.each([
    ['its family', '0800 0500 02010000 0700 0600 727200 00 0c00 0700 02000000 ffffffff'],
    ['a family that we know', '0600 0100 0700 0000 0800 0500 02010000 0700 0600 727200 00 0c00 0700 02000000 ffffffff'],
    [
      'its address',
      '0600 0100 0200 0000 0600 0200 0600 0000 0600 0400 01bb 0000 0700 0600 727200 00 0c00 0700 02000000 ffffffff',
    ],
    ['its scheduler', '0600 0100 0200 0000 0800 0500 02010000 0c00 0700 02000000 ffffffff'],
    ['its flags', MARK],
    ['its timeout, with persistence', `${MARK} 0c00 0700 03000000 ffffffff 0800 0900 ffffffff`],
  ])('a service without %s is REPLY_MALFORMED', (_, attributes) => {
    expect(() => readService(attributes)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  const SIX =
    '0600 0100 0a00 0000 0800 0500 02010000 0700 0600 727200 00 0c00 0700 03000000 ffffffff 0800 0800 01000000';
  it.each([
    // A mark of 0 is none (ip_vs_ctl.c): then there is an address.
    ['the mark 0', '0600 0100 0200 0000 0800 0500 00000000 0700 0600 727200 00 0c00 0700 02000000 ffffffff'],
    ['the prefix length 0 of IPv6', `${SIX} 0800 0900 00000000`],
    ['the prefix length 129 of IPv6', `${SIX} 0800 0900 81000000`],
  ])('a service with %s is REPLY_MALFORMED', (_, attributes) => {
    expect(() => readService(attributes)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  const destinationState = {
    address: '192.0.2.20:8443',
    forward: 'masquerade',
    weight: 5,
    upperThreshold: 100,
    lowerThreshold: 75,
    activeConnections: 7,
    inactiveConnections: 8,
    persistentConnections: 9,
  };

  it('destination', () => {
    expect(destinationReader(false, service.address)(only(DESTINATION_REPLY))).toEqual(destinationState);
  });

  it('destination with its statistics', () => {
    expect(destinationReader(true, service.address)(only(DESTINATION_REPLY))).toEqual({
      ...destinationState,
      statistics,
    });
  });

  const V4 = '1400 0100 c0000214 00000000 00000000 00000000 0600 0200 20fb 0000';
  const V6 = '1400 0100 20010db8 00000000 00000000 00000020 0600 0200 01bb 0000';
  const NUMBERS = '0800 0400 05000000 0800 0500 00000000 0800 0600 00000000';

  it.each<[string, Forward]>([
    ['0800 0300 00000000', 'masquerade'],
    ['0800 0300 01000000', 'local'],
    ['0800 0300 02000000', 'tunnel'],
    ['0800 0300 03000000', 'direct'],
    ['0800 0300 04000000', 'bypass'],
    ['0800 0300 05000000', 'unknown-5'],
    ['0800 0300 07000000', 'unknown-7'],
    ['0800 0300 f8ffffff', 'masquerade'],
    ['0800 0300 02000000 0500 0d00 00 000000 0600 0e00 0000 0000 0600 0f00 0000 0000', 'tunnel'],
    [
      '0800 0300 02000000 0500 0d00 01 000000 0600 0e00 17c0 0000 0600 0f00 0100 0000',
      { tunnel: 'gue', port: 6080, checksum: 'csum' },
    ],
    ['0800 0300 02000000 0500 0d00 02 000000', { tunnel: 'gre', port: 0, checksum: 'nocsum' }],
    [
      '0800 0300 02000000 0500 0d00 09 000000 0600 0f00 0700 0000',
      { tunnel: 'unknown-9', port: 0, checksum: 'unknown-7' },
    ],
    ['0800 0300 00000000 0500 0d00 01 000000 0600 0e00 17c0 0000', 'masquerade'],
  ])('%s is %j', (attributes, forward) => {
    expect(readDestination(`${V4} ${attributes} ${NUMBERS}`).forward).toEqual(forward);
  });

  it('the family of a destination is its own', () => {
    const address = readDestination(`${V6} 0800 0300 02000000 ${NUMBERS} 0600 0b00 0a00 0000`).address;
    expect(address).toBe('[2001:db8::20]:443');
  });

  it("without one, as before 3.18, it is the service's", () => {
    const attributes = `${V6} 0800 0300 02000000 ${NUMBERS}`;
    expect(readDestination(attributes, 'tcp://[2001:db8::1]:443').address).toBe('[2001:db8::20]:443');
    expect(readDestination(attributes, 'tcp://192.0.2.10:443').address).toBe('32.1.13.184:443');
  });

  it('what a newer kernel says of a destination is kept', () => {
    expect(readDestination(`${V4} 0800 0300 00000000 ${NUMBERS} 0500 1000 01`).unknownAttributes).toEqual([
      { number: 16, bytes: Uint8Array.of(1) },
    ]);
  });

  it.each([
    ['address', `0600 0200 20fb 0000 0800 0300 00000000 ${NUMBERS}`],
    ['method', `${V4} ${NUMBERS}`],
    ['weight', `${V4} 0800 0300 00000000 0800 0500 00000000 0800 0600 00000000`],
  ])('a destination without its %s is REPLY_MALFORMED', (_, attributes) => {
    expect(() => readDestination(attributes)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  it('a weight below zero is REPLY_MALFORMED', () => {
    const attributes = `${V4} 0800 0300 00000000 0800 0400 00000080 0800 0500 00000000 0800 0600 00000000`;
    expect(() => readDestination(attributes)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  it('a message without the object is REPLY_MALFORMED', () => {
    const empty = only(message(FAMILY, 2, 1, genericHeader(1)));
    const refused = expect.objectContaining({ code: 'REPLY_MALFORMED' });
    expect(() => serviceReader(false)(empty)).toThrow(refused);
    expect(() => destinationReader(false, service.address)(empty)).toThrow(refused);
    expect(() => readInfo(empty)).toThrow(refused);
  });

  it('info', () => {
    expect(readInfo(only(INFO_REPLY))).toEqual({ version: '1.2.1', connectionTableSize: 4096 });
  });
});

const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'));
const ip6 = fc.integer({ min: 1, max: 0xffff }).map((n) => `[2001:db8::${n.toString(16)}]`);
const port = fc.integer({ min: 0, max: 0xffff });
const endpoint = fc.tuple(fc.oneof(ip4, ip6), port).map(([ip, number]) => `${ip}:${number}`);
const seconds = fc.integer({ min: 1, max: 4294967 });
const engine = fc.option(fc.constant('sip'));

const anyService: fc.Arbitrary<VirtualService> = fc
  .record({
    address: fc.oneof(
      fc.tuple(fc.constantFrom('tcp', 'udp', 'sctp', 'ip-47'), endpoint).map(([protocol, at]) => `${protocol}://${at}`),
      fc.integer({ min: 1, max: 0xffff_ffff }).map((mark) => `fwmark:${mark}`),
      fc.integer({ min: 1, max: 0xffff_ffff }).map((mark) => `fwmark:${mark}/inet6`),
    ),
    scheduler: fc.constantFrom('rr', 'sh', 'mh', 'none', 'abcdefghijklmno'),
    bits: fc.subarray([0, 1, 2]),
    persistent: fc.boolean(),
    prefix: fc.oneof(fc.integer({ min: 1, max: 32 }), fc.constant('255.0.255.0')),
    prefix6: fc.integer({ min: 1, max: 128 }),
    timeoutSeconds: seconds,
    engine,
    onePacket: fc.boolean(),
  })
  .map(({ address, scheduler, bits, persistent, prefix, prefix6, timeoutSeconds, engine: pe, onePacket }) => {
    const v6 = address.includes('[') || address.endsWith('inet6');
    return {
      address,
      scheduler,
      schedulerFlags: bits.map((bit) => schedulerFlagNames(scheduler)[bit] as string),
      persistence: persistent ? { timeoutSeconds, netmask: v6 ? prefix6 : prefix, engine: pe } : null,
      onePacket,
    };
  });

const tunnel = fc
  .record({
    tunnel: fc.constantFrom('ipip', 'gue', 'gre', 'unknown-9'),
    port,
    checksum: fc.constantFrom('nocsum', 'csum', 'remcsum', 'unknown-300'),
  })
  .filter((t) => t.tunnel !== 'ipip' || t.port !== 0 || t.checksum !== 'nocsum') as fc.Arbitrary<Tunnel>;
const anyDestination: fc.Arbitrary<Destination> = fc.record({
  address: endpoint,
  forward: fc.oneof(
    fc.constantFrom<Forward>('masquerade', 'direct', 'tunnel', 'local', 'bypass', 'unknown-5', 'unknown-6'),
    tunnel,
  ),
  weight: fc.integer({ min: 0, max: 0x7fff_ffff }),
  upperThreshold: fc.integer({ min: 0, max: 0x7fff_ffff }),
  lowerThreshold: fc.integer({ min: 0, max: 0x7fff_ffff }),
});

it.runIf(hostIsLittleEndian)('timeouts', () => {
  expect(readTimeouts(only(TIMEOUTS_REPLY))).toEqual({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 });
});

it.runIf(hostIsLittleEndian)('a sync daemon', () => {
  expect(readDaemon(only(DAEMON_REPLY))).toEqual({
    state: 'backup',
    interface: 'eth0',
    id: 7,
    maxLengthBytes: 1472,
    group: '224.0.0.81',
    port: 8848,
    ttl: 1,
  });
});

describe('what is written is read', () => {
  it('sync daemons', () => {
    const number = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined });
    const anyDaemon = fc
      .record({
        state: fc.constantFrom('master', 'backup'),
        interface: fc.constantFrom('lo', 'eth0', 'abcdefghijklmno'),
        id: fc.integer({ min: 0, max: 255 }),
        maxLengthBytes: number(0xffff),
        group: fc.constantFrom(undefined, '224.0.0.81', '239.255.255.255', 'ff02::81'),
        port: number(0xffff),
        ttl: number(255),
      })
      .map(normalizeSyncDaemon);
    fc.assert(
      fc.property(anyDaemon, (daemon) => {
        expect(readDaemon(asReply(operationRequest(FAMILY, { type: 'sync.start', daemon })))).toEqual(daemon);
      }),
    );
  });

  it('services', () => {
    fc.assert(
      fc.property(anyService, fc.constantFrom('service.add', 'service.edit'), (value, type) => {
        const request = operationRequest(FAMILY, { type, service: value });
        expect(serviceReader(false)(asReply(request))).toEqual(value);
        expect(bytesOf(request)).toEqual(bytesOf(request));
      }),
    );
  });

  it('destinations', () => {
    fc.assert(
      fc.property(anyDestination, fc.constantFrom('destination.add', 'destination.edit'), (value, type) => {
        const request = operationRequest(FAMILY, { type, service: service.address, destination: value });
        expect(destinationReader(false, service.address)(asReply(request))).toMatchObject(value);
        expect(bytesOf(request)).toEqual(bytesOf(request));
      }),
    );
  });
});

describe.runIf(hostIsLittleEndian)('damaged replies', () => {
  const replies: [string, Uint8Array, (message: Message) => unknown][] = [
    ['service', SERVICE_REPLY, serviceReader(true)],
    ['service without statistics', SERVICE_REPLY, serviceReader(false)],
    ['destination', DESTINATION_REPLY, destinationReader(true, service.address)],
    ['destination without statistics', DESTINATION_REPLY, destinationReader(false, service.address)],
    ['info', INFO_REPLY, readInfo],
    ['timeouts', TIMEOUTS_REPLY, readTimeouts],
    ['sync daemon', DAEMON_REPLY, readDaemon],
  ];

  it.each(replies)('%s: every prefix is REPLY_MALFORMED', (_, bytes, read) => {
    for (let length = 1; length < bytes.length; length++) {
      const action = () => [...messagesOf(bytes.slice(0, length))].map(read);
      expect(action, `of ${length} bytes`).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
    }
  });

  it.each(replies)(
    '%s: every prefix whose lengths agree is REPLY_MALFORMED, or the same and less',
    (_, bytes, read) => {
      const whole = read(only(bytes)) as Record<string, unknown>;
      for (let length = 16; length < bytes.length; length++) {
        const cut = bytes.slice(0, length);
        cut.set(le32(length), 0);
        if (length >= 24 && read !== readInfo && read !== readTimeouts) cut.set(le16(length - 20), 20);
        let value: Record<string, unknown>;
        try {
          value = read(only(cut)) as Record<string, unknown>;
        } catch (error) {
          expect(error, `of ${length} bytes`).toMatchObject({ code: 'REPLY_MALFORMED' });
          continue;
        }
        // Counters that are missing count as 0, statistics that are missing are not there.
        for (const [name, part] of Object.entries(value)) {
          if (part !== 0 && name !== 'statistics') expect(part, `${name} of ${length} bytes`).toEqual(whole[name]);
        }
      }
    },
  );

  it.each(replies)('%s: every change of a byte gives a value or an IpvsError', (_, bytes, read) => {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 2, 3, 4, 5, 8, 0x0a, 0x10, 0x40, 0x7f, 0x80, 0xfe, 0xff]) {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          for (const reply of messagesOf(changed)) read(reply);
        } catch (error) {
          if (!(error instanceof IpvsError)) throw new Error(`byte ${at} as ${value}`, { cause: error });
        }
      }
    }
  });

  it('a scheduler that is not UTF-8 is REPLY_MALFORMED', () => {
    const at = Buffer.from(SERVICE_REPLY).indexOf('wrr');
    const changed = SERVICE_REPLY.slice();
    changed[at] = 0xff;
    expect(() => serviceReader(false)(only(changed))).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  it('statistics that are malformed do not matter to who does not want them', () => {
    const reply = message(
      FAMILY,
      2,
      1,
      genericHeader(1),
      attribute(
        1,
        attribute(1, le16(2)),
        attribute(5, le32(5)),
        attribute(6, text('rr')),
        attribute(7, concat(le32(2), le32(0xffff_ffff))),
        attribute(12, Uint8Array.of(1, 2, 3)),
      ),
    );
    expect(serviceReader(false)(only(reply)).address).toBe('fwmark:5');
    expect(() => serviceReader(true)(only(reply))).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });
});
