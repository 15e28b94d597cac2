/** The addon's functions with arguments of any kind. `npm run test:asan` runs it with an addon that watches its memory. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Native, native } from '../../src/kernel/native.ts';
import { attribute, genericHeader, message, text } from '../helpers/fake-kernel.ts';
import { expectWhole } from './laws.ts';
import { fuzz } from './runs.ts';

const NETLINK_GENERIC = 16;
const EBADF = 9;
const EINVAL = 22;

let addon: Native;
let fd: number;
let folder: string;
beforeAll(() => {
  addon = native();
  folder = mkdtempSync(join(tmpdir(), 'ipvs-director-'));
  execFileSync('mkfifo', [join(folder, 'fifo')]);
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  fd = addon.openNetlink(NETLINK_GENERIC, '', 0, 0);
});
afterEach(() => {
  addon.close(fd);
});

/** A result, or an error of the platform's or of the caller's own making. */
function call(name: keyof Native, args: readonly unknown[]): unknown {
  try {
    return (addon[name] as (...args: readonly unknown[]) => unknown)(...args);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError || error === ofTheCaller) return undefined;
    throw error;
  }
}

const ofTheCaller = new Error('of the caller');
const traps = {
  getter: Object.defineProperty(['x'], 0, {
    get() {
      throw ofTheCaller;
    },
  }),
  text: {
    toString() {
      throw ofTheCaller;
    },
  },
};

/** A view whose bytes are zero: a message of no length, which the kernel passes over. */
const views: fc.Arbitrary<unknown> = fc.oneof(
  fc.nat(64).map((length) => new Uint8Array(length)),
  fc.tuple(fc.nat(64), fc.nat(64)).map(([at, length]) => Buffer.alloc(128).subarray(at, at + length)),
  fc.nat(64).map((length) => new Uint8Array(new SharedArrayBuffer(length))),
  fc.constantFrom(Int8Array, Uint16Array, Float64Array, BigInt64Array, Uint8ClampedArray).map((Type) => new Type(4)),
  fc.nat(16).map((at) => shrunk(at)),
  fc.constant(undefined).map(() => detached()),
  fc.constant(undefined).map(() => new DataView(new ArrayBuffer(8))),
  fc.constant(undefined).map(() => new Proxy(new Uint8Array(8), {})),
);

type Resizable = ArrayBuffer & { resize(bytes: number): void };

/** A view of a buffer that became too short for it. */
function shrunk(at: number): Uint8Array {
  // Younger than the language that we write.
  const buffer = Reflect.construct(ArrayBuffer, [32, { maxByteLength: 64 }]) as Resizable;
  const view = at % 2 === 0 ? new Uint8Array(buffer, at) : new Uint8Array(buffer, at, 8);
  buffer.resize(at >> 1);
  return view;
}

function detached(): Uint8Array {
  const view = new Uint8Array(8);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

const numbers = fc.oneof(
  fc.constantFrom<unknown>(
    -1,
    -0,
    0,
    1,
    4,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    5n,
    '4',
  ),
  fc.integer({ min: -70_000, max: 70_000 }),
);
const odd = fc.constantFrom<unknown>(undefined, null, true, {}, [], Symbol('x'), () => 0, traps.text, new Date(0));
const texts = fc.constantFrom<unknown>(
  '',
  '\0',
  'x',
  '\ud800',
  '/no/such/place',
  '/proc/self/status',
  '/',
  'x'.repeat(5000),
);
/** The descriptor that is meant, and some that are nearly it. */
const descriptors = fc.constantFrom<(fd: number) => unknown>(
  (fd) => fd,
  (fd) => fd,
  (fd) => fd + 0.5,
  (fd) => fd + 2 ** 32,
  (fd) => String(fd),
  (fd) => BigInt(fd),
  (fd) => fd + 1,
  () => 0,
  () => undefined,
);

function mostly(usual: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: odd }, { weight: 1, arbitrary: views });
}

function expectResult(result: unknown): void {
  if (result !== undefined) expectWhole(result as number, -4095, 2 ** 31 - 1);
}

