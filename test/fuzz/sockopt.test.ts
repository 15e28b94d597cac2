/** Structs, and the table through getsockopt(2), where the kernel writes what it likes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SockoptBackend } from '../../src/ipvs/sockopt/backend.ts';
import { OptionTable } from '../../src/ipvs/sockopt/option-table.ts';
import type { Native } from '../../src/kernel/native.ts';
import { hostIsLittleEndian } from '../../src/netlink/align.ts';
import {
  DESTINATIONS_HEADER_BYTES,
  destinationEntryStruct,
  getOption,
  infoStruct,
  serviceEntryStruct,
  timeoutsStruct,
} from '../../src/sockopt/options.ts';
import { option } from './corpus.ts';
import { HostilePeer } from './hostile-peer.ts';
import {
  eventualOutcomeOf,
  expectDaemon,
  expectDestination,
  expectInfo,
  expectService,
  expectTimeouts,
} from './laws.ts';
import { mutatedBytes } from './mutation.ts';
import { fuzz } from './runs.ts';

type OptionName = keyof typeof getOption;

const valid: Readonly<Record<OptionName, Uint8Array>> = {
  VERSION: option('version'),
  INFO: option('info'),
  SERVICES: option('services'),
  SERVICE: option('service'),
  DESTS: option('destinations'),
  TIMEOUT: option('timeouts'),
  DAEMON: option('daemons'),
};
const names = Object.keys(valid) as OptionName[];

/** What getsockopt(2) writes, and what it returns; undefined stands for the length that it should be. */
interface Answer {
  readonly bytes: Uint8Array;
  readonly returned: number | undefined;
}

interface Script {
  readonly answers: { readonly [Name in OptionName]?: Answer };
  /** Which of the first calls are answered so; all others are answered as the kernel did. */
  readonly broken: readonly boolean[];
}

class Options extends HostilePeer {
  calls = 0;
  largest = 0;
  #script: Script;

  constructor(script: Script = { answers: {}, broken: [] }) {
    super(212_992);
    this.#script = script;
  }

  override openDatagram(): number {
    this.open++;
    return 8;
  }

  override hush(): void {
    this.#script = { answers: {}, broken: [] };
  }

  override getOption(_fd: number, _level: number, number: number, bytes: Uint8Array): number {
    const name = names.find((name) => getOption[name] === number) as OptionName;
    const answer = this.#script.broken[this.calls++] ? this.#script.answers[name] : undefined;
    this.largest = Math.max(this.largest, bytes.length);
    bytes.set((answer?.bytes ?? valid[name]).subarray(0, bytes.length));
    if (answer?.returned !== undefined) return answer.returned;
    return name === 'VERSION' ? bytes.indexOf(0) + 1 : bytes.length;
  }
}

interface Reading {
  hold(backend: SockoptBackend): Promise<unknown>;
  check(value: unknown): void;
}

const service = 'tcp://192.0.2.10:80';
const statistics = { statistics: true };
const readings: Record<string, Reading> = {
  info: reading((backend) => backend.info(), expectInfo),
  timeouts: reading((backend) => backend.timeouts(), expectTimeouts),
  'sync daemons': reading(
    (backend) => backend.syncDaemons(),
    (daemons) => daemons.forEach(expectDaemon),
  ),
  services: reading(
    (backend) => backend.services(statistics),
    (services) => services.forEach(expectService),
  ),
  'a service': reading(
    (backend) => backend.service(service, statistics),
    (service) => service && expectService(service),
  ),
  destinations: reading(
    (backend) => backend.destinations(service, statistics),
    (destinations) => destinations.forEach(expectDestination),
  ),
  snapshot: reading(
    (backend) => backend.snapshot(statistics),
    (services) => {
      for (const { destinations, ...service } of services) {
        expectService(service);
        destinations.forEach(expectDestination);
      }
    },
  ),
};

function reading<T>(hold: (backend: SockoptBackend) => Promise<T>, check: (value: T) => void): Reading {
  return { hold, check: (value) => check(value as T) };
}

