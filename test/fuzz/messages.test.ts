/** Datagrams, acknowledgements and attributes of any protocol, against broken bytes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostIsLittleEndian } from '../../src/netlink/align.ts';
import {
  bytes,
  decodeFields,
  type FieldTable,
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
} from '../../src/netlink/fields.ts';
import {
  HEADER_BYTES,
  type Message,
  Messages,
  messagesOf,
  readAcknowledgement,
  readDone,
} from '../../src/netlink/message.ts';
import { Reader } from '../../src/netlink/reader.ts';
import { attribute, concat, le16, le32, le64, text } from '../helpers/fake-kernel.ts';
import { rebuilt } from './attributes.ts';
import { messages, refusalsWithWords } from './corpus.ts';
import { expectWhole, lawful, type Outcome, outcomeOf } from './laws.ts';
import { mutatedBytes } from './mutation.ts';
import { messageIn, WatchedView } from './places.ts';
import { fuzz } from './runs.ts';

const datagrams = [
  concat(...messages('services')),
  concat(...messages('destinations'), ...messages('done')),
  concat(...messages('timeouts'), ...messages('acknowledgements')),
  ...refusalsWithWords,
];

/** Every message of a datagram, until one is refused; looks at nothing beyond the datagram. */
function walk(datagram: Uint8Array): { messages: Message[]; end: Outcome<undefined> } {
  const view = new WatchedView(datagram.slice().buffer, 0, datagram.length);
  const iterator = new Messages(view, datagram.length);
  const messages: Message[] = [];
  const end = outcomeOf(() => {
    for (const message of iterator) messages.push(message);
    return undefined;
  });
  return { messages, end };
}

describe.runIf(hostIsLittleEndian)('datagrams', () => {
  test('of broken bytes are messages, one behind the other and each inside, until one is refused', () =>
    fuzz(
      3000,
      fc.property(mutatedBytes(datagrams), (datagram) => {
        const { messages, end } = walk(datagram);
        if ('code' in end) expect(end.code).toBe('REPLY_MALFORMED');
        expect(messages.length).toBeLessThanOrEqual(datagram.length / HEADER_BYTES);
        let before = 0;
        for (const { type, flags, sequence, start, end } of messages) {
          expectWhole(type, 0, 0xffff);
          expectWhole(flags, 0, 0xffff);
          expectWhole(sequence, 0, 0xffff_ffff);
          expect(start).toBeGreaterThanOrEqual(before + HEADER_BYTES);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end).toBeLessThanOrEqual(datagram.length);
          before = end;
        }
      }),
    ));

  test('cut off anywhere end with a refusal, except between two messages', () => {
    for (const datagram of datagrams) {
      const ends = [0, ...walk(datagram).messages.map(({ end }) => end)];
      for (let length = 0; length < datagram.length; length++) {
        const { messages, end } = walk(datagram.slice(0, length));
        expect(messages.map(({ end }) => end)).toEqual(ends.filter((end) => end > 0 && end <= length));
        if (ends.includes(length)) expect(end).toEqual({ value: undefined });
        else expect(end).toMatchObject({ code: 'REPLY_MALFORMED' });
      }
    }
  });
});