describe('arguments of any kind', () => {
  test('open what they name, or nothing', () => {
    const paths = fc.oneof(
      texts,
      fc.constantFrom('fifo', '.', 'none').map((name) => join(folder, name)),
    );
    const locks = fc.constantFrom<unknown>(
      ...['', '\0', '/', '/no/such/place', join(folder, 'lock'), join(folder, 'lock\0'), join(folder, 'fifo')],
    );
    // Other protocols would have the kernel look for modules.
    const protocols = fc.constantFrom<unknown>(16, 0, -1, 999, 16.5, Number.NaN, '16', 2 ** 32 + 16);
    const calls = fc.oneof(
      fc
        .tuple(mostly(protocols), mostly(paths), mostly(numbers), mostly(numbers))
        .map((args) => ['openNetlink', args] as const),
      fc.tuple(mostly(paths)).map((args) => ['openPacket', args] as const),
      // It makes what it locks.
      fc.tuple(mostly(locks)).map((args) => ['lockFile', args] as const),
      fc.tuple(mostly(paths)).map((args) => ['openDatagram', args] as const),
      fc
        .tuple(mostly(paths), mostly(fc.constantFrom('dev', '../stat', 'dev\0x', 'no_such_file', '')))
        .map((args) => ['openProcNet', args] as const),
      fc
        .tuple(
          mostly(paths),
          mostly(fc.constantFrom('ipv4/ip_forward', '../vm/swappiness', 'ipv4/./x', 'a\0x', '/etc', '')),
          // Nothing is opened for writing: it would be written to.
          mostly(fc.constant(false)),
        )
        .map((args) => ['openProcSysNet', args] as const),
    );
    return fuzz(
      1500,
      fc.property(calls, ([name, args]) => {
        const result = call(name, args);
        expectResult(result);
        if (typeof result === 'number' && result >= 0) expect(addon.close(result)).toBe(0);
      }),
    );
  });

  test('are sent, received and set on no descriptor but ours, within no bytes but theirs', () => {
    const levels = fc.constantFrom<unknown>(1, 270, -1, 2 ** 31, 1.5);
    const options = fc.constantFrom<unknown>(8, 38, 9999, -1, 0, 2 ** 32 + 8);
    const calls = fc.oneof(
      fc.tuple(mostly(views), mostly(numbers)).map((args) => ['send', args] as const),
      // No descriptor here is one that could send it.
      fc.tuple(mostly(numbers), mostly(views)).map((args) => ['sendPacket', args] as const),
      fc.tuple(mostly(views)).map((args) => ['receive', args] as const),
      fc.tuple(mostly(levels), mostly(options), mostly(views)).map((args) => ['getOption', args] as const),
      fc.tuple(mostly(levels), mostly(options), mostly(views)).map((args) => ['setOption', args] as const),
    );
    return fuzz(
      6000,
      fc.property(descriptors, calls, (descriptor, [name, args]) => {
        const given = descriptor(fd);
        const result = call(name, [given, ...args]);
        expectResult(result);
        if (given !== fd) expect(result).toBe(-EBADF);
      }),
    );
  });

  test('close no descriptor but ours', () =>
    fuzz(
      500,
      fc.property(mostly(numbers), fc.constantFrom(0.5, 2 ** 32), (number, more) => {
        const ours = addon.openDatagram('');
        for (const given of [
          ours + more,
          String(ours),
          [ours],
          ...(number === ours || number === fd ? [] : [number]),
        ]) {
          expect(call('close', [given])).toBe(-EBADF);
        }
        expect(addon.close(ours)).toBe(0);
        expect(addon.close(ours)).toBe(-EBADF);
      }),
    ));

  test('execute nothing that is not there', () => {
    const lists = fc.oneof(
      fc.array(fc.oneof(texts, odd), { maxLength: 4 }),
      fc.constantFrom<unknown>(
        traps.getter,
        Array(3),
        Object.assign([], { length: 2 ** 32 - 1 }),
        new Proxy(['x'], {}),
        'argv',
      ),
    );
    const paths = fc.oneof(
      texts,
      fc.constant('/proc/self/ns/net'),
      fc.constantFrom('fifo', '.').map((name) => join(folder, name)),
    );
    const files = fc.constantFrom<unknown>('/nowhere/file', '', '/', '/nowhere\0', 5, undefined);
    return fuzz(
      1000,
      fc.property(mostly(paths), files, mostly(lists), mostly(lists), (...args) => {
        const result = call('execInNamespace', args);
        if (result !== undefined) expectWhole(result as number, -4095, -1);
      }),
    );
  });
});

describe('an answer', () => {
  // The family of the controller itself, which every kernel has: GENL_ID_CTRL is 0x10, CTRL_CMD_GETFAMILY 3.
  const request = message(0x10, 0x1, 7, genericHeader(3), attribute(2, text('nlctrl'))).fill(0, 12, 16);

  test('is written into the bytes that are given, and into no others', () => {
    addon.send(fd, request, request.length);
    const whole = new Uint8Array(8192);
    const length = addon.receive(fd, whole);
    return fuzz(
      1000,
      fc.property(fc.nat(300), fc.integer({ min: 1, max: 600 }), (at, room) => {
        const buffer = new Uint8Array(1024).fill(0xee);
        expect(addon.send(fd, request, request.length)).toBe(request.length);
        expect(addon.receive(fd, buffer.subarray(at, at + room))).toBe(length);
        const written = Math.min(length, room);
        expect(buffer.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
        expect(buffer.subarray(at, at + written)).toEqual(whole.subarray(0, written));
        expect(buffer.subarray(at + written).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });
});

describe('what was taken once', () => {
  test('bytes more than 32 bits can count, of which none was sent', () => {
    // Four gigabytes that nobody touches are no memory.
    const { Memory } = Reflect.get(globalThis, 'WebAssembly');
    const huge = new Uint8Array(new Memory({ initial: 65_536 }).buffer);
    expect(addon.setOption(fd, 1, 8, huge)).toBe(-EINVAL);
    expect(addon.getOption(fd, 1, 8, huge)).toBe(-EINVAL);
    expect(addon.receive(fd, huge)).toBe(-EINVAL);
    expect(addon.send(fd, huge, 16)).toBe(-EINVAL);
  });

  test('half a descriptor, and one of 33 bits', () => {
    for (const given of [fd + 0.5, fd + 2 ** 32]) expect(addon.close(given)).toBe(-EBADF);
  });

  test('a text that ends in its middle', () => {
    expect(addon.openProcNet('', 'dev\0x')).toBe(-EINVAL);
    expect(addon.openDatagram('/proc/self/ns/net\0x')).toBe(-EINVAL);
    expect(addon.execInNamespace('/proc/self/ns/net', '/nowhere/file', ['a\0b'], [])).toBe(-EINVAL);
  });

  test('a FIFO, which had the process wait for ever', () => {
    expect(addon.openDatagram(join(folder, 'fifo'))).toBeLessThan(0);
  });
});
