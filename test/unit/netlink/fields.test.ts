import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import {
  bytes,
  decodeFields,
  encodeFields,
  type FieldTable,
  type GivenValues,
  nested,
  string,
  type UnknownAttribute,
  u8,
  u16,
  u16be,
  u32,
  u32be,
  u64,
  type Values,
} from '../../../src/netlink/fields.ts';
import { Reader } from '../../../src/netlink/reader.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { concat, hex, toHex } from '../../helpers/fake-kernel.ts';

const innerTable = {
  count: { number: 1, type: u64 },
  rate: { number: 4, type: u32 },
} as const satisfies FieldTable;

/** Every type once, numbers neither in order nor without gaps. */
const table = {
  family: { number: 1, type: u16 },
  port: { number: 4, type: u16be },
  mark: { number: 5, type: u32 },
  name: { number: 3, type: string },
  mask: { number: 9, type: u32be },
  counters: { number: 12, type: nested(innerTable) },
  kind: { number: 13, type: u8 },
  address: { number: 20, type: bytes(4) },
  total: { number: 21, type: u64 },
} as const satisfies FieldTable;

function encode<T extends FieldTable>(of: T, values: GivenValues<T>): Uint8Array {
  const writer = new Writer(16);
  encodeFields(writer, of, values);
  return writer.take();
}

function decode<T extends FieldTable>(of: T, data: Uint8Array, options?: Parameters<typeof decodeFields>[2]) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return decodeFields(new Reader(view, 0, data.length), of, options);
}

const u16s = fc.integer({ min: 0, max: 0xffff });
const u32s = fc.integer({ min: 0, max: 0xffff_ffff });
const u64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const anyValues: fc.Arbitrary<Values<typeof table>> = fc.record(
  {
    family: u16s,
    port: u16s,
    mark: u32s,
    name: fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\0')),
    mask: u32s,
    counters: fc.record({ count: u64s, rate: u32s }, { requiredKeys: [] }),
    kind: fc.integer({ min: 0, max: 0xff }),
    address: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    total: u64s,
  },
  { requiredKeys: [] },
);

describe.runIf(hostIsLittleEndian)('the bytes of a table, on a little-endian host', () => {
  it('stand in the order of the table, without what has no value', () => {
    const values = { total: 1n, kind: 2, counters: { rate: 3 }, name: 'rr', port: 80, family: undefined };
    expect(toHex(encode(table, values))).toBe(
      toHex(
        hex(`
          0600 0400 0050 0000            # port, network order, padded
          0700 0300 727200 00            # name
          0c00 0c80 0800 0400 03000000   # counters, nested
          0500 0d00 02 000000            # kind
          0c00 1500 0100000000000000     # total
        `),
      ),
    );
  });

  it('the kernel does not mark its nests', () => {
    expect(decode(table, hex('0c00 0c00 0800 0400 03000000'))).toEqual({ counters: { rate: 3 } });
  });

  it('an empty nest is a value', () => {
    expect(decode(table, hex('0400 0c00'))).toEqual({ counters: {} });
  });

  it('of an attribute that comes twice the last one counts', () => {
    expect(decode(table, hex('0600 0100 0200 0000 0600 0100 0a00 0000'))).toEqual({ family: 10 });
  });

  it('an empty value of a fixed length is refused', () => {
    for (const { number } of Object.values(table)) {
      if (number === table.counters.number) continue;
      const empty = Uint8Array.of(4, 0, number, 0);
      expect(() => decode(table, empty), `attribute ${number}`).toThrow(
        expect.objectContaining({ code: 'REPLY_MALFORMED' }),
      );
    }
  });
});

