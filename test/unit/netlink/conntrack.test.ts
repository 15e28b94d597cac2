import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import type { Request } from '../../../src/netlink/connection.ts';
import {
  connectionStatus,
  deleteConnectionRequest,
  dumpConnectionsRequest,
  getConnectionRequest,
  readConnection,
  readStatistics,
  readUtilisation,
  statisticsRequest,
  type Tuple,
  utilisationRequest,
} from '../../../src/netlink/conntrack.ts';
import { type Message, messagesOf } from '../../../src/netlink/message.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { hex, message, toHex } from '../../helpers/fake-kernel.ts';

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

const inside: Tuple = {
  source: hex('0a000005'),
  destination: hex('c6336409'),
  protocol: 6,
  sourcePort: 57816,
  destinationPort: 8080,
};

const ORIGINAL = `
  3400 0180                                  # CTA_TUPLE_ORIG, nested
    1400 0180 0800 0100 0a000005 0800 0200 c6336409      # CTA_TUPLE_IP: 10.0.0.5 to 198.51.100.9
    1c00 0280 0500 0100 06 000000 0600 0200 e1d8 0000 0600 0300 1f90 0000   # CTA_TUPLE_PROTO: TCP, ports 57816 and 8080
`;

describe.runIf(hostIsLittleEndian)('requests of connection tracking, on a little-endian host', () => {
  it('all connections: IPCTNL_MSG_CT_GET with an empty struct nfgenmsg', () => {
    expect(sent(dumpConnectionsRequest())).toEqual({ type: 0x101, bytes: '00000000' });
  });

  it('those that are source-NATed: status and mask, which the kernel compares', () => {
    const bytes = '02000000 0800 0300 00000010 0800 1a00 00000010';
    const request = dumpConnectionsRequest({ family: 'inet', status: connectionStatus.SRC_NAT });
    expect(sent(request)).toEqual({ type: 0x101, bytes: toHex(hex(bytes)) });
  });

  it('those of one outer end: its tuple, and flags that say what of it must be equal', () => {
    const { source: _, sourcePort: __, ...outer } = inside;
    const bytes = `02000000
      2400 0180 0c00 0180 0800 0200 c6336409 1400 0280 0500 0100 06 000000 0600 0300 1f90 0000
      0800 0300 00000010 0c00 1980 0800 0100 2a000000 0800 1a00 00000010`;
    const request = dumpConnectionsRequest({ family: 'inet', status: connectionStatus.SRC_NAT, original: outer });
    expect(sent(request)).toEqual({ type: 0x101, bytes: toHex(hex(bytes)) });
  });

  it('the connection of a packet from inside', () => {
    const bytes = toHex(hex(`02000000 ${ORIGINAL}`));
    expect(sent(getConnectionRequest('original', inside))).toEqual({ type: 0x101, bytes });
  });

  it('the deletion of one, by its tuple and its number', () => {
    const bytes = toHex(hex(`02000000 ${ORIGINAL} 0800 0c00 f52e4150`));
    expect(sent(deleteConnectionRequest({ original: inside, id: 0xf52e4150, zone: 0 }))).toEqual({
      type: 0x102,
      bytes,
    });
  });

  it('how many there are, and what each processor counted', () => {
    expect(sent(utilisationRequest)).toEqual({ type: 0x105, bytes: '00000000' });
    expect(sent(statisticsRequest)).toEqual({ type: 0x104, bytes: '00000000' });
  });
});

describe('a tuple that is not whole', () => {
  const whole = fc.record({
    source: fc.uint8Array({ maxLength: 20 }),
    destination: fc.uint8Array({ maxLength: 20 }),
    protocol: fc.oneof(fc.integer({ min: -1, max: 300 }), fc.constant(Number.NaN)),
  });

  it('never becomes a deletion: that would be of every connection there is', () => {
    const good = ({ source, destination, protocol }: Tuple) =>
      (source.length === 4 || source.length === 16) && destination.length === source.length && protocol > 0;
    fc.assert(
      fc.property(whole, (tuple) => {
        const request = () => deleteConnectionRequest({ original: tuple, id: 1, zone: 0 });
        if (!good(tuple)) expect(request).toThrow(RangeError);
        else expect(sent(request()).bytes.length / 2).toBeGreaterThan(4 + 24);
      }),
    );
    for (const nothing of [undefined, null, {}, { source: [], destination: [] }]) {
      const original = nothing as unknown as Tuple;
      expect(() => deleteConnectionRequest({ original, id: 1, zone: 0 })).toThrow();
    }
  });
});

const REPLY = `
  3400 0280 1400 0180 0800 0100 c6336409 0800 0200 c6336401 1c00 0280 0500 0100 06 000000 0600 0200 1f90 0000 0600 0300 f641 0000
`;
const CONNECTION = `
  02000000 ${ORIGINAL} ${REPLY}
  0800 0300 0000019e                       # CTA_STATUS
  0800 0700 00000076                       # CTA_TIMEOUT 118
  0800 0c00 f52e4150                       # CTA_ID
  1000 0480 0c00 0180 0500 0100 07 000000  # CTA_PROTOINFO: TCP, TIME_WAIT
  1c00 0980 0c00 0100 0000000000000006 0c00 0200 00000000000001d4   # CTA_COUNTERS_ORIG
  1c00 0a80 0c00 0100 0000000000000005 0c00 0200 0000000100000000   # CTA_COUNTERS_REPLY
`;

describe.runIf(hostIsLittleEndian)('answers of connection tracking', () => {
  const answer = (payload: string) => only(message(0x100, 2, 1, hex(payload)));

  it('a connection', () => {
    expect(readConnection(answer(CONNECTION))).toEqual({
      original: inside,
      reply: {
        source: hex('c6336409'),
        destination: hex('c6336401'),
        protocol: 6,
        sourcePort: 8080,
        destinationPort: 63041,
      },
      status: 0x19e,
      timeoutSeconds: 118,
      mark: 0,
      id: 0xf52e4150,
      zone: 0,
      tcpState: 7,
      originalCounters: { packets: 6n, bytes: 468n },
      replyCounters: { packets: 5n, bytes: 0x1_0000_0000n },
    });
  });

  it('that end anywhere are refused, or say less', () => {
    const bytes = hex(CONNECTION);
    for (let length = 0; length < bytes.length; length++) {
      const cut = only(message(0x100, 2, 1, bytes.slice(0, length)));
      try {
        expect(readConnection(cut)).toMatchObject({ original: inside });
      } catch (error) {
        expect(error).toEqual(refused);
      }
    }
  });

  it('of another kind are refused', () => {
    expect(() => readConnection(only(message(0x102, 0, 1, hex(CONNECTION))))).toThrow(refused);
    expect(() => readConnection(answer(`02000000 ${ORIGINAL}`))).toThrow(refused);
  });

  it('how many there are', () => {
    expect(readUtilisation(only(message(0x105, 0, 1, hex('00000000 0800 0100 00000003 0800 0200 00040000'))))).toEqual({
      entries: 3,
      most: 262144,
    });
    expect(() => readUtilisation(only(message(0x105, 0, 1, hex('00000000'))))).toThrow(refused);
  });

  it('what a processor counted', () => {
    const counted = readStatistics(only(message(0x104, 2, 1, hex('00000000 0800 0900 00000002 0800 0a00 00000002'))));
    expect(counted).toMatchObject({ insertFailed: 2, drop: 2, earlyDrop: 0 });
  });
});
