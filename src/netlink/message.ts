/**
 * Messages (struct nlmsghdr, linux/netlink.h), one behind the other in a datagram:
 *
 *     0          4      6       8          12         16
 *     +----------+------+-------+----------+----------+------------------+.....+
 *     |  length  | type | flags | sequence | port id  |     payload      | pad |
 *     +----------+------+-------+----------+----------+------------------+.....+
 */
import { align, hostIsLittleEndian } from './align.ts';
import { malformed, Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export const HEADER_BYTES = 16;

export const messageType = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

export const messageFlag = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  /** NLM_F_ROOT | NLM_F_MATCH */
  DUMP: 0x300,
  /** On an acknowledgement: the request is not repeated in it. */
  CAPPED: 0x100,
  /** On an acknowledgement: attributes follow. */
  ACK_TLVS: 0x200,
} as const;

/** Writes one message; `payload` writes what follows the header. */
export function writeMessage(writer: Writer, type: number, flags: number, sequence: number, payload: () => void): void {
  const start = writer.reserve(HEADER_BYTES);
  writer.setU16Pair(start + 4, type, flags);
  writer.setU32(start + 8, sequence);
  payload();
  writer.setU32(start, writer.length - start);
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The payload is view[start..end). */
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

/**
 * The messages of one datagram, one after the other. Not a generator: most datagrams hold one or two, and it would cost
 * more than they do. Throws REPLY_MALFORMED where the lengths do not add up.
 */
export class Messages implements IterableIterator<Message> {
  /** The length of the datagram. */
  readonly bytes: number;
  readonly #view: DataView;
  #at = 0;

  /** The datagram is the first `bytes` of the view. */
  constructor(view: DataView, bytes: number) {
    this.#view = view;
    this.bytes = bytes;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Message, undefined> {
    const at = this.#at;
    if (at >= this.bytes) return { done: true, value: undefined };
    if (this.bytes - at < HEADER_BYTES) throw malformed(at, 'the message header is cut off');
    const view = this.#view;
    const length = view.getUint32(at, hostIsLittleEndian);
    if (length < HEADER_BYTES || at + length > this.bytes) {
      throw malformed(at, `the message length ${length} does not fit`);
    }
    this.#at = at + align(length);
    const value = {
      type: view.getUint16(at + 4, hostIsLittleEndian),
      flags: view.getUint16(at + 6, hostIsLittleEndian),
      sequence: view.getUint32(at + 8, hostIsLittleEndian),
      view,
      start: at + HEADER_BYTES,
      end: at + length,
    };
    return { done: false, value };
  }
}

/** The messages of one datagram. Throws REPLY_MALFORMED where the lengths do not add up. */
export function messagesOf(bytes: Uint8Array): Messages {
  return new Messages(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.length);
}

export interface Acknowledgement {
  /** 0, or the positive errno of the refusal. */
  readonly errno: number;
  /** The kernel's own words (NLMSGERR_ATTR_MSG), where it has any. */
  readonly text: string | undefined;
}

const NLMSGERR_ATTR_MSG = 1;

/** Reads NLMSG_ERROR (struct nlmsgerr): s32 error, the request's header, the request unless capped, attributes. */
export function readAcknowledgement(message: Message): Acknowledgement {
  const { view, start, end, flags } = message;
  if (end - start < 4 + HEADER_BYTES) throw malformed(start, 'the acknowledgement is cut off');
  const errno = errnoAt(view, start);
  let text: string | undefined;
  if (flags & messageFlag.ACK_TLVS) {
    const request = flags & messageFlag.CAPPED ? HEADER_BYTES : view.getUint32(start + 4, hostIsLittleEndian);
    if (request < HEADER_BYTES || request > end - start - 4)
      throw malformed(start + 4, 'the request in it does not fit');
    const attributes = new Reader(view, start + 4 + align(request), end);
    while (attributes.next()) if (attributes.type === NLMSGERR_ATTR_MSG) text = attributes.string();
  }
  return { errno, text };
}

/** Reads the errno that ends a dump (NLMSG_DONE): 0, or the positive errno that broke it off. */
export function readDone({ view, start, end }: Message): number {
  if (end - start < 4) throw malformed(start, 'the end of the dump is cut off');
  return errnoAt(view, start);
}

/** The kernel writes errors as negative numbers; 0 is success. */
function errnoAt(view: DataView, offset: number): number {
  const error = view.getInt32(offset, hostIsLittleEndian);
  if (error > 0) throw malformed(offset, `an error number of ${error}`);
  return 0 - error;
}
