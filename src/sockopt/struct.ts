/**
 * Structs of C as tables: fields in the order of the header, each at the next multiple of its alignment,
 * which is how the ABIs of x86-64 and aarch64 lay them out (a test asks both compilers). Integers are in
 * host byte order unless the field says otherwise.
 */
import { IpvsError } from '../base/errors.ts';
import { hostIsLittleEndian } from '../netlink/align.ts';
import { nulIn, textIn } from '../netlink/text.ts';

export interface StructField<T> {
  readonly sizeBytes: number;
  readonly alignBytes: number;
  write(view: DataView, at: number, value: T): void;
  read(view: DataView, at: number): T;
}

/** A struct is a field too: structs stand in structs. */
export interface Struct<Values> extends StructField<Values> {
  /** Where each field begins. */
  readonly offsets: Readonly<Record<keyof Values, number>>;
  /** Each field by itself, of the struct at `at`: of tens of thousands of structs only what is wanted is read. */
  readonly readers: { readonly [Name in keyof Values]: (view: DataView, at: number) => Values[Name] };
}

/** In the order of the header. */
export type StructFields<Values> = { readonly [Name in keyof Values]: StructField<Values[Name]> };

export function struct<Values>(fields: StructFields<Values>): Struct<Values> {
  const names = Object.keys(fields) as (keyof Values)[];
  const offsets = {} as Record<keyof Values, number>;
  const readers = {} as { [Name in keyof Values]: (view: DataView, at: number) => Values[Name] };
  let end = 0;
  let alignBytes = 1;
  for (const name of names) {
    const field = fields[name];
    const offset = roundUp(end, field.alignBytes);
    offsets[name] = offset;
    readers[name] = (view, at) => field.read(view, at + offset);
    end = offset + field.sizeBytes;
    alignBytes = Math.max(alignBytes, field.alignBytes);
  }
  return {
    sizeBytes: roundUp(end, alignBytes),
    alignBytes,
    offsets,
    readers,
    write(view, at, values) {
      for (const name of names) fields[name].write(view, at + offsets[name], values[name]);
    },
    read(view, at) {
      const values: Partial<Values> = {};
      for (const name of names) values[name] = readers[name](view, at);
      return values as Values;
    },
  };
}

function roundUp(length: number, alignBytes: number): number {
  return Math.ceil(length / alignBytes) * alignBytes;
}

/** The struct as the kernel takes it, padding zeroed. */
export function bytesOf<T>(type: StructField<T>, value: T): Uint8Array {
  const bytes = new Uint8Array(type.sizeBytes);
  type.write(viewOf(bytes), 0, value);
  return bytes;
}

/** Reads the struct at `at`. Throws REPLY_MALFORMED where the bytes end before it does. */
export function valueAt<T>(type: StructField<T>, bytes: Uint8Array, at = 0): T {
  if (at + type.sizeBytes > bytes.length) {
    throw new IpvsError('REPLY_MALFORMED', { detail: `${bytes.length} bytes, ${at + type.sizeBytes} expected` });
  }
  return type.read(viewOf(bytes), at);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const LE = hostIsLittleEndian;

export const u16: StructField<number> = {
  sizeBytes: 2,
  alignBytes: 2,
  write: (view, at, value) => view.setUint16(at, value, LE),
  read: (view, at) => view.getUint16(at, LE),
};
/** Network byte order. */
export const u16be: StructField<number> = {
  sizeBytes: 2,
  alignBytes: 2,
  write: (view, at, value) => view.setUint16(at, value, false),
  read: (view, at) => view.getUint16(at, false),
};
export const u32: StructField<number> = {
  sizeBytes: 4,
  alignBytes: 4,
  write: (view, at, value) => view.setUint32(at, value, LE),
  read: (view, at) => view.getUint32(at, LE),
};
/** Network byte order. */
export const u32be: StructField<number> = {
  sizeBytes: 4,
  alignBytes: 4,
  write: (view, at, value) => view.setUint32(at, value, false),
  read: (view, at) => view.getUint32(at, false),
};
export const s32: StructField<number> = {
  sizeBytes: 4,
  alignBytes: 4,
  write: (view, at, value) => view.setInt32(at, value, LE),
  read: (view, at) => view.getInt32(at, LE),
};
/** An int that the kernel keeps from being negative. */
export const natural: StructField<number> = {
  ...s32,
  read(view, at) {
    const value = view.getInt32(at, LE);
    if (value < 0) throw new IpvsError('REPLY_MALFORMED', { detail: `${value} where nothing is negative` });
    return value;
  },
};
export const u64: StructField<bigint> = {
  sizeBytes: 8,
  alignBytes: 8,
  write: (view, at, value) => view.setBigUint64(at, value, LE),
  read: (view, at) => view.getBigUint64(at, LE),
};

/** Four bytes in network order: a mask, which may have holes. */
export const be32: StructField<Uint8Array> = {
  sizeBytes: 4,
  alignBytes: 4,
  write(view, at, value) {
    if (value.length !== 4) throw new RangeError(`${value.length} bytes instead of 4`);
    new Uint8Array(view.buffer, view.byteOffset + at, 4).set(value);
  },
  read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, 4).slice(),
};

/** char[sizeBytes], ended by a NUL, which must be there. */
export function text(sizeBytes: number): StructField<string> {
  return {
    sizeBytes,
    alignBytes: 1,
    write(view, at, value) {
      const bytes = new TextEncoder().encode(value);
      if (bytes.length >= sizeBytes) throw new RangeError(`${bytes.length} bytes do not fit into ${sizeBytes}`);
      const room = new Uint8Array(view.buffer, view.byteOffset + at, sizeBytes);
      room.fill(0);
      room.set(bytes);
    },
    read(view, at) {
      const end = nulIn(view, at, at + sizeBytes);
      if (end < 0) throw new IpvsError('REPLY_MALFORMED', { detail: 'a text does not end' });
      try {
        return textIn(view, at, end);
      } catch (cause) {
        throw new IpvsError('REPLY_MALFORMED', { detail: 'a text is not UTF-8', cause });
      }
    },
  };
}
