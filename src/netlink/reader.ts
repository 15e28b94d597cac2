/**
 * Walks the attributes of a message (struct nlattr, linux/netlink.h):
 *
 *     0      2      4                  length   align(length)
 *     +------+------+--------------------+.......+
 *     | len  | type |      payload       |  pad  |   the two upper bits of type are flags
 *     +------+------+--------------------+.......+
 *
 * Strict: a length that does not fit, or a payload that is not exactly as long as its type, throws
 * REPLY_MALFORMED with the offset. An attribute without payload is a value of length 0, so every
 * integer and string refuses it.
 */
import { IpvsError } from '../base/errors.ts';
import { align, hostIsLittleEndian } from './align.ts';
import { nulIn, textIn } from './text.ts';

const NLA_TYPE_MASK = 0x3fff;

export class Reader {
  /** Of the current attribute: type without flags, where its payload begins, and how long it is. */
  type = 0;
  start = 0;
  length = 0;
  readonly #view: DataView;
  #end: number;
  #next: number;

  constructor(view: DataView, start: number, end: number) {
    this.#view = view;
    this.#next = start;
    this.#end = end;
  }

  /** Moves to the next attribute; false at the end. */
  next(): boolean {
    const at = this.#next;
    if (at >= this.#end) return false;
    if (this.#end - at < 4) throw malformed(at, 'the attribute header is cut off');
    const header = this.#view.getUint32(at, hostIsLittleEndian);
    const length = hostIsLittleEndian ? header & 0xffff : header >>> 16;
    if (length < 4 || at + length > this.#end) throw malformed(at, `the attribute length ${length} does not fit`);
    this.type = (hostIsLittleEndian ? header >>> 16 : header) & NLA_TYPE_MASK;
    this.start = at + 4;
    this.length = length - 4;
    this.#next = at + align(length);
    return true;
  }

  #exactly(length: number): number {
    if (this.length !== length) {
      throw malformed(this.start, `attribute ${this.type} has ${this.length} bytes instead of ${length}`);
    }
    return this.start;
  }

  /** Of 1, 2 or 4 bytes, in host or in network order. */
  integer(bytes: number, network: boolean): number {
    const start = this.#exactly(bytes);
    const littleEndian = hostIsLittleEndian && !network;
    if (bytes === 4) return this.#view.getUint32(start, littleEndian);
    return bytes === 2 ? this.#view.getUint16(start, littleEndian) : this.#view.getUint8(start);
  }

  u8(): number {
    return this.integer(1, false);
  }

  u16(): number {
    return this.integer(2, false);
  }

  u16be(): number {
    return this.integer(2, true);
  }

  u32(): number {
    return this.integer(4, false);
  }

  u32be(): number {
    return this.integer(4, true);
  }

  /** The payload is aligned to 4 only; a DataView does not mind. */
  u64(): bigint {
    const view = this.#view;
    const start = this.#exactly(8);
    // Most counters of a large table are zero, and each bigint is an object of its own.
    if (view.getUint32(start, true) === 0 && view.getUint32(start + 4, true) === 0) return 0n;
    return view.getBigUint64(start, hostIsLittleEndian);
  }

  /** Where exactly `length` bytes begin in the view. */
  place(length: number): number {
    return this.#exactly(length);
  }

  /** What `read` makes of exactly `length` bytes, which begin at an offset of the view. */
  fixed<T>(length: number, read: (view: DataView, at: number) => T): T {
    return read(this.#view, this.#exactly(length));
  }

  /** A copy of exactly `length` bytes; of all there are if no length is given. */
  binary(length: number = this.length): Uint8Array {
    const start = this.#exactly(length);
    // Of addresses, which are most of what is copied: a view of the buffer would cost more than they do.
    if (length > 16) return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length).slice();
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.#view.getUint8(start + i);
    return bytes;
  }

  /** A string with its terminating NUL, which must be there and be the only one. */
  string(): string {
    const end = this.start + this.length - 1;
    if (this.length === 0 || nulIn(this.#view, this.start, end + 1) !== end)
      throw malformed(this.start, `attribute ${this.type} is not a string`);
    try {
      return textIn(this.#view, this.start, end);
    } catch (cause) {
      throw malformed(this.start, `attribute ${this.type} is not UTF-8`, cause);
    }
  }

  /** Goes on inside the current attribute. */
  enter(): void {
    this.#next = this.start;
    this.#end = this.start + this.length;
  }

  nested(): Reader {
    return new Reader(this.#view, this.start, this.start + this.length);
  }
}

export function malformed(offset: number, detail: string, cause?: unknown): IpvsError {
  return new IpvsError('REPLY_MALFORMED', { detail: `${detail}, at byte ${offset}`, cause });
}
