import { describe, expect, it } from 'vitest';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import { NetlinkConnection } from '../../../src/netlink/connection.ts';
import { u32 } from '../../../src/netlink/fields.ts';
import { attributesOf, genericRequest, NETLINK_GENERIC, resolveFamily } from '../../../src/netlink/generic.ts';
import { messagesOf } from '../../../src/netlink/message.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import {
  answer,
  attribute,
  FakeKernel,
  genericHeader,
  hex,
  le16,
  message,
  type Peer,
  text,
  toHex,
} from '../../helpers/fake-kernel.ts';

function connect(peer: Peer) {
  const kernel = new FakeKernel(peer);
  return { kernel, connection: NetlinkConnection.open({ native: kernel, protocol: NETLINK_GENERIC }) };
}

describe.runIf(hostIsLittleEndian)('generic netlink, on a little-endian host', () => {
  it('is protocol 16', () => expect(NETLINK_GENERIC).toBe(16));

  it('a request is struct genlmsghdr and attributes', () => {
    const request = genericRequest(0x1e, 15, { size: { number: 2, type: u32 } }, { size: 5 });
    const writer = new Writer();
    request.write(writer);
    expect(request.type).toBe(0x1e);
    expect(toHex(writer.take())).toBe(toHex(hex('0f 01 0000  0800 0200 05000000')));
  });

  it('attributes begin behind the header', () => {
    const [reply] = messagesOf(message(0x1e, 0, 1, genericHeader(1), attribute(7, Uint8Array.of(9))));
    const reader = attributesOf(reply as NonNullable<typeof reply>);
    expect(reader.next()).toBe(true);
    expect([reader.type, reader.u8()]).toEqual([7, 9]);
    expect(reader.next()).toBe(false);
  });

  it.each([0, 1, 2, 3])('a header of %i bytes is refused', (length) => {
    const [reply] = messagesOf(message(0x1e, 0, 1, new Uint8Array(length)));
    expect(() => attributesOf(reply as NonNullable<typeof reply>)).toThrow(
      expect.objectContaining({ code: 'REPLY_MALFORMED' }),
    );
  });
});

describe.runIf(hostIsLittleEndian)('resolveFamily, on a little-endian host', () => {
  // CTRL_ATTR_FAMILY_NAME 2, CTRL_ATTR_FAMILY_ID 1, CTRL_ATTR_VERSION 3 (linux/genetlink.h)
  const found: Peer = (request) => [
    message(0x10, 0, request.sequence, genericHeader(1, 2), attribute(2, text('IPVS')), attribute(1, le16(0x1e))),
    ...answer(request),
  ];

  it('asks the controller by name', () => {
    const { kernel, connection } = connect(found);
    expect(resolveFamily(connection, 'IPVS')).toBe(0x1e);
    expect(toHex(kernel.requests[0]?.bytes as Uint8Array)).toBe(
      toHex(
        hex(`
          20000000 1000 0500 01000000 00000000   # length 32, GENL_ID_CTRL, REQUEST|ACK, sequence 1
          03 01 0000                             # CTRL_CMD_GETFAMILY
          0900 0200 4950565300 000000            # CTRL_ATTR_FAMILY_NAME "IPVS"
        `),
      ),
    );
  });

  it('is undefined where the kernel has no such family', () => {
    const { connection } = connect((request) => answer(request, 2));
    expect(resolveFamily(connection, 'IPVS')).toBeUndefined();
  });

  it('throws SOCKET_FAILED for any other refusal', () => {
    const { connection } = connect((request) => answer(request, 12));
    expect(() => resolveFamily(connection, 'IPVS')).toThrow(
      expect.objectContaining({ code: 'SOCKET_FAILED', operation: 'find family', subject: 'IPVS', errno: 12 }),
    );
  });

  it.each<[string, Peer]>([
    [
      'without a number',
      (r) => [message(0x10, 0, r.sequence, genericHeader(1), attribute(2, text('IPVS'))), ...answer(r)],
    ],
    ['without attributes', (r) => [message(0x10, 0, r.sequence, genericHeader(1)), ...answer(r)]],
    ['without a reply', (r) => answer(r)],
    [
      'with a number of one byte',
      (r) => [message(0x10, 0, r.sequence, genericHeader(1), attribute(1, Uint8Array.of(5))), ...answer(r)],
    ],
    [
      'with the number of a control message',
      (r) => [message(0x10, 0, r.sequence, genericHeader(1), attribute(1, le16(3))), ...answer(r)],
    ],
  ])('throws REPLY_MALFORMED for an answer %s', (_, peer) => {
    const { connection } = connect(peer);
    expect(() => resolveFamily(connection, 'IPVS')).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });
});
