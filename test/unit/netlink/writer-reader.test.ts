import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { align, hostIsLittleEndian } from '../../../src/netlink/align.ts';
import { malformed, Reader } from '../../../src/netlink/reader.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { hex, toHex } from '../../helpers/fake-kernel.ts';

function readerOf(bytes: Uint8Array): Reader {
  return new Reader(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
}

/** The reader at the first attribute. */
function first(bytes: Uint8Array): Reader {
  const reader = readerOf(bytes);
  expect(reader.next()).toBe(true);
  return reader;
}

function written(write: (writer: Writer) => void): string {
  const writer = new Writer();
  write(writer);
  return toHex(writer.take());
}

const refused = expect.objectContaining({ code: 'REPLY_MALFORMED', kind: 'transport' });

describe('align', () => {
  it.each([
    [0, 0],
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 4],
    [5, 8],
    [7, 8],
    [8, 8],
    [9, 12],
    [65535, 65536],
  ])('takes %i to %i', (length, aligned) => expect(align(length)).toBe(aligned));
});

describe.runIf(hostIsLittleEndian)('Writer, on a little-endian host', () => {
  it.each<[string, (writer: Writer) => void, string]>([
    ['u8', (w) => w.u8(13, 0x7f), '0500 0d00 7f 000000'],
    ['u16', (w) => w.u16(1, 0x0102), '0600 0100 0201 0000'],
    ['u16be', (w) => w.u16be(4, 443), '0600 0400 01bb 0000'],
    ['u32', (w) => w.u32(5, 0x01020304), '0800 0500 04030201'],
    ['u32be', (w) => w.u32be(9, 0xffffff00), '0800 0900 ffffff00'],
    ['u64', (w) => w.u64(4, 0x0102030405060708n), '0c00 0400 0807060504030201'],
    ['string', (w) => w.string(6, 'wrr'), '0800 0600 77727200'],
    ['string that needs padding', (w) => w.string(6, 'sh'), '0700 0600 736800 00'],
    ['empty string', (w) => w.string(6, ''), '0500 0600 00 000000'],
    ['binary', (w) => w.binary(3, Uint8Array.of(1, 2, 3)), '0700 0300 010203 00'],
    ['empty binary', (w) => w.binary(3, new Uint8Array()), '0400 0300'],
    ['empty nest', (w) => w.nested(1, () => {}), '0400 0180'],
    ['nest', (w) => w.nested(1, () => w.u8(2, 3)), '0c00 0180 0500 0200 03 000000'],
    [
      'nest in a nest',
      (w) =>
        w.nested(1, () => {
          w.nested(2, () => w.u16(3, 4));
          w.u8(5, 6);
        }),
      '1800 0180 0c00 0280 0600 0300 0400 0000 0500 0500 06 000000',
    ],
  ])('lays out a %s', (_, write, expected) => expect(written(write)).toBe(toHex(hex(expected))));
});

