/** Bytes in the middle of others, which a reader must neither look at nor depend on. */
import type { Message } from '../../src/netlink/message.ts';

const MARGIN_BYTES = 64;

/** A payload as a message, between margins that are full of `margin`. */
export function messageIn(payload: Uint8Array, margin = 0, type = 0x1e): Message & { readonly view: WatchedView } {
  const buffer = new Uint8Array(payload.length + 2 * MARGIN_BYTES).fill(margin);
  buffer.set(payload, MARGIN_BYTES);
  const [start, end] = [MARGIN_BYTES, MARGIN_BYTES + payload.length];
  return { type, flags: 0, sequence: 1, view: new WatchedView(buffer.buffer, start, end), start, end };
}

/** Counts what is read, and lets nothing be read beyond its bounds. */
export class WatchedView extends DataView<ArrayBuffer> {
  reads = 0;
  readonly #start: number;
  readonly #end: number;

  constructor(buffer: ArrayBuffer, start: number, end: number) {
    super(buffer);
    this.#start = start;
    this.#end = end;
  }

  #watch(at: number, size: number): void {
    this.reads++;
    if (at < this.#start || at + size > this.#end) {
      throw new Error(`${size} bytes read at ${at}, outside of ${this.#start} to ${this.#end}`);
    }
  }

  override getUint8(at: number): number {
    this.#watch(at, 1);
    return super.getUint8(at);
  }

  override getUint16(at: number, littleEndian?: boolean): number {
    this.#watch(at, 2);
    return super.getUint16(at, littleEndian);
  }

  override getUint32(at: number, littleEndian?: boolean): number {
    this.#watch(at, 4);
    return super.getUint32(at, littleEndian);
  }

  override getInt32(at: number, littleEndian?: boolean): number {
    this.#watch(at, 4);
    return super.getInt32(at, littleEndian);
  }

  override getBigUint64(at: number, littleEndian?: boolean): bigint {
    this.#watch(at, 8);
    return super.getBigUint64(at, littleEndian);
  }
}
