/**
 * Generic netlink: a family is found by name, then addressed by its number (linux/genetlink.h).
 *
 *     16     17       18         20
 *     +------+--------+----------+------------------+
 *     | cmd  | version| reserved |    attributes    |
 *     +------+--------+----------+------------------+
 */
import { errno, IpvsError } from '../base/errors.ts';
import type { NetlinkConnection, Request } from './connection.ts';
import { decodeFields, encodeFields, type FieldTable, type GivenValues, string, u16 } from './fields.ts';
import type { Message } from './message.ts';
import { malformed, Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export const NETLINK_GENERIC = 16;

const GENL_HEADER_BYTES = 4;
const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
/** Of every family we speak to. */
const VERSION = 1;

const controlFields = {
  familyId: { number: 1, type: u16 },
  familyName: { number: 2, type: string },
} as const satisfies FieldTable;

/** A request to a generic netlink family. */
export function genericRequest<Table extends FieldTable>(
  family: number,
  command: number,
  table: Table,
  values: GivenValues<Table>,
): Request {
  return {
    type: family,
    write(writer) {
      writeGenericHeader(writer, command);
      encodeFields(writer, table, values);
    },
  };
}

/** What follows the message header, before the attributes. */
export function writeGenericHeader(writer: Writer, command: number): void {
  const start = writer.reserve(GENL_HEADER_BYTES);
  writer.bytes[start] = command;
  writer.bytes[start + 1] = VERSION;
}

/** The attributes of a generic netlink message. */
export function attributesOf({ view, start, end }: Message): Reader {
  if (end - start < GENL_HEADER_BYTES) throw malformed(start, 'the generic netlink header is cut off');
  return new Reader(view, start + GENL_HEADER_BYTES, end);
}

/** The family's number, or undefined if the kernel has none of this name (asking makes it load the module). */
export function resolveFamily(connection: NetlinkConnection, name: string): number | undefined {
  const request = genericRequest(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, controlFields, { familyName: name });
  const { outcome, replies } = connection.request(request, (message) =>
    decodeFields(attributesOf(message), controlFields),
  );
  if (outcome.errno === errno.ENOENT) return undefined;
  if (outcome.errno !== 0)
    throw new IpvsError('SOCKET_FAILED', { operation: 'find family', subject: name, errno: outcome.errno });
  const family = replies[0]?.familyId;
  // Below the first of all families are the types of control messages.
  if (family === undefined || family < GENL_ID_CTRL) throw malformed(0, 'the family has no number');
  return family;
}