function open(native: Native): SockoptBackend {
  return new SockoptBackend({ native, namespacePath: '' });
}

const lengths = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 12, 64, 2 ** 31, 2 ** 40, -1, -3, -14, -92, -4096) },
);
const answer = (name: OptionName) => fc.record({ bytes: mutatedBytes([valid[name]]), returned: lengths });
const scripts: fc.Arbitrary<Script> = fc.record({
  answers: fc.record<Script['answers']>({
    VERSION: answer('VERSION'),
    INFO: answer('INFO'),
    SERVICES: answer('SERVICES'),
    SERVICE: answer('SERVICE'),
    DESTS: answer('DESTS'),
    TIMEOUT: answer('TIMEOUT'),
    DAEMON: answer('DAEMON'),
  }),
  broken: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
});

describe.runIf(hostIsLittleEndian).each(Object.entries(readings))('%s', (_, { hold, check }) => {
  test('are read as the kernel wrote them', async () => check(await hold(open(new Options()))));

  test('of broken answers are lawful values, or refused; and those after them are as if nothing had been', async () => {
    const expected = await hold(open(new Options()));
    await fuzz(
      400,
      fc.asyncProperty(scripts, async (script) => {
        const options = new Options(script);
        const backend = open(options);
        const outcome = await eventualOutcomeOf(() => hold(backend));
        if ('value' in outcome) check(outcome.value);
        expect(options.largest).toBeLessThan(2 ** 29);
        // Each of a few services is asked for some times, and again with more room.
        expect(options.calls).toBeLessThan(1000);
        options.hush();
        expect(await hold(backend)).toEqual(expected);
        backend.close();
        expect(options.open).toBe(0);
      }),
    );
  });
});

describe.runIf(hostIsLittleEndian)('an answer of another length', () => {
  const table = (returned: number) => {
    const answer = { bytes: new Uint8Array(0), returned };
    const answers = { INFO: answer, TIMEOUT: answer, DAEMON: answer, VERSION: answer };
    return new OptionTable(new Options({ answers, broken: [true] }), '');
  };
  const lengths = fc.integer({ min: 0, max: 2 ** 32 }).filter((length) => ![12, 48, 64].includes(length));

  test('is refused', () =>
    fuzz(
      500,
      fc.property(lengths, (length) => {
        const malformed = expect.objectContaining({ code: 'REPLY_MALFORMED' });
        for (const read of ['info', 'timeouts', 'daemons'] as const) {
          expect(() => table(length)[read]()).toThrow(malformed);
        }
        if (length !== 1) expect(() => table(length).version()).toThrow(malformed);
      }),
    ));
});

describe.runIf(hostIsLittleEndian)('what was believed once', () => {
  const cases: [string, OptionName, { offset: number; value: number }, keyof typeof readings][] = [
    ['more services than there is memory for', 'INFO', { offset: infoStruct.offsets.services, value: -1 }, 'services'],
    [
      'more destinations than there is memory for',
      'SERVICE',
      { offset: serviceEntryStruct.offsets.destinations, value: 0x7fff_ffff },
      'destinations',
    ],
    [
      'a weight below zero',
      'DESTS',
      { offset: DESTINATIONS_HEADER_BYTES + destinationEntryStruct.offsets.weight, value: -1 },
      'destinations',
    ],
    ['a timeout below zero', 'TIMEOUT', { offset: timeoutsStruct.offsets.udpSeconds, value: -1 }, 'timeouts'],
    ['a daemon of no known state', 'DAEMON', { offset: 0, value: 77 }, 'sync daemons'],
  ];

  test.each(cases)('%s is refused', async (_, name, { offset, value }, reading) => {
    const bytes = valid[name].slice();
    new DataView(bytes.buffer).setInt32(offset, value, true);
    const backend = open(new Options({ answers: { [name]: { bytes, returned: undefined } }, broken: [true, true] }));
    expect(await eventualOutcomeOf(() => readings[reading]?.hold(backend) as Promise<unknown>)).toMatchObject({
      code: 'REPLY_MALFORMED',
    });
  });
});
