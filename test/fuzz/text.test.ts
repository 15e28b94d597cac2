/** What people and programs say: addresses, durations, and the nouns as objects. */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../src/base/errors.ts';
import { parseDuration } from '../../src/config/duration.ts';
import { destinationKey, normalizeDestination } from '../../src/ipvs/destination.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { normalizeSyncDaemon } from '../../src/ipvs/sync-daemon.ts';
import { normalizeTimeouts } from '../../src/ipvs/timeouts.ts';
import {
  formatDestinationAddress,
  formatServiceAddress,
  ipOf,
  parseDestinationAddress,
  parseIp,
  parseServiceAddress,
  serviceKey,
} from '../../src/net/address.ts';
import {
  expectDaemon,
  expectDestination,
  expectService,
  expectTimeouts,
  expectWhole,
  lawful,
  outcomeOf,
} from './laws.ts';
import { mutatedText } from './mutation.ts';
import { fuzz } from './runs.ts';

const words = [
  ...[
    ':',
    '::',
    '.',
    '/',
    '[',
    ']',
    '%',
    '%eth0',
    '0',
    '00',
    '255',
    '256',
    '65535',
    '65536',
    '4294967295',
    '4294967296',
  ],
  ...[
    'tcp://',
    'udp://',
    'ip-47://',
    'ip-6://',
    'fwmark:',
    '/inet6',
    'ffff',
    '::ffff:',
    '١',
    ' ',
    '\n',
    '\0',
    '-1',
    '1e1',
    '0x1',
  ],
];
const services = [
  ...[
    'tcp://192.0.2.1:80',
    'udp://[2001:db8::1]:53',
    'sctp://0.0.0.0:0',
    'ip-47://[::]:0',
    'fwmark:5',
    'fwmark:5/inet6',
  ],
  'tcp://[::ffff:192.0.2.1]:443',
];
const destinations = ['10.0.0.11:8080', '[2001:db8::11]:8080', '10.0.0.11', '2001:db8::11', '[::ffff:192.0.2.1]:1'];
const INPUT = ['INVALID_ADDRESS', 'INVALID_PORT', 'INVALID_FWMARK', 'INVALID_PROTOCOL'] as const;

describe('addresses', () => {
  test('of services are canonical as soon as they are read, or refused', () =>
    fuzz(
      8000,
      fc.property(mutatedText(services, words), (text) => {
        const check = (canonical: string) => {
          const address = parseServiceAddress(text);
          expect(formatServiceAddress(address)).toBe(canonical);
          expect(parseServiceAddress(canonical)).toEqual(address);
          expect(serviceKey(canonical)).toBe(canonical);
          expect(serviceKey(address)).toBe(canonical);
          if ('fwmark' in address) expectWhole(address.fwmark, 1, 0xffff_ffff);
          else expectWhole(address.port, 0, 0xffff);
        };
        lawful(() => serviceKey(text), check, INPUT);
      }),
    ));

  test('of destinations are canonical as soon as they are read, or refused', () =>
    fuzz(
      8000,
      fc.property(mutatedText(destinations, words), fc.constantFrom(...services), (text, service) => {
        const check = (canonical: string) => {
          const address = parseDestinationAddress(canonical);
          expect(formatDestinationAddress(address)).toBe(canonical);
          expect(destinationKey(canonical, service)).toBe(canonical);
          expect(destinationKey(address, service)).toBe(canonical);
          expectWhole(address.port, 0, 0xffff);
        };
        lawful(() => destinationKey(text, service), check, INPUT);
      }),
    ));

  test('alone are those that the platform takes, and canonical', () =>
    fuzz(
      8000,
      fc.property(mutatedText(['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1', '::'], words), (text) => {
        const outcome = outcomeOf(() => parseIp(text));
        // A zone has no place in the kernel's table.
        expect('value' in outcome).toBe(isIP(text) !== 0 && !text.includes('%'));
        if (!('value' in outcome)) return;
        const { family, text: canonical, bytes } = outcome.value;
        expect(bytes.length).toBe(family === 'inet' ? 4 : 16);
        expect(parseIp(canonical)).toEqual(outcome.value);
        expect(ipOf(bytes)).toEqual(outcome.value);
      }),
    ));
});

test('durations are whole seconds, or none', () =>
  fuzz(
    5000,
    fc.property(
      fc.oneof(mutatedText(['300s', '15m', '2h', '1d', '0'], [...words, 's', 'm', 'h', 'd']), fc.double()),
      (value) => {
        const seconds = parseDuration(value);
        if (seconds !== undefined) expectWhole(seconds, 0, Number.MAX_SAFE_INTEGER);
      },
    ),
  ));

