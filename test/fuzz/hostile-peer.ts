/** A peer on a netlink socket that keeps to no rule. */
import fc from 'fast-check';
import type { Native } from '../../src/kernel/native.ts';
import {
  attribute,
  concat,
  done,
  type FakeRequest,
  genericHeader,
  le32,
  message,
  requestsOf,
  text,
} from '../helpers/fake-kernel.ts';
import { mutatedBytes } from './mutation.ts';

/** What one receive finds: a datagram; or only what it returns, a length or a negative errno. */
type Delivery = Uint8Array | number;

/** What is delivered when these requests were sent, or a negative errno of the sending. */
export type Answer = (requests: readonly FakeRequest[]) => Iterable<Delivery> | number;

const EAGAIN = 11;

export class HostilePeer implements Native {
  answer: Answer = () => [];
  /** How often it was asked for what it has. */
  receives = 0;
  sends = 0;
  delivered = 0;
  open = 0;
  readonly #receiveBufferBytes: number;
  #deliveries: Iterator<Delivery>[] = [];

  constructor(receiveBufferBytes: number) {
    this.#receiveBufferBytes = receiveBufferBytes;
  }

  /** Forgets what was not received. */
  hush(): void {
    this.#deliveries = [];
  }

  openNetlink(): number {
    this.open++;
    return 7;
  }

  send(_fd: number, bytes: Uint8Array, length: number): number {
    this.sends++;
    const answer = this.answer(requestsOf(bytes.slice(0, length)));
    if (typeof answer === 'number') return answer;
    this.#deliveries.push(answer[Symbol.iterator]());
    return length;
  }

  receive(_fd: number, bytes: Uint8Array): number {
    this.receives++;
    for (let next = this.#deliveries[0]; next !== undefined; next = this.#deliveries[0]) {
      const { value, done } = next.next();
      if (done) {
        this.#deliveries.shift();
        continue;
      }
      this.delivered++;
      if (typeof value === 'number') return value;
      bytes.set(value.subarray(0, bytes.length));
      return value.length;
    }
    return -EAGAIN;
  }

  getOption(_fd: number, _level: number, _name: number, bytes: Uint8Array): number {
    bytes.set(le32(this.#receiveBufferBytes));
    return 4;
  }

  close(): number {
    this.open--;
    return 0;
  }

  openDatagram(): number {
    return -1;
  }

  openPacket(): number {
    return -1;
  }

  sendPacket(): number {
    return -1;
  }

  lockFile(): number {
    return -1;
  }

  openProcNet(): number {
    return -1;
  }

  openProcSysNet(): number {
    return -1;
  }

  setOption(): number {
    return -1;
  }

  execInNamespace(): number {
    return -1;
  }
}

/** A message that answers one of the requests that were sent, or none. */
interface Line {
  readonly to: number;
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

const types = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(2, 3, 0x1e) }, { weight: 1, arbitrary: fc.nat(0x20) });
const flags = fc.constantFrom(0, 0x2, 0x10, 0x12, 0x100, 0x200, 0x300, 0xffff);
const errors = fc.constantFrom(0, 0, -1, -2, -3, -17, -105, -4095, -4096, 1, 0x7fff_ffff, -0x8000_0000);
const bodies = fc.oneof(
  errors.map((error) => concat(le32(error >>> 0), new Uint8Array(16))),
  errors.map((error) => concat(le32(error >>> 0), new Uint8Array(16), attribute(1, text('words')))),
  fc.uint8Array({ maxLength: 40 }),
);
const lines: fc.Arbitrary<Line> = fc.record({ to: fc.integer({ min: -1, max: 4 }), type: types, flags, body: bodies });

function lineIn(requests: readonly FakeRequest[], { to, type, flags, body }: Line): Uint8Array {
  // Mostly to the last, whose answer ends the conversation.
  const request = requests.at(to < 3 ? -1 : to - 3);
  return message(type, flags, (request?.sequence ?? 0) + (to < 0 ? 1000 : 0), body);
}

const wrongLengths = fc.oneof(
  fc.constantFrom(
    0,
    1,
    15,
    16,
    17,
    4096,
    65_535,
    65_536,
    65_537,
    2 ** 20,
    2 ** 20 + 1,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 53 - 1,
  ),
  fc.nat(200_000),
);
const failures = fc.constantFrom(-11, -105, -105, -4, -9, -12, -90, -4095);

/** Datagrams that hold such messages, are broken, or are none. */
export const answers: fc.Arbitrary<Answer> = fc
  .oneof({ weight: 9, arbitrary: fc.array(deliveries(), { maxLength: 10 }) }, { weight: 1, arbitrary: failures })
  .map((script): Answer => {
    if (typeof script === 'number') return () => script;
    return (requests) => script.map((delivery) => delivery(requests));
  });

function deliveries(): fc.Arbitrary<(requests: readonly FakeRequest[]) => Delivery> {
  const datagrams = fc.array(lines, { minLength: 1, maxLength: 3 });
  return fc.oneof(
    {
      weight: 8,
      arbitrary: datagrams.map((lines) => (requests: readonly FakeRequest[]): Delivery => {
        return concat(...lines.map((line) => lineIn(requests, line)));
      }),
    },
    {
      weight: 2,
      arbitrary: mutatedBytes([
        message(2, 0x100, 1, le32(0), new Uint8Array(16)),
        message(0x1e, 2, 1, genericHeader(1)),
      ]).map((bytes) => (): Delivery => bytes),
    },
    { weight: 1, arbitrary: wrongLengths.map((length) => (): Delivery => length) },
    { weight: 1, arbitrary: failures.map((failure) => (): Delivery => failure) },
  );
}

/** What an honest kernel says; objects are answered to a dump alone. */
export function honest(objects: readonly Uint8Array[]): Answer {
  return (requests) =>
    requests.flatMap((request) => {
      const items = objects.map((body) => message(request.type, 2, request.sequence, body));
      if ((request.flags & 0x300) === 0x300) return [...items, done(request)];
      return (request.flags & 4) === 0
        ? []
        : [message(2, 0x100, request.sequence, le32(0), request.bytes.slice(0, 16))];
    });
}
