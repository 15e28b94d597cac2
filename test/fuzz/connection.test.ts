/** Conversations on a netlink socket whose other end keeps to no rule. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostIsLittleEndian } from '../../src/netlink/align.ts';
import { type Outcome as Answered, type Dump, NetlinkConnection, type Request } from '../../src/netlink/connection.ts';
import { resolveFamily } from '../../src/netlink/generic.ts';
import type { Acknowledgement, Message } from '../../src/netlink/message.ts';
import { le32, message } from '../helpers/fake-kernel.ts';
import { rebuilt } from './attributes.ts';
import { payloads } from './corpus.ts';
import { type Answer, answers, HostilePeer, honest } from './hostile-peer.ts';
import { eventualOutcomeOf, expectWhole, outcomeOf } from './laws.ts';
import { mutatedBytes } from './mutation.ts';
import { fuzz } from './runs.ts';

const FAMILY = 0x1e;
const objects = [le32(1), le32(2), le32(3)];

function requests(count: number): Request[] {
  return Array.from({ length: count }, (_, i) => ({
    type: FAMILY,
    write: (writer) => writer.setU32(writer.reserve(4), i),
    alone: i % 3 === 2,
  }));
}
const [ask] = requests(1) as [Request];

/** As our readers do, it refuses what is no object. */
function read({ view, start, end }: Message): number {
  if (end - start !== 4) throw new RangeError('a reader does not check what it is told not to');
  return view.getUint32(start, true);
}
const readAnything = ({ start, end }: Message) => end - start;

interface Conversation {
  /** What it returns of a kernel that answers well. */
  readonly expected: unknown;
  /** With a reader of objects, or of anything. */
  hold(connection: NetlinkConnection, read: (message: Message) => number): Promise<unknown>;
  /** What holds of its result, whoever answered. */
  check(result: unknown): void;
}

const acknowledged = { errno: 0, text: undefined };
const REQUESTS = 8;

const conversations: Record<string, Conversation> = {
  request: {
    expected: { outcome: acknowledged, replies: [] },
    hold: async (connection, read) => connection.request(ask, read),
    check(result) {
      const { outcome, replies } = result as { outcome: Acknowledgement; replies: number[] };
      expectAcknowledgement(outcome);
      for (const reply of replies) expectWhole(reply, 0, 2 ** 20);
    },
  },
  dump: {
    expected: { errno: 0, items: [1, 2, 3], pieces: 3, full: false, interrupted: false },
    hold: (connection, read) => connection.dump(ask, read),
    check: (result) => expectDump(result as Dump<number>),
  },
  'dump in one piece': {
    expected: undefined,
    hold: async (connection, read) => connection.dumpPiece(ask, read),
    check: (result) => result && expectDump(result as Dump<number>),
  },
  pipeline: {
    expected: Array.from({ length: REQUESTS }, () => acknowledged),
    hold: (connection) => connection.pipeline(requests(REQUESTS)),
    check(result) {
      const outcomes = result as Answered[];
      expect(outcomes.length).toBe(REQUESTS);
      for (const outcome of outcomes) if (outcome !== 'unknown') expectAcknowledgement(outcome);
    },
  },
};

function expectAcknowledgement({ errno, text }: Acknowledgement): void {
  expectWhole(errno, 0, 4095);
  if (text !== undefined) expect(text).toBeTypeOf('string');
}

function expectDump({ errno, items, pieces }: Dump<number>): void {
  expectWhole(errno, 0, 4095);
  expectWhole(pieces, 0, items.length);
}

const names = fc.constantFrom(...Object.keys(conversations));
const conversation = (name: string) => conversations[name] as Conversation;

