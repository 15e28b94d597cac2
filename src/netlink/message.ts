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

/** Writes one message; `payload` writes what follows the header, which may be made of `value`. */
export function writeMessage<T = undefined>(
  writer: Writer,
  type: number,
  flags: number,
  sequence: number,
  payload: (writer: Writer, value: T) => void,
  value?: T,
): void {
  const start = writer.reserve(HEADER_BYTES);
  writer.setU16Pair(start + 4, type, flags);
  writer.setU32(start + 8, sequence);
  payload(writer, value as T);
  writer.setU32(start, writer.length - start);
}

/** Changes the flags of a message that was written. */
export function setFlags(writer: Writer, start: number, flags: number): void {
  writer.setU16(start + 6, flags);
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
 * The messages of one datagram. It is the message that `advance` moved to, for those who have done with one before they
 * look at the next; as an iterator it gives out an object for each.
 */
export class Messages implements Message, IterableIterator<Message> {
  type = 0;
  flags = 0;
  sequence = 0;
  start = 0;
  end = 0;
  readonly view: DataView;
  /** The length of the datagram. */
  readonly bytes: number;
  #next = 0;

  /** The datagram is the first `bytes` of the view. */
  constructor(view: DataView, bytes: number) {
    this.view = view;
    this.bytes = bytes;
  }

  /** Moves to the next message; false at the end. Throws REPLY_MALFORMED where the lengths do not add up. */
  advance(): boolean {
    const { view, bytes } = this;
    const at = this.#next;
    if (at >= bytes) return false;
    if (bytes - at < HEADER_BYTES) throw malformed(at, 'the message header is cut off');
    const length = view.getUint32(at, hostIsLittleEndian);
    if (length < HEADER_BYTES || at + length > bytes) {
      throw malformed(at, `the message length ${length} does not fit`);
    }
    this.type = view.getUint16(at + 4, hostIsLittleEndian);
    this.flags = view.getUint16(at + 6, hostIsLittleEndian);
    this.sequence = view.getUint32(at + 8, hostIsLittleEndian);
    this.start = at + HEADER_BYTES;
    this.end = at + length;
    this.#next = at + align(length);
    return true;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Message, undefined> {
    if (!this.advance()) return { done: true, value: undefined };
    const { type, flags, sequence, view, start, end } = this;
    return { done: false, value: { type, flags, sequence, view, start, end } };
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

/** MAX_ERRNO, linux/err.h */
const MOST_ERRNO = 4095;

/** The kernel writes errors as negative numbers; 0 is success. */
function errnoAt(view: DataView, offset: number): number {
  const error = view.getInt32(offset, hostIsLittleEndian);
  if (error > 0 || error < -MOST_ERRNO) throw malformed(offset, `an error number of ${error}`);
  return 0 - error;
}