describe('Writer', () => {
  it('keeps what was written when the buffer grows', () => {
    const writer = new Writer(8);
    for (let i = 0; i < 1000; i++) writer.u32(1, i);
    const reader = readerOf(writer.take());
    const values: number[] = [];
    while (reader.next()) values.push(reader.u32());
    expect(values).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('leaves nothing of an earlier message in the padding', () => {
    const writer = new Writer();
    writer.binary(1, new Uint8Array(64).fill(0xff));
    writer.reset();
    writer.u8(1, 1);
    expect(toHex(writer.take().subarray(4))).toBe('01000000');
  });

  it('take() is a copy', () => {
    const writer = new Writer();
    writer.u8(1, 1);
    const taken = writer.take();
    writer.reset();
    writer.u8(1, 2);
    expect(taken[4]).toBe(1);
  });
});

describe.runIf(hostIsLittleEndian)('Reader, on a little-endian host', () => {
  it('walks attributes and passes over padding', () => {
    const reader = readerOf(hex('0500 0100 aa 000000  0600 0200 bbcc 0000  0800 0300 01020304'));
    const seen: unknown[] = [];
    while (reader.next()) seen.push([reader.type, reader.length, toHex(reader.binary())]);
    expect(seen).toEqual([
      [1, 1, 'aa'],
      [2, 2, 'bbcc'],
      [3, 4, '01020304'],
    ]);
    expect(reader.next()).toBe(false);
  });

  it('does not ask for padding behind the last attribute', () => {
    expect(first(hex('0500 0100 aa')).u8()).toBe(0xaa);
  });

  it('does not care what the padding is', () => {
    expect(first(hex('0500 0100 aa ffffff')).u8()).toBe(0xaa);
  });

  it.each([
    ['no flag', '0100'],
    ['NLA_F_NESTED', '0180'],
    ['NLA_F_NET_BYTEORDER', '0140'],
    ['both flags', '01c0'],
  ])('takes the type without flags: %s', (_, type) => expect(first(hex(`0400 ${type}`)).type).toBe(1));

  it.each<[string, string, (reader: Reader) => unknown, unknown]>([
    ['u8', '0500 0100 ff', (r) => r.u8(), 255],
    ['u16', '0600 0100 0201', (r) => r.u16(), 0x0102],
    ['u16be', '0600 0100 01bb', (r) => r.u16be(), 443],
    ['u32', '0800 0100 ffffffff', (r) => r.u32(), 0xffff_ffff],
    ['u32be', '0800 0100 ffffff00', (r) => r.u32be(), 0xffff_ff00],
    ['u64', '0c00 0100 ffffffffffffffff', (r) => r.u64(), 0xffff_ffff_ffff_ffffn],
    ['string', '0800 0100 77727200', (r) => r.string(), 'wrr'],
    ['empty string', '0500 0100 00', (r) => r.string(), ''],
  ])('reads a %s', (_, bytes, read, expected) => expect(read(first(hex(bytes)))).toBe(expected));

  it('reads a u64 that is aligned to 4 only', () => {
    const reader = readerOf(hex('0800 0100 00000000  0c00 0200 0100000000000000'));
    reader.next();
    reader.next();
    expect(reader.start % 8).not.toBe(0);
    expect(reader.u64()).toBe(1n);
  });

  it('reads inside a view that does not begin at its buffer', () => {
    const bytes = hex('ffffffffff 0800 0600 77727200').subarray(5);
    expect(first(bytes).string()).toBe('wrr');
    expect(toHex(first(bytes).binary())).toBe('77727200');
  });

  it('binary() is a copy', () => {
    const bytes = hex('0500 0100 aa');
    const copy = first(bytes).binary();
    bytes[4] = 0;
    expect(copy).toEqual(Uint8Array.of(0xaa));
  });

  it('a nest ends where its attribute ends', () => {
    const reader = first(hex('0c00 0180 0500 0200 03 000000  0500 0300 04'));
    const nest = reader.nested();
    expect(nest.next()).toBe(true);
    expect([nest.type, nest.u8()]).toEqual([2, 3]);
    expect(nest.next()).toBe(false);
    expect(reader.next()).toBe(true);
    expect(reader.type).toBe(3);
  });

  it.each([
    ['a header of 1 byte', '05'],
    ['a header of 3 bytes', '0500 01'],
    ['a length of 0', '0000 0100'],
    ['a length of 3', '0300 0100'],
    ['a length beyond the end', '0900 0100 00000000'],
    ['the longest length', 'ffff 0100 00000000'],
  ])('refuses %s', (_, bytes) => expect(() => readerOf(hex(bytes)).next()).toThrow(refused));

  it.each([
    ['an attribute of a nest that reaches out of it', '0800 0180 0500 0200  0000 0000'],
    ['a rest of a nest that is no header', '0600 0180 0500 0000'],
  ])('refuses %s', (_, bytes) => expect(() => first(hex(bytes)).nested().next()).toThrow(refused));

  it.each<[string, number, (reader: Reader) => unknown]>([
    ['u8', 1, (r) => r.u8()],
    ['u16', 2, (r) => r.u16()],
    ['u16be', 2, (r) => r.u16be()],
    ['u32', 4, (r) => r.u32()],
    ['u32be', 4, (r) => r.u32be()],
    ['u64', 8, (r) => r.u64()],
    ['binary', 8, (r) => r.binary(8)],
  ])('reads a %s of exactly %i bytes, no other', (_, size, read) => {
    for (let length = 0; length <= 17; length++) {
      const bytes = Uint8Array.of(4 + length, 0, 1, 0, ...new Uint8Array(length));
      if (length === size) expect(() => read(first(bytes))).not.toThrow();
      else expect(() => read(first(bytes))).toThrow(refused);
    }
  });

  it.each([
    ['without NUL', '0700 0100 777272'],
    ['with two NULs', '0900 0100 7772720000'],
    ['with a NUL inside', '0800 0100 77007200'],
    ['that is not UTF-8', '0600 0100 ff00'],
    ['of zero length', '0400 0100'],
  ])('refuses a string %s', (_, bytes) => expect(() => first(hex(bytes)).string()).toThrow(refused));

  it('says which byte is wrong', () => {
    const reader = readerOf(hex('0400 0100  0500 0200 00'));
    reader.next();
    reader.next();
    expect(() => reader.u16()).toThrow('attribute 2 has 1 bytes instead of 2, at byte 8');
  });
});

describe('what was written is read', () => {
  const type = fc.integer({ min: 0, max: 0x3fff });
  const text = fc.string({ unit: 'binary' }).filter((s) => !s.includes('\0'));

  it.each<[string, fc.Arbitrary<unknown>, (w: Writer, type: number, value: never) => void, (r: Reader) => unknown]>([
    ['u8', fc.integer({ min: 0, max: 0xff }), (w, t, v) => w.u8(t, v), (r) => r.u8()],
    ['u16', fc.integer({ min: 0, max: 0xffff }), (w, t, v) => w.u16(t, v), (r) => r.u16()],
    ['u16be', fc.integer({ min: 0, max: 0xffff }), (w, t, v) => w.u16be(t, v), (r) => r.u16be()],
    ['u32', fc.integer({ min: 0, max: 0xffff_ffff }), (w, t, v) => w.u32(t, v), (r) => r.u32()],
    ['u32be', fc.integer({ min: 0, max: 0xffff_ffff }), (w, t, v) => w.u32be(t, v), (r) => r.u32be()],
    ['u64', fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (w, t, v) => w.u64(t, v), (r) => r.u64()],
    ['binary', fc.uint8Array({ maxLength: 40 }), (w, t, v) => w.binary(t, v), (r) => r.binary()],
    ['string', text, (w, t, v) => w.string(t, v), (r) => r.string()],
  ])('%s', (_, arbitrary, write, read) => {
    fc.assert(
      fc.property(type, arbitrary, (number, value) => {
        const writer = new Writer(4);
        write(writer, number, value as never);
        expect(writer.length % 4).toBe(0);
        const reader = first(writer.take());
        expect(reader.type).toBe(number);
        expect(read(reader)).toEqual(value);
        expect(reader.next()).toBe(false);
      }),
    );
  });

  it('a string that begins with a byte order mark', () => {
    const writer = new Writer();
    writer.string(1, '\ufeffx');
    expect(first(writer.take()).string()).toBe('\ufeffx');
  });
});

describe('malformed', () => {
  it('is an IpvsError with the offset and the cause', () => {
    const cause = new Error('why');
    const error = malformed(12, 'the tail is missing', cause);
    expect(error).toBeInstanceOf(IpvsError);
    expect(error).toMatchObject({ code: 'REPLY_MALFORMED', detail: 'the tail is missing, at byte 12', cause });
  });
});
