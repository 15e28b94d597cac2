import { describe, expect, test } from 'vitest';
import { type Mapping, mappingOf, protocolNumber } from '../../../src/conntrack/mapping.ts';
import { dumpFilter, type MappingFilter, mappingTest } from '../../../src/conntrack/mapping-filter.ts';
import { connectionStatus, type TrackedConnection } from '../../../src/netlink/conntrack.ts';

const { SEEN_REPLY, ASSURED, SRC_NAT } = connectionStatus;
const bytes = (...numbers: number[]) => Uint8Array.from(numbers);

const tracked: TrackedConnection = {
  original: {
    source: bytes(10, 0, 0, 5),
    destination: bytes(198, 51, 100, 9),
    protocol: 6,
    sourcePort: 4711,
    destinationPort: 443,
  },
  reply: {
    source: bytes(198, 51, 100, 9),
    destination: bytes(192, 0, 2, 1),
    protocol: 6,
    sourcePort: 443,
    destinationPort: 61005,
  },
  status: SRC_NAT | SEEN_REPLY | ASSURED,
  tcpState: 3,
  timeoutSeconds: 431999,
  mark: 0,
  id: 7,
  zone: 0,
};

describe('a mapping', () => {
  test('has three pairs of address and port', () => {
    expect(mappingOf(tracked)).toEqual({
      protocol: 'tcp',
      inner: '10.0.0.5:4711',
      outer: '198.51.100.9:443',
      mapped: '192.0.2.1:61005',
      state: 'ESTABLISHED',
      replied: true,
      assured: true,
      expiresSeconds: 431999,
      mark: 0,
      id: 7,
      helper: null,
    });
  });

  test('of ICMP has no ports, and no state', () => {
    const icmp = { id: 9, type: 8, code: 0 };
    const { tcpState: _, ...rest } = tracked;
    const ping = {
      ...rest,
      original: { source: bytes(10, 0, 0, 5), destination: bytes(198, 51, 100, 9), protocol: 1, icmp },
      reply: { source: bytes(198, 51, 100, 9), destination: bytes(192, 0, 2, 1), protocol: 1, icmp },
    };
    expect(mappingOf(ping)).toMatchObject({ protocol: 'icmp', inner: '10.0.0.5', mapped: '192.0.2.1', state: null });
  });

  test('of a balanced connection has a server, one that a helper expected its control connection', () => {
    const { reply, original } = tracked;
    const mapping = mappingOf({
      ...tracked,
      reply: { ...reply, source: bytes(10, 0, 0, 80), sourcePort: 8080 },
      master: original,
    });
    expect(mapping).toMatchObject({
      server: '10.0.0.80:8080',
      control: { inner: '10.0.0.5:4711', outer: '198.51.100.9:443' },
    });
  });

  test('of IPv6 stands in brackets, protocols without a name have their number', () => {
    const six = (last: number) => bytes(0x20, 0x01, 0x0d, 0xb8, ...Array(11).fill(0), last);
    const original = { source: six(5), destination: six(9), protocol: 17, sourcePort: 1, destinationPort: 53 };
    expect(mappingOf({ ...tracked, original }).inner).toBe('[2001:db8::5]:1');
    expect(mappingOf({ ...tracked, original: { ...original, protocol: 47 } }).protocol).toBe('ip-47');
    expect([protocolNumber('ip-47'), protocolNumber('udp'), protocolNumber('ip-0'), protocolNumber('carp')]).toEqual([
      47,
      17,
      undefined,
      undefined,
    ]);
  });
});

describe('a filter', () => {
  const mapping = mappingOf(tracked);
  const matches = (filter: MappingFilter, other: Mapping = mapping) => mappingTest(filter)(other);

  test.each<[MappingFilter, boolean]>([
    [{}, true],
    [{ protocol: 'tcp' }, true],
    [{ protocol: 'udp' }, false],
    [{ inner: '10.0.0.0/24' }, true],
    [{ inner: '10.0.1.0/24' }, false],
    [{ inner: '10.0.0.5:4711', outer: '198.51.100.9' }, true],
    [{ outer: '198.51.100.9:80' }, false],
    [{ mapped: '192.0.2.1', mappedPort: 61005 }, true],
    [{ mappedPort: 5 }, false],
    [{ mappedPort: 1005 }, false],
  ])('%j: %s', (filter, expected) => expect(matches(filter)).toBe(expected));

  test('by port does not take the end of an IPv6 address for one', () => {
    expect(matches({ mappedPort: 5 }, { ...mapping, mapped: '2001:db8::5' })).toBe(false);
    expect(matches({ mappedPort: 5 }, { ...mapping, mapped: '[2001:db8::5]:5' })).toBe(true);
  });

  test.each([
    [{ protocol: 'carp' }, 'INVALID_PROTOCOL'],
    [{ inner: 'ten' }, 'INVALID_ADDRESS'],
    [{ mappedPort: 0 }, 'INVALID_PORT'],
    [{ innner: '10.0.0.1' } as MappingFilter, 'INVALID_OPTION'],
  ])('%j is refused', (filter, code) => {
    expect(() => mappingTest(filter)).toThrow(expect.objectContaining({ code }));
  });
});

describe('what the kernel compares of a filter', () => {
  const SRC_NATED = { status: SRC_NAT };

  test('is all that is exact, of IPv4', () => {
    expect(dumpFilter({ inner: '10.0.0.5', outer: '198.51.100.9:443', mapped: '192.0.2.1', protocol: 'tcp' })).toEqual({
      ...SRC_NATED,
      family: 'inet',
      original: { source: bytes(10, 0, 0, 5), destination: bytes(198, 51, 100, 9), destinationPort: 443, protocol: 6 },
      reply: { destination: bytes(192, 0, 2, 1), protocol: 6 },
    });
    const byPort = { mapped: '192.0.2.1', mappedPort: 61005, protocol: 'udp' };
    expect(dumpFilter(byPort)).toMatchObject({ reply: { protocol: 17, destinationPort: 61005 } });
  });

  test.each<[string, MappingFilter]>([
    ['nothing is asked', {}],
    ['a network', { inner: '10.0.0.0/24' }],
    ['IPv6, which kernels compare the wrong way round', { inner: 'fd00::5' }],
    ['a protocol or a port alone', { protocol: 'tcp', mappedPort: 5 }],
  ])('is only the status where it is %s', (_, filter) => {
    expect(dumpFilter(filter)).toEqual(SRC_NATED);
  });

  test('leaves ports out where the protocol is not said', () => {
    expect(dumpFilter({ outer: '198.51.100.9:443' })).toEqual({
      ...SRC_NATED,
      family: 'inet',
      original: { destination: bytes(198, 51, 100, 9) },
    });
  });
});
