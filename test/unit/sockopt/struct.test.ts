import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import {
  daemonsStruct,
  destinationEntryStruct,
  serviceAndDestinationStruct,
  serviceEntryStruct,
  serviceStruct,
  timeoutsStruct,
} from '../../../src/sockopt/options.ts';
import { bytesOf, s32, struct, text, u16, u32, u64, valueAt } from '../../../src/sockopt/struct.ts';
import { hex, toHex } from '../../helpers/fake-kernel.ts';

const mask = (...bytes: number[]) => Uint8Array.from(bytes);

describe.runIf(hostIsLittleEndian)('golden bytes', () => {
  const service = {
    protocol: 6,
    address: 0xc000020a,
    port: 443,
    fwmark: 0,
    scheduler: 'wrr',
    flags: 1,
    timeoutSeconds: 360,
    netmask: mask(255, 255, 255, 0),
  };
  const SERVICE = `
    0600 0000 c000020a 01bb 0000 00000000
    77727200 00000000 00000000 00000000
    01000000 68010000 ffffff00
  `;

  it('struct ip_vs_service_user', () => {
    expect(toHex(bytesOf(serviceStruct, service))).toBe(toHex(hex(SERVICE)));
    expect(valueAt(serviceStruct, hex(SERVICE))).toEqual(service);
  });

  it('a service and a destination', () => {
    const destination = {
      address: 0x0a00000b,
      port: 8080,
      connectionFlags: 0,
      weight: 3,
      upperThreshold: 100,
      lowerThreshold: 50,
    };
    expect(toHex(bytesOf(serviceAndDestinationStruct, { service, destination }))).toBe(
      toHex(hex(`${SERVICE} 0a00000b 1f90 0000 00000000 03000000 64000000 32000000`)),
    );
  });

  it('timeouts and daemons', () => {
    const timeouts = { tcpSeconds: 900, tcpFinSeconds: 0, udpSeconds: 300 };
    expect(toHex(bytesOf(timeoutsStruct, timeouts))).toBe('84030000000000002c010000');
    const bytes = hex(`
      01000000 65746830 00000000 00000000 00000000 07000000
      00000000 00000000 00000000 00000000 00000000 00000000
    `);
    expect(valueAt(daemonsStruct, bytes)).toEqual({
      master: { state: 1, interface: 'eth0', id: 7 },
      backup: { state: 0, interface: '', id: 0 },
    });
  });
});

describe('layout', () => {
  it('fields stand at multiples of their alignment, and the whole is a multiple of the largest', () => {
    const type = struct<{ a: number; b: bigint; c: string; d: number }>({ a: u16, b: u64, c: text(3), d: u16 });
    expect(type).toMatchObject({ offsets: { a: 0, b: 8, c: 16, d: 20 }, sizeBytes: 24, alignBytes: 8 });
    const outer = struct<{ x: number; inner: { a: number; b: bigint; c: string; d: number } }>({ x: u32, inner: type });
    expect(outer).toMatchObject({ offsets: { x: 0, inner: 8 }, sizeBytes: 32 });
  });

  it('padding is zero', () => {
    const type = struct<{ a: number; b: bigint }>({ a: u16, b: u64 });
    expect([...bytesOf(type, { a: 0xffff, b: 0n })].slice(2)).toEqual(Array.from({ length: 14 }, () => 0));
  });

  it('a field is read by itself, of any struct in the bytes', () => {
    const type = struct<{ a: number; b: number }>({ a: u32, b: s32 });
    const bytes = Uint8Array.from([...bytesOf(type, { a: 1, b: -2 }), ...bytesOf(type, { a: 3, b: -4 })]);
    const view = new DataView(bytes.buffer);
    expect([0, type.sizeBytes].map((at) => [type.readers.a(view, at), type.readers.b(view, at)])).toEqual([
      [1, -2],
      [3, -4],
    ]);
  });
});

describe('what is written is read', () => {
  const number = (max: number) => fc.integer({ min: 0, max });
  const ip = fc.uint8Array({ minLength: 4, maxLength: 4 });

  it('services', () => {
    const values = fc.record({
      protocol: number(0xffff),
      address: number(0xffff_ffff),
      port: number(0xffff),
      fwmark: number(0xffff_ffff),
      scheduler: fc.string({ maxLength: 15, unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789_') }),
      flags: number(0xffff_ffff),
      timeoutSeconds: number(0xffff_ffff),
      netmask: ip,
    });
    fc.assert(
      fc.property(values, (value) => {
        expect(valueAt(serviceStruct, bytesOf(serviceStruct, value))).toEqual(value);
      }),
    );
  });
});

describe('damaged answers', () => {
  it.each([
    ['service', serviceEntryStruct],
    ['destination', destinationEntryStruct],
    ['daemons', daemonsStruct],
  ])('%s: one that is cut off at any length is REPLY_MALFORMED', (_, type) => {
    for (let length = 0; length < type.sizeBytes; length++) {
      expect(() => valueAt<unknown>(type, new Uint8Array(length))).toThrow(
        expect.objectContaining({ code: 'REPLY_MALFORMED' }),
      );
    }
    expect(() => valueAt<unknown>(type, new Uint8Array(type.sizeBytes))).not.toThrow();
  });

  it('a text that does not end, or is not UTF-8, is REPLY_MALFORMED', () => {
    for (const bytes of [new Uint8Array(16).fill(0x61), Uint8Array.of(0xff, ...new Uint8Array(15))]) {
      expect(() => valueAt(text(16), bytes)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
    }
  });

  it('a text that does not fit, or a mask of another length, is a fault of ours', () => {
    expect(() => bytesOf(text(4), 'four')).toThrow(RangeError);
    const values = { protocol: 6, address: 1, port: 1, fwmark: 0, scheduler: '', flags: 0, timeoutSeconds: 0 };
    expect(() => bytesOf(serviceStruct, { ...values, netmask: new Uint8Array(16) })).toThrow(RangeError);
  });
});
