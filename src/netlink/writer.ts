/**
 * A growing buffer that messages are written into, one behind the other. As everything stands at multiples of 4,
 * it is filled by words, which costs a fraction of bytes.
 */
import { align, hostIsLittleEndian } from './align.ts';

const NLA_F_NESTED = 0x8000;
const NLA_HEADER_BYTES = 4;
/** The length, header included, has 16 bits. */
const MOST_PAYLOAD_BYTES = 0xffff - NLA_HEADER_BYTES;
const MOST_ASCII = 0x7f;
const utf8 = new TextEncoder();

/** Two numbers of 16 bits, one behind the other, as a word. */
function pair(first: number, second: number): number {
  return hostIsLittleEndian ? first | (second << 16) : (first << 16) | second;
}

/** A word in network order. */
function bigEndian(value: number): number {
  if (!hostIsLittleEndian) return value;
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

export class Writer {
  bytes: Uint8Array;
  length = 0;
  #words: Int32Array;

  constructor(capacityBytes = 4096) {
    this.bytes = new Uint8Array(align(capacityBytes));
    this.#words = new Int32Array(this.bytes.buffer);
  }

  reset(): void {
    this.length = 0;
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  /** Makes room for `size` zeroed bytes, padded to the alignment; returns where they begin. */
  reserve(size: number): number {
    const start = this.#room(size);
    for (let word = start >> 2; word < this.length >> 2; word++) this.#words[word] = 0;
    return start;
  }

  /** The same with what was there before. The buffer may be another one afterwards. */
  #room(size: number): number {
    const start = this.length;
    const end = start + align(size);
    if (end > this.bytes.length) this.#grow(end);
    this.length = end;
    return start;
  }

  #grow(atLeast: number): void {
    const bytes = new Uint8Array(Math.max(atLeast, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.#words = new Int32Array(bytes.buffer);
  }

  /** A word at an offset that is a multiple of 4. */
  setU32(offset: number, value: number): void {
    this.#words[offset >> 2] = value;
  }

  setU16(offset: number, value: number): void {
    this.bytes[offset] = hostIsLittleEndian ? value : value >> 8;
    this.bytes[offset + 1] = hostIsLittleEndian ? value >> 8 : value;
  }

  /** A word of two numbers. */
  setU16Pair(offset: number, first: number, second: number): void {
    this.#words[offset >> 2] = pair(first, second);
  }

  setU32be(offset: number, value: number): void {
    this.#words[offset >> 2] = bigEndian(value);
  }

  /** Attribute header (struct nlattr) and zeroed room for its payload; returns where the payload begins. */
  attribute(type: number, payloadBytes: number): number {
    if (payloadBytes > MOST_PAYLOAD_BYTES) throw new RangeError(`an attribute of ${payloadBytes} bytes`);
    const start = this.reserve(NLA_HEADER_BYTES + payloadBytes);
    this.setU16Pair(start, NLA_HEADER_BYTES + payloadBytes, type);
    return start + NLA_HEADER_BYTES;
  }

  /** An integer of 1, 2 or 4 bytes, in host or in network order. With its padding it is one word. */
  integer(type: number, payloadBytes: number, network: boolean, value: number): void {
    const at = this.#room(NLA_HEADER_BYTES + payloadBytes) >> 2;
    this.#words[at] = pair(NLA_HEADER_BYTES + payloadBytes, type);
    // The upper bits of the value are shifted out, zeros shifted in.
    const unused = 32 - 8 * payloadBytes;
    const atTheTop = value << unused;
    this.#words[at + 1] = network ? bigEndian(atTheTop) : hostIsLittleEndian ? atTheTop >>> unused : atTheTop;
  }

  u8(type: number, value: number): void {
    this.integer(type, 1, false, value);
  }

  u16(type: number, value: number): void {
    this.integer(type, 2, false, value);
  }

  u16be(type: number, value: number): void {
    this.integer(type, 2, true, value);
  }

  u32(type: number, value: number): void {
    this.integer(type, 4, false, value);
  }

  u32be(type: number, value: number): void {
    this.integer(type, 4, true, value);
  }

  u64(type: number, value: bigint): void {
    const at = this.attribute(type, 8);
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    this.setU32(at, hostIsLittleEndian ? low : high);
    this.setU32(at + 4, hostIsLittleEndian ? high : low);
  }

  binary(type: number, value: Uint8Array): void {
    const at = this.attribute(type, value.length);
    this.bytes.set(value, at);
  }

  /** NUL-terminated, as nla_strscpy() expects it. */
  string(type: number, value: string): void {
    const before = this.length;
    const at = this.attribute(type, value.length + 1);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > MOST_ASCII) {
        this.length = before;
        this.binary(type, utf8.encode(`${value}\0`));
        return;
      }
      this.bytes[at + i] = code;
    }
  }

  /** `content` writes what stands inside, which may be made of `value`. */
  nested<T = undefined>(type: number, content: (writer: Writer, value: T) => void, value?: T): void {
    const start = this.attribute(type | NLA_F_NESTED, 0) - NLA_HEADER_BYTES;
    content(this, value as T);
    const length = this.length - start;
    if (length > MOST_PAYLOAD_BYTES) throw new RangeError(`an attribute of ${length} bytes`);
    this.setU16Pair(start, length, type | NLA_F_NESTED);
  }
}
