import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import {
  type Message,
  messagesOf,
  messageType,
  readAcknowledgement,
  readDone,
  writeMessage,
} from '../../../src/netlink/message.ts';
import { Writer } from '../../../src/netlink/writer.ts';
import { concat, hex, toHex } from '../../helpers/fake-kernel.ts';

const refused = expect.objectContaining({ code: 'REPLY_MALFORMED' });

/** A message with a copy of its payload. */
function plain({ type, flags, sequence, view, start, end }: Message) {
  const payload = toHex(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
  return { type, flags, sequence, payload };
}

function all(bytes: Uint8Array) {
  return [...messagesOf(bytes)].map(plain);
}

function only(bytes: Uint8Array): Message {
  const [message, ...rest] = messagesOf(bytes);
  expect(rest).toEqual([]);
  return message as Message;
}

// struct nlmsghdr and struct nlmsgerr, linux/netlink.h
const acknowledgement = hex(`
  24000000 0200 0001 90000000 34120000   # length 36, NLMSG_ERROR, NLM_F_CAPPED, sequence 0x90, port id
  00000000                               # error 0
  68000000 1e00 0500 90000000 00000000   # header of the request
`);
const refusal = hex(`
  24000000 0200 0001 91000000 34120000
  efffffff                               # -EEXIST
  68000000 1e00 0500 91000000 00000000
`);
const wordy = hex(`
  34000000 0200 0003 92000000 34120000   # length 52, NLM_F_CAPPED | NLM_F_ACK_TLVS
  deffffff                               # -ERANGE
  68000000 1e00 0500 92000000 00000000
  0800 0200 18000000                     # NLMSGERR_ATTR_OFFS
  0800 0100 62616400                     # NLMSGERR_ATTR_MSG "bad"
`);
const uncapped = hex(`
  32000000 0200 0002 93000000 34120000   # length 50, NLM_F_ACK_TLVS
  eaffffff                               # -EINVAL
  15000000 1e00 0500 93000000 00000000   # header of the request, length 21
  0f010000 ff 000000                     # its payload, 5 bytes and padding
  0600 0100 6e00                         # NLMSGERR_ATTR_MSG "n", the last padding left out
`);
const done = hex('14000000 0300 0200 94000000 34120000 00000000');
const object = hex(`
  18000000 1e00 0200 94000000 34120000   # NLM_F_MULTI
  01 01 0000  0400 0100
`);
// No multiple of 4 long, as a string at the end makes it; the next message begins aligned.
const odd = hex('13000000 1000 0000 95000000 34120000 010203 00');

describe('message types', () => {
  it('numbers are those of linux/netlink.h', () => {
    expect(messageType).toEqual({ NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 });
  });
});

describe.runIf(hostIsLittleEndian)('writeMessage, on a little-endian host', () => {
  it('writes the header, then the payload, and the length of both', () => {
    const writer = new Writer();
    writeMessage(writer, 0x1e, 0x305, 0x01020304, () => writer.u8(1, 2));
    expect(toHex(writer.take())).toBe(toHex(hex('18000000 1e00 0503 04030201 00000000  0500 0100 02 000000')));
  });

  it('writes one message behind the other', () => {
    const writer = new Writer(4);
    writeMessage(writer, 0x10, 1, 1, () => {});
    writeMessage(writer, 0x11, 5, 0xffff_ffff, () => {});
    expect(toHex(writer.take())).toBe(
      toHex(hex('10000000 1000 0100 01000000 00000000  10000000 1100 0500 ffffffff 00000000')),
    );
  });
});

describe('messages', () => {
  it('are read as they were written', () => {
    const message = fc.record({
      type: fc.integer({ min: 0, max: 0xffff }),
      flags: fc.integer({ min: 0, max: 0xffff }),
      sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
      payload: fc.uint8Array({ maxLength: 40 }).map((b) => b.slice(0, b.length & ~3)),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const writer = new Writer(16);
        for (const { type, flags, sequence, payload } of messages) {
          writeMessage(writer, type, flags, sequence, () => {
            const start = writer.reserve(payload.length);
            writer.bytes.set(payload, start);
          });
        }
        expect(all(writer.take())).toEqual(messages.map((m) => ({ ...m, payload: toHex(m.payload) })));
      }),
    );
  });
});

describe.runIf(hostIsLittleEndian)('messagesOf, on a little-endian host', () => {
  it('an empty datagram holds none', () => expect(all(new Uint8Array())).toEqual([]));

  it('reads several, each from a multiple of 4', () => {
    expect(all(concat(odd, object, done))).toEqual([
      { type: 0x10, flags: 0, sequence: 0x95, payload: '010203' },
      { type: 0x1e, flags: 2, sequence: 0x94, payload: '0101000004000100' },
      { type: 3, flags: 2, sequence: 0x94, payload: '00000000' },
    ]);
  });

  it('reads inside a view that does not begin at its buffer', () => {
    const bytes = concat(Uint8Array.of(0xff, 0xff, 0xff), done).subarray(3);
    expect(all(bytes)).toEqual(all(done));
  });

  it.each([
    ['a header that is cut off', '10000000 1e00 0000 01000000 000000'],
    ['a length of 0', '00000000 1e00 0000 01000000 00000000'],
    ['a length shorter than the header', '0f000000 1e00 0000 01000000 00000000'],
    ['a length beyond the datagram', '11000000 1e00 0000 01000000 00000000'],
    ['the longest length', 'ffffffff 1e00 0000 01000000 00000000'],
    ['a length with the sign bit', '10000080 1e00 0000 01000000 00000000'],
  ])('refuses %s', (_, bytes) => expect(() => all(hex(bytes))).toThrow(refused));

  it('hands out the messages before the one that is cut off', () => {
    const messages = messagesOf(concat(object, done.slice(0, 19)));
    expect(messages.next().value).toMatchObject({ type: 0x1e });
    expect(() => messages.next()).toThrow('the message length 20 does not fit, at byte 24');
  });
});

