/** The readers of the family IPVS, and those of interfaces and their addresses, against broken messages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { destinationReader, readDaemon, readInfo, readTimeouts, serviceReader } from '../../src/ipvs/netlink/wire.ts';
import { hostIsLittleEndian } from '../../src/netlink/align.ts';
import type { Message } from '../../src/netlink/message.ts';
import { readAddress, readLink } from '../../src/netlink/rtnetlink.ts';
import { rebuilt } from './attributes.ts';
import { payloads } from './corpus.ts';
import {
  expectDaemon,
  expectDestination,
  expectInfo,
  expectLink,
  expectLinkAddress,
  expectService,
  expectTimeouts,
  lawful,
  outcomeOf,
} from './laws.ts';
import { mutatedBytes } from './mutation.ts';
import { messageIn } from './places.ts';
import { fuzz } from './runs.ts';

interface Door<T> {
  readonly type?: number;
  /** What stands before the attributes. */
  readonly headerBytes?: number;
  readonly corpus: readonly Uint8Array[];
  readonly read: (message: Message) => T;
  readonly check: (value: T) => void;
}

function door<T>(
  name: string,
  corpus: readonly Uint8Array[],
  read: (message: Message) => T,
  check: (value: T) => void,
  about: Pick<Door<T>, 'type' | 'headerBytes'> = {},
): [string, Door<unknown>] {
  return [name, { corpus, read, check: check as (value: unknown) => void, ...about }];
}

const [v4, v6] = ['tcp://192.0.2.10:80', 'udp://[2001:db8::1]:5060'];
const doors = [
  door('services', payloads('services'), serviceReader(true), expectService),
  door('services without counters', payloads('services'), serviceReader(false), expectService),
  door('destinations', payloads('destinations'), destinationReader(true, v4), expectDestination),
  door('destinations without counters', payloads('destinations'), destinationReader(false, v4), expectDestination),
  door('destinations of IPv6', payloads('destinations6'), destinationReader(true, v6), expectDestination),
  door('info', payloads('info'), readInfo, expectInfo),
  door('timeouts', payloads('timeouts'), readTimeouts, expectTimeouts),
  door('sync daemons', payloads('daemons'), readDaemon, expectDaemon),
  door('interfaces', payloads('links'), readLink, expectLink, { type: 16, headerBytes: 16 }),
  door('addresses', payloads('addresses'), readAddress, expectLinkAddress, { type: 20, headerBytes: 8 }),
];

/** What the readers make of a payload: a lawful value or a refusal, found within the payload's own bytes, in few looks. */
function expectLawful({ type, read, check }: Door<unknown>, payload: Uint8Array): void {
  const message = messageIn(payload, 0, type);
  lawful(() => read(message), check, ['REPLY_MALFORMED']);
  expect(message.view.reads).toBeLessThanOrEqual(4 * payload.length + 16);
  // What stands around it makes no difference.
  expect(outcomeOf(() => read(messageIn(payload, 0xff, type)))).toEqual(
    outcomeOf(() => read(messageIn(payload, 0, type))),
  );
}

describe.runIf(hostIsLittleEndian).each(doors)('%s', (_, door) => {
  const { corpus, read, check, type, headerBytes } = door;
  const whole = (payload: Uint8Array) => messageIn(payload, 0, type);

  test('are read as the kernel sent them', () => {
    expect(corpus.length).toBeGreaterThan(0);
    for (const payload of corpus) check(read(whole(payload)));
  });

  test('cut off anywhere are refused', () => {
    for (const payload of corpus) {
      for (let length = 0; length < payload.length; length++) {
        // All but the padding behind the last value is needed.
        if (payload.length - length <= 3 && payload.subarray(length).every((byte) => byte === 0)) continue;
        const outcome = outcomeOf(() => read(whole(payload.slice(0, length))));
        // Attributes that stand one behind the other, in no nest, are less between two of them.
        if (headerBytes !== undefined && 'value' in outcome) check(outcome.value);
        else expect(outcome, `${length} of ${payload.length}`).toMatchObject({ code: 'REPLY_MALFORMED' });
      }
    }
  });

  test('of broken bytes are lawful values, or refused', () =>
    fuzz(
      1000,
      fc.property(mutatedBytes(corpus), (payload) => expectLawful(door, payload)),
    ));

  test('of broken attributes in true lengths are lawful values, or refused', () =>
    fuzz(
      1000,
      fc.property(rebuilt(corpus, headerBytes), (payload) => expectLawful(door, payload)),
    ));

  test('leave nothing behind for the message that comes next', () =>
    fuzz(
      300,
      fc.property(rebuilt(corpus, headerBytes), fc.constantFrom(...corpus), (broken, valid) => {
        const alone = read(whole(valid));
        outcomeOf(() => read(whole(broken)));
        expect(read(whole(valid))).toEqual(alone);
      }),
    ));
});
