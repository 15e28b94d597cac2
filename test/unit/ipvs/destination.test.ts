import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, IpvsError } from '../../../src/base/errors.ts';
import {
  type DestinationInput,
  destinationKey,
  type Forward,
  formatForward,
  isTunnel,
  normalizeDestination,
  sameDestination,
  sameForward,
} from '../../../src/ipvs/destination.ts';

const TCP = 'tcp://192.0.2.1:80';
const TCP6 = 'tcp://[2001:db8::1]:80';
const MARK = 'fwmark:5';
const RS = '10.0.0.11:80';
const RS6 = '[2001:db8::11]:80';

function refusal(input: unknown, service = TCP): Pick<IpvsError, 'code' | 'path' | 'kind'> {
  try {
    normalizeDestination(input as DestinationInput, service);
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    const { code, path, kind } = error;
    return { code, path, kind };
  }
  throw new Error('was accepted');
}

describe('normalizeDestination', () => {
  it('fills in the defaults', () => {
    expect(normalizeDestination({ address: RS }, TCP)).toEqual({
      address: RS,
      forward: 'masquerade',
      weight: 1,
      upperThreshold: 0,
      lowerThreshold: 0,
    });
  });

  it('an option that is undefined is not given', () => {
    const nothing = { forward: undefined, weight: undefined, upperThreshold: undefined, lowerThreshold: undefined };
    expect(normalizeDestination({ address: RS, ...nothing }, TCP)).toEqual(normalizeDestination({ address: RS }, TCP));
  });

  it.each([
    [TCP, '10.0.0.11', '10.0.0.11:80'],
    [TCP, '10.0.0.11:8080', '10.0.0.11:8080'],
    [TCP6, '2001:DB8::0:11', '[2001:db8::11]:80'],
    [MARK, '10.0.0.11', '10.0.0.11:0'],
    ['fwmark:5/inet6', '2001:db8::11', '[2001:db8::11]:0'],
  ])('in %s, %s is %s', (service, address, canonical) => {
    expect(normalizeDestination({ address }, service).address).toBe(canonical);
    expect(destinationKey(address, service)).toBe(canonical);
  });

  it('takes the address as an object', () => {
    const address = { family: 'inet6', ip: '2001:DB8::11', port: 81 } as const;
    expect(normalizeDestination({ address }, TCP6).address).toBe('[2001:db8::11]:81');
  });

  it.each<[DestinationInput['forward'], Forward]>([
    ['masquerade', 'masquerade'],
    ['direct', 'direct'],
    ['tunnel', 'tunnel'],
    ['local', 'local'],
    ['bypass', 'bypass'],
    [{ tunnel: 'ipip' }, 'tunnel'],
    [{ tunnel: 'ipip', port: 0, checksum: 'nocsum' }, 'tunnel'],
    [{ tunnel: 'gre' }, { tunnel: 'gre', port: 0, checksum: 'nocsum' }],
    [
      { tunnel: 'gre', checksum: 'csum' },
      { tunnel: 'gre', port: 0, checksum: 'csum' },
    ],
    [
      { tunnel: 'gue', port: 6080 },
      { tunnel: 'gue', port: 6080, checksum: 'nocsum' },
    ],
    [
      { tunnel: 'gue', port: 6080, checksum: 'remcsum' },
      { tunnel: 'gue', port: 6080, checksum: 'remcsum' },
    ],
  ])('forwarding by %j is %j', (forward, expected) => {
    expect(normalizeDestination({ address: RS, forward }, TCP).forward).toEqual(expected);
  });

  it.each<[string, DestinationInput, string]>([
    ['a tunnel over IPv6 to an IPv4 service', { address: RS6, forward: 'tunnel' }, TCP],
    ['a tunnel over IPv4 to an IPv6 service', { address: RS, forward: { tunnel: 'gue', port: 6080 } }, TCP6],
    ['another port, by masquerade', { address: '10.0.0.11:8080' }, TCP],
    ['any port of a mark, by direct', { address: '10.0.0.11:8080', forward: 'direct' }, MARK],
    ['weight 0', { address: RS, weight: 0 }, TCP],
    ['the largest weight', { address: RS, weight: 2147483647 }, TCP],
    ['equal thresholds', { address: RS, upperThreshold: 5, lowerThreshold: 5 }, TCP],
    ['the largest thresholds', { address: RS, upperThreshold: 2147483647, lowerThreshold: 2147483647 }, TCP],
    ['an upper threshold alone', { address: RS, upperThreshold: 5 }, TCP],
  ])('takes %s', (_, input, service) => expect(normalizeDestination(input, service)).toMatchObject({}));

  it.each<[string, unknown, ErrorCode, string[], string?]>([
    ['nothing', undefined, 'INVALID_OPTION', []],
    ['null', null, 'INVALID_OPTION', []],
    ['a text', RS, 'INVALID_OPTION', []],
    ['an unknown key', { address: RS, wieght: 1 }, 'INVALID_OPTION', ['wieght']],
    ['a malformed address', { address: 'web1:80' }, 'INVALID_ADDRESS', ['address']],
    ['an octal address', { address: '010.0.0.1:80' }, 'INVALID_ADDRESS', ['address']],
    ['an address with a zone', { address: '[fe80::1%2]:80' }, 'INVALID_ADDRESS', ['address'], TCP6],
    ['a port too large', { address: '10.0.0.11:65536' }, 'INVALID_PORT', ['address']],
    ['IPv6 in IPv4', { address: RS6 }, 'MIXED_FAMILIES', ['address']],
    ['IPv4 in IPv6', { address: RS }, 'MIXED_FAMILIES', ['address'], TCP6],
    ['IPv6 in IPv4, direct', { address: RS6, forward: 'direct' }, 'MIXED_FAMILIES', ['address']],
    ['IPv6 in a mark of IPv4', { address: '2001:db8::1' }, 'MIXED_FAMILIES', ['address'], MARK],
    ['another port, direct', { address: '10.0.0.11:81', forward: 'direct' }, 'INVALID_PORT', ['address']],
    ['another port, by tunnel', { address: '10.0.0.11:81', forward: 'tunnel' }, 'INVALID_PORT', ['address']],
    // Both leave the packet as it is (ip_vs_null_xmit, ip_vs_bypass_xmit).
    ['another port, local', { address: '10.0.0.11:81', forward: 'local' }, 'INVALID_PORT', ['address']],
    ['another port, bypass', { address: '10.0.0.11:81', forward: 'bypass' }, 'INVALID_PORT', ['address']],
    [
      'another port, by gue',
      { address: '10.0.0.11:81', forward: { tunnel: 'gue', port: 1 } },
      'INVALID_PORT',
      ['address'],
    ],
    ['an unknown method', { address: RS, forward: 'nat' }, 'INVALID_FORWARD', ['forward']],
    ['a method of the kernel without a name', { address: RS, forward: 'unknown-5' }, 'INVALID_FORWARD', ['forward']],
    ['a method that is a number', { address: RS, forward: 2 }, 'INVALID_FORWARD', ['forward']],
    ['an empty tunnel', { address: RS, forward: {} }, 'INVALID_FORWARD', ['forward', 'tunnel']],
    ['an unknown tunnel', { address: RS, forward: { tunnel: 'vxlan' } }, 'INVALID_FORWARD', ['forward', 'tunnel']],
    [
      'an unknown key of a tunnel',
      { address: RS, forward: { tunnel: 'gre', key: 1 } },
      'INVALID_OPTION',
      ['forward', 'key'],
    ],
    ['gue without a port', { address: RS, forward: { tunnel: 'gue' } }, 'INVALID_FORWARD', ['forward', 'port']],
    ['gue with port 0', { address: RS, forward: { tunnel: 'gue', port: 0 } }, 'INVALID_PORT', ['forward', 'port']],
    [
      'gue with a port too large',
      { address: RS, forward: { tunnel: 'gue', port: 65536 } },
      'INVALID_PORT',
      ['forward', 'port'],
    ],
    [
      'gue with a text as port',
      { address: RS, forward: { tunnel: 'gue', port: '6080' } },
      'INVALID_PORT',
      ['forward', 'port'],
    ],
    [
      'gre with a port',
      { address: RS, forward: { tunnel: 'gre', port: 6080 } },
      'INVALID_FORWARD',
      ['forward', 'port'],
    ],
    [
      'ipip with a port',
      { address: RS, forward: { tunnel: 'ipip', port: 6080 } },
      'INVALID_FORWARD',
      ['forward', 'port'],
    ],
    [
      'ipip with a checksum',
      { address: RS, forward: { tunnel: 'ipip', checksum: 'csum' } },
      'INVALID_FORWARD',
      ['forward', 'checksum'],
    ],
    [
      'gre with remote checksum offload, which only gue has',
      { address: RS, forward: { tunnel: 'gre', checksum: 'remcsum' } },
      'INVALID_FORWARD',
      ['forward', 'checksum'],
    ],
    [
      'an unknown checksum',
      { address: RS, forward: { tunnel: 'gre', checksum: 'crc' } },
      'INVALID_FORWARD',
      ['forward', 'checksum'],
    ],
    [
      'a lower threshold above the upper',
      { address: RS, upperThreshold: 4, lowerThreshold: 5 },
      'INVALID_THRESHOLD',
      ['lowerThreshold'],
    ],
    ['a lower threshold alone', { address: RS, lowerThreshold: 1 }, 'INVALID_THRESHOLD', ['lowerThreshold']],
  ])('refuses %s', (_, input, code, path, service) => {
    expect(refusal(input, service)).toEqual({ code, path, kind: 'input' });
  });

  const notWhole = [-1, 1.5, 2147483648, Number.NaN, Number.POSITIVE_INFINITY, '1', '', true, [], {}, 1n];

  it.each(notWhole)('refuses the weight %s', (weight) => {
    expect(refusal({ address: RS, weight })).toEqual({ code: 'INVALID_WEIGHT', path: ['weight'], kind: 'input' });
  });

  it.each(notWhole)('refuses the thresholds %s', (threshold) => {
    for (const name of ['upperThreshold', 'lowerThreshold']) {
      const expected = { code: 'INVALID_THRESHOLD', path: [name], kind: 'input' };
      expect(refusal({ address: RS, [name]: threshold })).toEqual(expected);
    }
  });

  it.each([
    ['no address', {}],
    ['an address that is null', { address: null }],
  ])('refuses %s as INVALID_ADDRESS', (_, input) => {
    expect(refusal(input)).toEqual({ code: 'INVALID_ADDRESS', path: ['address'], kind: 'input' });
  });

  it.each([Number.NaN, '', null])('refuses for gre the port %j', (port) => {
    expect(refusal({ address: RS, forward: { tunnel: 'gre', port } }).path).toEqual(['forward', 'port']);
  });

  it('what is normal stays as it is', () => {
    const threshold = fc.integer({ min: 0, max: 0x7fff_ffff });
    const input = fc.record(
      {
        address: fc.constantFrom('10.0.0.11', RS),
        forward: fc.constantFrom(
          'masquerade',
          'direct',
          { tunnel: 'gue', port: 6080 },
          { tunnel: 'gre', checksum: 'csum' },
        ),
        weight: threshold,
        upperThreshold: threshold,
      },
      { requiredKeys: ['address'] },
    );
    fc.assert(
      fc.property(input, (value) => {
        const normal = normalizeDestination(value, TCP);
        expect(normalizeDestination(normal, TCP)).toEqual(normal);
        expect(sameDestination(normal, normalizeDestination(value, TCP))).toBe(true);
      }),
    );
  });

  it('whatever is given, the result is a destination or an IpvsError', () => {
    const junk = fc.oneof(fc.jsonValue(), fc.constant(undefined), fc.constant(Number.NaN));
    const input = fc.record(
      {
        address: fc.oneof(fc.constantFrom(RS, RS6), fc.string()),
        forward: fc.oneof(
          junk,
          fc.record({ tunnel: fc.constantFrom('gue', 'gre', 'ipip'), port: junk, checksum: junk }),
        ),
        weight: junk,
        upperThreshold: junk,
        lowerThreshold: junk,
      },
      { requiredKeys: ['address'] },
    );
    fc.assert(
      fc.property(input, (value) => {
        try {
          normalizeDestination(value as DestinationInput, TCP);
        } catch (error) {
          if (!(error instanceof IpvsError)) throw error;
          expect(error.kind).toBe('input');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('destinations as people see and compare them', () => {
  it.each<[Forward, string, boolean]>([
    ['masquerade', 'masquerade', false],
    ['unknown-5', 'unknown-5', false],
    ['tunnel', 'tunnel', true],
    [{ tunnel: 'gre', port: 0, checksum: 'nocsum' }, 'tunnel gre', true],
    [{ tunnel: 'gue', port: 6080, checksum: 'csum' }, 'tunnel gue:6080 csum', true],
    [{ tunnel: 'unknown-9', port: 0, checksum: 'unknown-8' }, 'tunnel unknown-9 unknown-8', true],
  ])('%j is shown as "%s"', (forward, text, tunnel) => {
    expect(formatForward(forward)).toBe(text);
    expect(isTunnel(forward)).toBe(tunnel);
    expect(sameForward(forward, structuredClone(forward))).toBe(true);
  });

  const destination = normalizeDestination({ address: RS, forward: { tunnel: 'gue', port: 6080 } }, TCP);

  it('are the same whatever their connections', () => {
    expect(sameDestination(destination, { ...destination, activeConnections: 5 } as typeof destination)).toBe(true);
  });

  it.each<object>([
    { address: '10.0.0.12:80' },
    { weight: 2 },
    { upperThreshold: 1 },
    { lowerThreshold: 1 },
    { forward: 'tunnel' },
    { forward: { tunnel: 'gue', port: 6081, checksum: 'nocsum' } },
    { forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } },
    { forward: { tunnel: 'gre', port: 6080, checksum: 'nocsum' } },
  ])('differ by %j', (change) => expect(sameDestination(destination, { ...destination, ...change })).toBe(false));
});
