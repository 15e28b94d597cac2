/** A growing buffer that messages are written into, one behind the other. */
import { align, hostIsLittleEndian } from './align.ts';

const NLA_F_NESTED = 0x8000;
/** The length, header included, has 16 bits. */
const MOST_PAYLOAD_BYTES = 0xffff - 4;
const utf8 = new TextEncoder();

export class Writer {
  bytes: Uint8Array;
  length = 0;
  #view: DataView;

  constructor(capacityBytes = 4096) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.bytes.buffer);
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
    const start = this.length;
    const end = start + align(size);
    if (end > this.bytes.length) this.#grow(end);
    this.bytes.fill(0, start, end);
    this.length = end;
    return start;
  }

  #grow(atLeast: number): void {
    const bytes = new Uint8Array(Math.max(atLeast, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  setU8(offset: number, value: number): void {
    this.#view.setUint8(offset, value);
  }

  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, hostIsLittleEndian);
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, hostIsLittleEndian);
  }

  /**
   * Attribute header (struct nlattr) and room for its payload; returns where the payload begins. The
   * buffer may be another one afterwards.
   */
  #attribute(type: number, payloadBytes: number): number {
    if (payloadBytes > MOST_PAYLOAD_BYTES) throw new RangeError(`an attribute of ${payloadBytes} bytes`);
    const start = this.reserve(4 + payloadBytes);
    this.setU16(start, 4 + payloadBytes);
    this.setU16(start + 2, type);
    return start + 4;
  }

  u8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
  }

  u16(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, hostIsLittleEndian);
  }

  u16be(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, false);
  }

  u32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, hostIsLittleEndian);
  }

  u32be(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, false);
  }

  u64(type: number, value: bigint): void {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value, hostIsLittleEndian);
  }

  binary(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length);
    this.bytes.set(value, at);
  }

  /** NUL-terminated, as nla_strscpy() expects it. */
  string(type: number, value: string): void {
    const text = utf8.encode(value);
    const at = this.#attribute(type, text.length + 1);
    this.bytes.set(text, at);
  }

  nested(type: number, content: () => void): void {
    const start = this.length;
    this.#attribute(type | NLA_F_NESTED, 0);
    content();
    const length = this.length - start;
    if (length > MOST_PAYLOAD_BYTES) throw new RangeError(`an attribute of ${length} bytes`);
    this.setU16(start, length);
  }
}