describe.runIf(hostIsLittleEndian)('readAcknowledgement, on a little-endian host', () => {
  it.each([
    ['a refusal', refusal, { errno: 17, text: undefined }],
    ["a refusal in the kernel's words", wordy, { errno: 34, text: 'bad' }],
    ['one that repeats the whole request', uncapped, { errno: 22, text: 'n' }],
  ])('reads %s', (_, bytes, expected) => expect(readAcknowledgement(only(bytes))).toEqual(expected));

  it('reads success as 0, not as -0', () => {
    expect(readAcknowledgement(only(acknowledgement))).toEqual({ errno: 0, text: undefined });
  });

  it('does not look for attributes without NLM_F_ACK_TLVS', () => {
    const bytes = wordy.slice();
    bytes[7] = 1;
    expect(readAcknowledgement(only(bytes))).toEqual({ errno: 34, text: undefined });
  });

  it.each([
    ['no error number', '10000000 0200 0001 90000000 00000000'],
    ['no header of the request', '14000000 0200 0001 90000000 00000000 00000000'],
    ['an error above zero', '24000000 0200 0001 90000000 00000000 01000000 10000000 1e00 0500 90000000 00000000'],
    ['an error beyond MAX_ERRNO', '24000000 0200 0001 90000000 00000000 00f0ffff 10000000 1e00 0500 90000000 00000000'],
    [
      'a text without NUL',
      '2b000000 0200 0003 90000000 00000000 eaffffff 10000000 1e00 0500 90000000 00000000 0700 0100 626164 00',
    ],
  ])('refuses %s', (_, bytes) => expect(() => readAcknowledgement(only(hex(bytes)))).toThrow(refused));

  it.each([
    ['longer than the message', '11000000'],
    ['with the sign bit', '10000080'],
  ])('refuses a repeated request %s', (_, length) => {
    const bytes = hex(`24000000 0200 0002 90000000 00000000 eaffffff ${length} 1e00 0500 90000000 00000000`);
    expect(() => readAcknowledgement(only(bytes))).toThrow(refused);
  });
});

describe.runIf(hostIsLittleEndian)('readDone, on a little-endian host', () => {
  it('reads what broke the dump off', () => {
    expect(readDone(only(hex('14000000 0300 0200 94000000 00000000 f0ffffff')))).toBe(16);
  });

  it('reads a good end as 0, not as -0', () => expect(readDone(only(done))).toBe(0));

  it('refuses a number that is cut off', () => {
    expect(() => readDone(only(hex('13000000 0300 0200 94000000 00000000 000000 00')))).toThrow(refused);
  });

  it('refuses a number above zero', () => {
    expect(() => readDone(only(hex('14000000 0300 0200 94000000 00000000 05000000')))).toThrow(refused);
  });
});

describe.runIf(hostIsLittleEndian)('damaged datagrams', () => {
  /** All that the connection would look at. */
  function readAll(bytes: Uint8Array) {
    return [...messagesOf(bytes)].map((message) => {
      if (message.type === messageType.ERROR) return { ...plain(message), ...readAcknowledgement(message) };
      if (message.type === messageType.DONE) return { ...plain(message), errno: readDone(message) };
      return plain(message);
    });
  }

  const datagrams: [string, Uint8Array][] = [
    ['acknowledgement', acknowledgement],
    ['refusal with words', wordy],
    ['refusal with the whole request', uncapped],
    ['dump', concat(odd, object, object, done)],
  ];

  it.each(datagrams)('%s: every prefix is refused, or holds the first messages', (_, bytes) => {
    const whole = readAll(bytes);
    for (let length = 0; length < bytes.length; length++) {
      let messages: unknown[];
      try {
        messages = readAll(bytes.slice(0, length));
      } catch (error) {
        expect(error, `of ${length} bytes`).toBeInstanceOf(IpvsError);
        expect(error).toMatchObject({ code: 'REPLY_MALFORMED' });
        continue;
      }
      // Boundaries, and padding behind the last message, which nobody needs.
      expect(whole.slice(0, messages.length)).toEqual(messages);
      expect(messages.length).toBeLessThan(whole.length);
    }
  });

  it.each(datagrams)('%s: every change of a byte gives messages or REPLY_MALFORMED', (_, bytes) => {
    for (let at = 0; at < bytes.length; at++) {
      for (let value = 0; value < 256; value++) {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          readAll(changed);
        } catch (error) {
          if (!(error instanceof IpvsError)) throw new Error(`byte ${at} as ${value}`, { cause: error });
        }
      }
    }
  });

  it('any bytes at all give messages or REPLY_MALFORMED', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (junk) => {
        try {
          readAll(junk);
        } catch (error) {
          expect(error).toMatchObject({ code: 'REPLY_MALFORMED' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