/** Anything that JavaScript can hand over, in the places of a noun's fields. */
function anyOf(keys: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<unknown> {
  const anything = fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withSparseArray: true });
  const odd = fc.oneof(anything, fc.constantFrom<unknown>(Symbol('odd'), -0, Number.NaN, 2 ** 53, 1.5, -1, '', '\0'));
  const field = (usual: fc.Arbitrary<unknown>) =>
    fc.oneof(
      { weight: 6, arbitrary: usual },
      { weight: 1, arbitrary: odd },
      { weight: 1, arbitrary: fc.constant(undefined) },
    );
  const fields = Object.fromEntries(Object.entries(keys).map(([key, usual]) => [key, field(usual)]));
  return fc.oneof(
    { weight: 8, arbitrary: fc.record(fields, { requiredKeys: [] }) },
    { weight: 1, arbitrary: fc.record({ ...fields, extra: odd }) },
    { weight: 1, arbitrary: odd },
  );
}

/** What comes through a door goes through it again, and is the same. */
function expectSettled<T>(normalize: (input: T) => T, check: (value: T) => void, input: unknown): void {
  const outcome = outcomeOf(() => normalize(input as T));
  if ('code' in outcome) {
    expect(new IpvsError(outcome.code).kind).toBe('input');
    return;
  }
  check(outcome.value);
  expect(normalize(outcome.value)).toEqual(outcome.value);
}

describe('whatever is given', () => {
  const address = mutatedText(services, words);
  const weight = fc.constantFrom(0, 1, 100, 0x7fff_ffff);

  test('a service is a lawful one, or refused', () => {
    const object = fc.record(
      {
        family: fc.constantFrom('inet', 'inet6'),
        protocol: fc.constant('tcp'),
        ip: fc.constantFrom('192.0.2.1', '::1'),
        port: weight,
        fwmark: weight,
      },
      { requiredKeys: [] },
    );
    const input = anyOf({
      address: fc.oneof(
        fc.constantFrom(...services),
        address,
        object,
        anyOf({ family: object, ip: object, fwmark: object, port: object }),
      ),
      scheduler: fc.constantFrom('rr', 'sh', 'mh', 'sixteen_letters_'),
      schedulerFlags: fc.array(fc.constantFrom('sh-port', 'flag-1', 'mh-port', '')),
      persistence: fc.oneof(
        fc.constant(null),
        anyOf({
          timeoutSeconds: weight,
          netmask: fc.constantFrom<unknown>(24, 64, 129, '255.0.255.0', '1.2'),
          engine: fc.constantFrom('sip', null),
        }),
      ),
      onePacket: fc.boolean(),
    });
    return fuzz(
      4000,
      fc.property(input, (input) => expectSettled(normalizeService, expectService, input)),
    );
  });

  test('a destination is a lawful one, or refused', () => {
    const input = anyOf({
      address: fc.oneof(
        fc.constantFrom(...destinations),
        mutatedText(destinations, words),
        anyOf({ family: address, ip: address, port: weight }),
      ),
      forward: fc.oneof(
        fc.constantFrom('masquerade', 'direct', 'tunnel'),
        anyOf({
          tunnel: fc.constantFrom('gue', 'gre', 'ipip'),
          port: fc.constantFrom(0, 6080, 65_536),
          checksum: fc.constantFrom('csum', 'remcsum'),
        }),
      ),
      weight,
      upperThreshold: weight,
      lowerThreshold: weight,
    });
    return fuzz(
      4000,
      fc.property(input, fc.constantFrom(...services), (input, service) =>
        expectSettled(
          (input: Parameters<typeof normalizeDestination>[0]) => normalizeDestination(input, service),
          (destination) =>
            expectDestination({
              ...(destination as ReturnType<typeof normalizeDestination>),
              activeConnections: 0,
              inactiveConnections: 0,
              persistentConnections: 0,
            }),
          input,
        ),
      ),
    );
  });

  test('a sync daemon is a lawful one, or refused', () => {
    const input = anyOf({
      state: fc.constantFrom('master', 'backup', 'both'),
      interface: fc.constantFrom('eth0', 'lo', '..', 'sixteen_letters_'),
      id: fc.constantFrom(0, 255, 256),
      maxLengthBytes: fc.constantFrom(1, 0xffff, 0),
      group: fc.oneof(
        fc.constantFrom('224.0.0.81', 'ff02::81', '10.0.0.1'),
        mutatedText(['224.0.0.81', 'ff02::81'], words),
      ),
      port: fc.constantFrom(1, 0xffff, 0),
      ttl: fc.constantFrom(1, 255, 0),
    });
    return fuzz(
      2000,
      fc.property(input, (input) => expectSettled(normalizeSyncDaemon as never, expectDaemon as never, input)),
    );
  });

  test('timeouts are lawful ones, or refused', () => {
    const seconds = fc.constantFrom(1, 900, 2_147_483, 2_147_484, 0);
    const input = anyOf({ tcpSeconds: seconds, tcpFinSeconds: seconds, udpSeconds: seconds });
    const check = (timeouts: Partial<Parameters<typeof expectTimeouts>[0]>) =>
      expectTimeouts({ tcpSeconds: 1, tcpFinSeconds: 1, udpSeconds: 1, ...timeouts });
    return fuzz(
      2000,
      fc.property(input, (input) => expectSettled(normalizeTimeouts, check, input)),
    );
  });
});