describe('a table', () => {
  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        expect(decode(table, encode(table, values))).toEqual(values);
      }),
    );
  });

  it('encodes alike twice, and once more after decoding', () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const once = toHex(encode(table, values));
        expect(toHex(encode(table, values))).toBe(once);
        expect(toHex(encode(table, decode(table, encode(table, values))))).toBe(once);
      }),
    );
  });

  it('does not depend on the order of the values', () => {
    expect(toHex(encode(table, { kind: 1, family: 2 }))).toBe(toHex(encode(table, { family: 2, kind: 1 })));
  });

  it('keeps unknown attributes, with their bytes', () => {
    const unknown = fc.uniqueArray(
      fc.record({ number: fc.integer({ min: 22, max: 0x3fff }), bytes: fc.uint8Array() }),
      {
        selector: ({ number }) => number,
        maxLength: 5,
      },
    );
    fc.assert(
      fc.property(anyValues, unknown, (values, more) => {
        const writer = new Writer();
        encodeFields(writer, table, values);
        for (const { number, bytes } of more) writer.binary(number, bytes);
        const kept: UnknownAttribute[] = [];
        expect(decode(table, writer.take(), { unknown: kept })).toEqual(values);
        expect(kept).toEqual(more);
      }),
    );
  });

  it('passes over unknown attributes where nobody asks for them', () => {
    const data = concat(encode(table, { family: 2 }), encode({ x: { number: 300, type: u32 } }, { x: 1 }));
    expect(decode(table, data)).toEqual({ family: 2 });
  });

  it('does not read what is to be skipped, be it malformed', () => {
    const skip = [table.counters.number, 300];
    const unknown: UnknownAttribute[] = [];
    const writer = new Writer();
    writer.binary(table.counters.number, Uint8Array.of(1, 2, 3));
    writer.u8(300, 1);
    writer.u16(table.family.number, 2);
    expect(decode(table, writer.take(), { skip, unknown })).toEqual({ family: 2 });
    expect(unknown).toEqual([]);
  });

  it('that is empty writes nothing and knows nothing', () => {
    const unknown: UnknownAttribute[] = [];
    expect(encode({}, {}).length).toBe(0);
    expect(decode({}, encode(table, { kind: 7 }), { unknown })).toEqual({});
    expect(unknown).toEqual([{ number: table.kind.number, bytes: Uint8Array.of(7) }]);
  });
});

describe('damaged attributes', () => {
  const whole: Values<typeof table> = {
    family: 2,
    port: 443,
    mark: 7,
    name: 'wrr',
    mask: 0xffff_ff00,
    counters: { count: 5n, rate: 6 },
    kind: 1,
    address: Uint8Array.of(192, 0, 2, 1),
    total: 9n,
  };
  const data = encode(table, whole);

  it('every prefix is refused, or is the same values, fewer', () => {
    const accepted: number[] = [];
    for (let length = 0; length < data.length; length++) {
      try {
        expect(whole).toMatchObject(decode(table, data.slice(0, length)));
        accepted.push(length);
      } catch (error) {
        expect(error).toBeInstanceOf(IpvsError);
        expect(error).toMatchObject({ code: 'REPLY_MALFORMED' });
      }
    }
    // Nothing; then where an attribute ends, with or without its padding.
    const boundaries = new Set<number>();
    for (let at = 0; at < data.length; ) {
      const end = at + (data[at] as number) + (data[at + 1] as number) * 256;
      boundaries.add(at);
      for (let i = end; i < Math.min(data.length, (end + 3) & ~3); i++) boundaries.add(i);
      at = (end + 3) & ~3;
    }
    if (hostIsLittleEndian) expect(accepted).toEqual([...boundaries].sort((a, b) => a - b));
  });

  it('every change of a byte gives values or REPLY_MALFORMED', () => {
    for (let at = 0; at < data.length; at++) {
      for (let value = 0; value < 256; value++) {
        const changed = data.slice();
        changed[at] = value;
        try {
          decode(table, changed, { unknown: [] });
        } catch (error) {
          if (!(error instanceof IpvsError) || error.code !== 'REPLY_MALFORMED') throw error;
        }
      }
    }
  });

  it('any bytes at all give values or REPLY_MALFORMED', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (junk) => {
        try {
          decode(table, junk, { unknown: [] });
        } catch (error) {
          expect(error).toMatchObject({ code: 'REPLY_MALFORMED' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