describe.runIf(hostIsLittleEndian)('whatever comes, and in whatever order', () => {
  const buffers = fc.constantFrom(0, 1, 1024, 5000, 212_992, 0xffff_ffff);

  test('every conversation ends, with a result or a refusal, and the next is as if nothing had been', () =>
    fuzz(
      2500,
      fc.asyncProperty(
        buffers,
        fc.array(fc.tuple(names, answers), { minLength: 1, maxLength: 4 }),
        async (bytes, said) => {
          const peer = new HostilePeer(bytes);
          const connection = NetlinkConnection.open({ native: peer, protocol: 16, readBytes: 4096 });
          for (const [name, answer] of said) {
            const { hold, check } = conversation(name);
            peer.answer = answer;
            const before = { receives: peer.receives, delivered: peer.delivered, sends: peer.sends };
            const outcome = await eventualOutcomeOf(() => hold(connection, readAnything));
            if ('value' in outcome) check(outcome.value);
            // Beside what there is, a socket is asked once before and once after every sending.
            const found = peer.delivered - before.delivered;
            expect(peer.receives - before.receives - found).toBeLessThanOrEqual(2 * (peer.sends - before.sends) + 1);
          }
          peer.hush();
          peer.answer = honest(objects);
          for (const { hold, expected } of Object.values(conversations)) {
            expect(await hold(connection, read)).toMatchObject({ ...(expected as object) });
          }
          connection.close();
          expect(peer.open).toBe(0);
        },
      ),
    ));

  test('what others are told is nothing to it', () =>
    fuzz(
      1500,
      fc.asyncProperty(
        names,
        fc.array(fc.tuple(fc.nat(60), fc.nat(0x20), fc.uint8Array({ maxLength: 30 }))),
        async (name, lines) => {
          const peer = new HostilePeer(212_992);
          const connection = NetlinkConnection.open({ native: peer, protocol: 16 });
          const junk = lines.map(([at, type, body]) => ({ at, bytes: message(type, 0, 0x7000_0000 + at, body) }));
          peer.answer = (requests) => {
            const answer = [...(honest(objects)(requests) as Uint8Array[])];
            for (const { at, bytes } of junk) answer.splice(at % (answer.length + 1), 0, bytes);
            return answer;
          };
          const { hold, check, expected } = conversation(name);
          const outcome = await eventualOutcomeOf(() => hold(connection, read));
          // Control messages have rules of their own, whoever they are for.
          if ('code' in outcome) expect(outcome.code).toBe('REPLY_MALFORMED');
          else if (expected === undefined) check(outcome.value);
          else expect(outcome.value).toMatchObject({ ...expected });
        },
      ),
    ));
});

describe.runIf(hostIsLittleEndian)('what never ends', () => {
  function* endlessly<T>(delivery: T): Generator<T> {
    for (;;) yield delivery;
  }
  const large = message(FAMILY, 2, 0x7000_0000, new Uint8Array(65_000));
  const endless: [string, Answer][] = [
    ['overruns', () => endlessly(-105)],
    ['messages for others', () => endlessly(large)],
    ['replies', ([first]) => endlessly(message(FAMILY, 2, first?.sequence ?? 0, new Uint8Array(65_000)))],
    ['datagrams that grow', () => growing()],
  ];
  function* growing(): Generator<number> {
    for (let length = 5000; ; length += 4) yield length;
  }

  const held = Object.entries(conversations).filter(([, { expected }]) => expected !== undefined);
  test.each(endless.flatMap(([what, answer]) => held.map(([name, each]) => [what, name, answer, each] as const)))(
    '%s: a %s is given up, and the next is as if nothing had been',
    async (_what, _name, answer, { hold, expected }) => {
      const peer = new HostilePeer(212_992);
      const connection = NetlinkConnection.open({ native: peer, protocol: 16, readBytes: 4096 });
      peer.answer = answer;
      expect(await eventualOutcomeOf(() => hold(connection, readAnything))).toMatchObject({ code: 'REPLY_MALFORMED' });
      expect(peer.receives).toBeLessThanOrEqual(2 ** 19 + 1);
      peer.hush();
      peer.answer = honest(objects);
      expect(await hold(connection, read)).toMatchObject({ ...(expected as object) });
    },
  );
});

describe.runIf(hostIsLittleEndian)('the number of a family', () => {
  const corpus = payloads('family');

  test('is read as the kernel says it', () => expect(resolved(corpus[0] as Uint8Array)).toEqual({ value: FAMILY }));

  test('of broken bytes is one that a family can have, or refused', () =>
    fuzz(
      1500,
      fc.property(fc.oneof(mutatedBytes(corpus), rebuilt(corpus)), (payload) => {
        const outcome = resolved(payload);
        if ('value' in outcome) expectWhole(outcome.value, 0x10, 0xffff);
        else expect(outcome.code).toBe('REPLY_MALFORMED');
      }),
    ));

  function resolved(payload: Uint8Array) {
    const peer = new HostilePeer(212_992);
    const connection = NetlinkConnection.open({ native: peer, protocol: 16 });
    peer.answer = (requests) => [
      message(0x10, 0, requests[0]?.sequence ?? 0, payload),
      ...(honest([])(requests) as Uint8Array[]),
    ];
    return outcomeOf(() => resolveFamily(connection, 'IPVS') as number);
  }
});