describe.runIf(hostIsLittleEndian)('acknowledgements', () => {
  const corpus = [...messages('acknowledgements'), ...messages('done'), ...refusalsWithWords];

  test('of broken bytes are an errno of the kernel and perhaps words, or refused', () =>
    fuzz(
      3000,
      fc.property(mutatedBytes(corpus.map((bytes) => bytes.slice(16))), fc.nat(0xffff), (payload, flags) => {
        const message = { ...messageIn(payload), flags };
        const check = ({ errno, text }: { errno: number; text: string | undefined }) => {
          expectWhole(errno, 0, 4095);
          if (text !== undefined) expect(text).not.toContain('\0');
        };
        lawful(() => readAcknowledgement(message), check, ['REPLY_MALFORMED']);
        lawful(
          () => readDone(message),
          (errno) => expectWhole(errno, 0, 4095),
          ['REPLY_MALFORMED'],
        );
        expect(message.view.reads).toBeLessThanOrEqual(4 * payload.length + 16);
      }),
    ));

  test('cut off anywhere are refused', () => {
    for (const bytes of [...messages('acknowledgements'), ...refusalsWithWords]) {
      const [whole] = messagesOf(bytes);
      const { flags, start, end } = whole as Message;
      const words = readAcknowledgement(whole as Message).text;
      for (let length = 0; length < end - start; length++) {
        const message = { ...messageIn(bytes.slice(start, start + length)), flags };
        const outcome = outcomeOf(() => readAcknowledgement(message));
        // Its words may be missing: an acknowledgement without attributes is one too. Half of them are none.
        if ('value' in outcome) expect([undefined, words]).toContain(outcome.value.text);
        else expect(outcome.code).toBe('REPLY_MALFORMED');
      }
    }
  });
});

const inner = { u8: { number: 1, type: u8 }, string: { number: 2, type: string } } as const satisfies FieldTable;
const table = {
  u8: { number: 1, type: u8 },
  u16: { number: 2, type: u16 },
  u16be: { number: 3, type: u16be },
  u32: { number: 4, type: u32 },
  u32be: { number: 5, type: u32be },
  u64: { number: 6, type: u64 },
  string: { number: 7, type: string },
  bytes: { number: 8, type: bytes(5) },
  nested: { number: 10, type: nested(inner) },
} as const satisfies FieldTable;

const sizes = { u8: 0xff, u16: 0xffff, u16be: 0xffff, u32: 0xffff_ffff, u32be: 0xffff_ffff } as const;

function expectValues(values: Values<typeof table>): void {
  for (const [name, most] of Object.entries(sizes)) {
    const value = values[name as keyof typeof sizes];
    if (value !== undefined) expectWhole(value, 0, most);
  }
  if (values.u64 !== undefined) expect(BigInt.asUintN(64, values.u64)).toBe(values.u64);
  if (values.string !== undefined) expect(values.string).not.toContain('\0');
  if (values.bytes !== undefined) expect(values.bytes.length).toBe(5);
  if (values.nested?.u8 !== undefined) expectWhole(values.nested.u8, 0, 0xff);
}

describe.runIf(hostIsLittleEndian)('attributes by a table', () => {
  const everything = concat(
    attribute(1, Uint8Array.of(7)),
    attribute(2, le16(0x0102)),
    attribute(3, le16(0x0102)),
    attribute(4, le32(0x01020304)),
    attribute(5, le32(0x01020304)),
    attribute(6, le64(0x0102030405060708n)),
    attribute(7, text('näme')),
    attribute(8, Uint8Array.of(1, 2, 3, 4, 5)),
    attribute(10, attribute(1, Uint8Array.of(9)), attribute(2, text('inside'))),
    attribute(99, Uint8Array.of(1)),
  );

  test('of broken bytes are values of their types, or refused; what is not known is kept', () => {
    // Behind the four bytes that a generic netlink header would take.
    const corpus = [concat(new Uint8Array(4), everything)];
    return fuzz(
      4000,
      fc.property(fc.oneof(mutatedBytes(corpus), rebuilt(corpus)), (payload) => {
        const { view, start, end } = messageIn(payload);
        const unknown: UnknownAttribute[] = [];
        const decode = () => decodeFields(new Reader(view, start + 4, end), table, { unknown });
        lawful(decode, expectValues, ['REPLY_MALFORMED']);
        const known = Object.values<{ number: number }>(table).map(({ number }) => number);
        for (const { number, bytes } of unknown) {
          expect(known).not.toContain(number);
          expect(bytes.length).toBeLessThanOrEqual(payload.length);
        }
        expect(view.reads).toBeLessThanOrEqual(4 * payload.length + 16);
      }),
    );
  });
});
