import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, IpvsError } from '../../../src/base/errors.ts';
import {
  formatPersistence,
  netmaskBytes,
  netmaskOf,
  normalizeService,
  sameService,
  schedulerFlagNames,
  type VirtualServiceInput,
} from '../../../src/ipvs/service.ts';

const TCP = 'tcp://192.0.2.1:80';
const UDP = 'udp://192.0.2.1:53';
const TCP6 = 'tcp://[2001:db8::1]:80';
const MARK = 'fwmark:5';

function refusal(input: unknown): Pick<IpvsError, 'code' | 'path' | 'kind'> {
  try {
    normalizeService(input as VirtualServiceInput);
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    const { code, path, kind } = error;
    return { code, path, kind };
  }
  throw new Error('was accepted');
}

describe('normalizeService', () => {
  it('fills in the defaults', () => {
    expect(normalizeService({ address: TCP })).toEqual({
      address: TCP,
      scheduler: 'wlc',
      schedulerFlags: [],
      persistence: null,
      onePacket: false,
    });
  });

  it('an option that is undefined or null is not given', () => {
    const nothing = { scheduler: undefined, schedulerFlags: undefined, persistence: null, onePacket: undefined };
    expect(normalizeService({ address: TCP, ...nothing })).toEqual(normalizeService({ address: TCP }));
  });

  it('makes the address canonical, given as text or as an object', () => {
    expect(normalizeService({ address: 'tcp://[2001:DB8:0::1]:80' }).address).toBe(TCP6);
    const address = { protocol: 'tcp', family: 'inet6', ip: '2001:DB8:0::1', port: 80 } as const;
    expect(normalizeService({ address }).address).toBe(TCP6);
    expect(normalizeService({ address: 'ip-6://192.0.2.1:80' }).address).toBe(TCP);
    expect(normalizeService({ address: { fwmark: 5, family: 'inet6' } }).address).toBe('fwmark:5/inet6');
  });

  it.each<[string, VirtualServiceInput['persistence'], unknown]>([
    [TCP, {}, { timeoutSeconds: 300, netmask: 32, engine: null }],
    [TCP6, {}, { timeoutSeconds: 300, netmask: 128, engine: null }],
    ['fwmark:5/inet6', {}, { timeoutSeconds: 300, netmask: 128, engine: null }],
    [TCP, { timeoutSeconds: 1, netmask: 1 }, { timeoutSeconds: 1, netmask: 1, engine: null }],
    [TCP, { timeoutSeconds: 4294967 }, { timeoutSeconds: 4294967, netmask: 32, engine: null }],
    [TCP, { netmask: '255.255.255.0' }, { timeoutSeconds: 300, netmask: 24, engine: null }],
    [TCP, { netmask: '255.255.255.255' }, { timeoutSeconds: 300, netmask: 32, engine: null }],
    [TCP, { netmask: '255.0.255.0' }, { timeoutSeconds: 300, netmask: '255.0.255.0', engine: null }],
    [TCP, { netmask: '0.0.0.0' }, { timeoutSeconds: 300, netmask: '0.0.0.0', engine: null }],
    [TCP6, { netmask: 64 }, { timeoutSeconds: 300, netmask: 64, engine: null }],
    [UDP, { engine: 'sip' }, { timeoutSeconds: 300, netmask: 32, engine: 'sip' }],
    [UDP, { engine: null }, { timeoutSeconds: 300, netmask: 32, engine: null }],
  ])('persistence of %s: %j is %j', (address, persistence, expected) => {
    expect(normalizeService({ address, persistence }).persistence).toEqual(expected);
  });

  it.each<[string, readonly string[], readonly string[]]>([
    ['sh', ['sh-port'], ['sh-port']],
    ['sh', ['sh-port', 'sh-fallback', 'sh-port'], ['sh-fallback', 'sh-port']],
    ['sh', ['flag-1', 'flag-2', 'flag-3'], ['sh-fallback', 'sh-port', 'flag-3']],
    ['mh', ['mh-port', 'mh-fallback'], ['mh-fallback', 'mh-port']],
    ['wrr', ['flag-3', 'flag-1'], ['flag-1', 'flag-3']],
  ])('flags of %s: %j are %j', (scheduler, schedulerFlags, expected) => {
    expect(normalizeService({ address: TCP, scheduler, schedulerFlags }).schedulerFlags).toEqual(expected);
  });

  it.each([
    [UDP, 'udp'],
    [MARK, 'a mark, whose packets may be udp'],
  ])('one-packet scheduling is for %s (%s)', (address) => {
    expect(normalizeService({ address, onePacket: true }).onePacket).toBe(true);
  });

  it('port 0 goes with persistence', () => {
    expect(normalizeService({ address: 'tcp://192.0.2.1:0', persistence: {} }).address).toBe('tcp://192.0.2.1:0');
  });

  it.each<[string, unknown, ErrorCode, string[]]>([
    ['nothing', undefined, 'INVALID_OPTION', []],
    ['null', null, 'INVALID_OPTION', []],
    ['a text', TCP, 'INVALID_OPTION', []],
    ['an unknown key', { address: TCP, weigth: 1 }, 'INVALID_OPTION', ['weigth']],
    ['a malformed address', { address: 'tcp://nowhere:80' }, 'INVALID_ADDRESS', ['address']],
    ['an octal address', { address: 'tcp://192.0.2.010:80' }, 'INVALID_ADDRESS', ['address']],
    ['an address with a zone', { address: 'tcp://[fe80::1%eth0]:80' }, 'INVALID_ADDRESS', ['address']],
    ['a port too large', { address: 'tcp://192.0.2.1:65536' }, 'INVALID_PORT', ['address']],
    ['no port', { address: 'tcp://192.0.2.1' }, 'INVALID_PORT', ['address']],
    ['the mark 0', { address: 'fwmark:0' }, 'INVALID_FWMARK', ['address']],
    ['an unknown protocol', { address: 'icmp://192.0.2.1:80' }, 'INVALID_PROTOCOL', ['address']],
    ['a protocol that the kernel never balances', { address: 'ip-1://192.0.2.1:80' }, 'INVALID_PROTOCOL', ['address']],
    ['port 0 without persistence', { address: 'tcp://192.0.2.1:0' }, 'PORT_ZERO', ['address']],
    ['an empty scheduler', { address: TCP, scheduler: '' }, 'INVALID_SCHEDULER', ['scheduler']],
    ['a scheduler of 16 letters', { address: TCP, scheduler: 'abcdefghijklmnop' }, 'INVALID_SCHEDULER', ['scheduler']],
    ['a scheduler for modprobe', { address: TCP, scheduler: '-r ip_vs' }, 'INVALID_SCHEDULER', ['scheduler']],
    ['a scheduler with a path', { address: TCP, scheduler: '../x' }, 'INVALID_SCHEDULER', ['scheduler']],
    ['a scheduler with a line end', { address: TCP, scheduler: 'rr\n' }, 'INVALID_SCHEDULER', ['scheduler']],
    ['a scheduler that is a number', { address: TCP, scheduler: 5 }, 'INVALID_SCHEDULER', ['scheduler']],
    ['flags that are a text', { address: TCP, schedulerFlags: 'sh-port' }, 'INVALID_OPTION', ['schedulerFlags']],
    [
      'a flag of sh for mh',
      { address: TCP, scheduler: 'mh', schedulerFlags: ['sh-port'] },
      'INVALID_SCHEDULER',
      ['schedulerFlags'],
    ],
    ['a flag of sh for wlc', { address: TCP, schedulerFlags: ['sh-port'] }, 'INVALID_SCHEDULER', ['schedulerFlags']],
    ['a fourth flag', { address: TCP, schedulerFlags: ['flag-4'] }, 'INVALID_SCHEDULER', ['schedulerFlags']],
    ['a flag that is nothing', { address: TCP, schedulerFlags: [null] }, 'INVALID_SCHEDULER', ['schedulerFlags']],
    ['persistence that is true', { address: TCP, persistence: true }, 'INVALID_PERSISTENCE', ['persistence']],
    ['persistence that is false', { address: TCP, persistence: false }, 'INVALID_PERSISTENCE', ['persistence']],
    ['persistence that is a number', { address: TCP, persistence: 300 }, 'INVALID_PERSISTENCE', ['persistence']],
    [
      'an unknown key of persistence',
      { address: TCP, persistence: { timeout: 5 } },
      'INVALID_OPTION',
      ['persistence', 'timeout'],
    ],
    [
      'an unknown engine',
      { address: UDP, persistence: { engine: 'http' } },
      'INVALID_PERSISTENCE',
      ['persistence', 'engine'],
    ],
    [
      'an engine that is a list',
      { address: UDP, persistence: { engine: ['sip'] } },
      'INVALID_PERSISTENCE',
      ['persistence', 'engine'],
    ],
    ['sip on tcp', { address: TCP, persistence: { engine: 'sip' } }, 'INVALID_PERSISTENCE', ['persistence', 'engine']],
    [
      'sip on a mark',
      { address: MARK, persistence: { engine: 'sip' } },
      'INVALID_PERSISTENCE',
      ['persistence', 'engine'],
    ],
    ['one-packet scheduling on tcp', { address: TCP, onePacket: true }, 'INVALID_OPTION', ['onePacket']],
    [
      'one-packet scheduling on sctp',
      { address: 'sctp://192.0.2.1:80', onePacket: true },
      'INVALID_OPTION',
      ['onePacket'],
    ],
    ['one-packet scheduling that is a number', { address: UDP, onePacket: 1 }, 'INVALID_OPTION', ['onePacket']],
    ['one-packet scheduling that is a text', { address: UDP, onePacket: 'false' }, 'INVALID_OPTION', ['onePacket']],
  ])('refuses %s', (_, input, code, path) => expect(refusal(input)).toEqual({ code, path, kind: 'input' }));

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 4294968, '300', '5m', true, [300], {}])(
    'refuses the timeout %j',
    (timeoutSeconds) => {
      expect(refusal({ address: TCP, persistence: { timeoutSeconds } })).toEqual({
        code: 'INVALID_DURATION',
        path: ['persistence', 'timeoutSeconds'],
        kind: 'input',
      });
    },
  );

  it.each([
    [TCP, 0],
    [TCP, 33],
    [TCP, -1],
    [TCP, 1.5],
    [TCP, Number.NaN],
    [TCP, '24'],
    [TCP, '/24'],
    [TCP, 'ffff:ff00::'],
    [TCP, '255.255.255'],
    [TCP, null],
    [TCP, [24]],
    [TCP6, 0],
    [TCP6, 129],
    [TCP6, '64'],
    [TCP6, '255.255.255.0'],
    [TCP6, 'ffff:ffff::'],
    ['fwmark:5', 64],
  ])('refuses for %s the netmask %j', (address, netmask) => {
    expect(refusal({ address, persistence: { netmask } })).toEqual({
      code: 'INVALID_NETMASK',
      path: ['persistence', 'netmask'],
      kind: 'input',
    });
  });

  it.each(['256.255.255.0', '255.255.255.010'])('refuses the netmask %s as a netmask', (netmask) => {
    expect(refusal({ address: TCP, persistence: { netmask } }).code).toBe('INVALID_NETMASK');
  });

  it.each([
    ['no address', {}],
    ['an address that is null', { address: null }],
    ['an address that is a number', { address: 80 }],
  ])('refuses %s as INVALID_ADDRESS', (_, input) => {
    expect(refusal(input)).toEqual({ code: 'INVALID_ADDRESS', path: ['address'], kind: 'input' });
  });

  it.each([
    ['a list as service', [], []],
    ['a list as persistence', { address: TCP, persistence: [] }, ['persistence']],
  ])('refuses %s', (_, input, path) => {
    expect(refusal(input)).toEqual({ code: 'INVALID_OPTION', path, kind: 'input' });
  });

  it.each([0, false, ''])('refuses the engine %j', (engine) => {
    expect(refusal({ address: UDP, persistence: { engine } }).code).toBe('INVALID_PERSISTENCE');
  });

  it.each(['constructor', '__proto__'])('takes the scheduler %s for a name like any other', (scheduler) => {
    expect(normalizeService({ address: TCP, scheduler }).schedulerFlags).toEqual([]);
  });

  it('what is normal stays as it is', () => {
    fc.assert(
      fc.property(validInput, (input) => {
        const normal = normalizeService(input);
        expect(normalizeService(normal)).toEqual(normal);
        expect(sameService(normal, normalizeService(input))).toBe(true);
      }),
    );
  });

  it('whatever is given, the result is a service or an IpvsError', () => {
    const junk = fc.oneof(fc.jsonValue(), fc.constant(undefined), fc.constant(Number.NaN));
    const input = fc.record(
      {
        address: fc.oneof(fc.constantFrom(TCP, UDP, TCP6, MARK), fc.string()),
        scheduler: junk,
        schedulerFlags: junk,
        persistence: fc.oneof(
          junk,
          fc.record({ timeoutSeconds: junk, netmask: junk, engine: junk }, { requiredKeys: [] }),
        ),
        onePacket: junk,
      },
      { requiredKeys: ['address'] },
    );
    fc.assert(
      fc.property(input, (value) => {
        try {
          normalizeService(value as VirtualServiceInput);
        } catch (error) {
          if (!(error instanceof IpvsError)) throw error;
          expect(error.kind).toBe('input');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

const validInput: fc.Arbitrary<VirtualServiceInput> = fc
  .record({
    address: fc.constantFrom(TCP, UDP, TCP6, MARK, 'fwmark:9/inet6', 'udp://[2001:db8::2]:53'),
    scheduler: fc.constantFrom('wlc', 'sh', 'mh', 'none', 'dh'),
    schedulerFlags: fc.subarray(['flag-1', 'flag-2', 'flag-3']),
    persistence: fc.option(
      fc.record(
        { timeoutSeconds: fc.integer({ min: 1, max: 4294967 }), netmask: fc.integer({ min: 1, max: 32 }) },
        { requiredKeys: [] },
      ),
    ),
    onePacket: fc.boolean(),
  })
  .map((input) => ({ ...input, onePacket: input.onePacket && input.address.startsWith('udp') }));

describe('netmasks', () => {
  it.each([
    [[255, 255, 255, 255], 32],
    [[255, 255, 255, 0], 24],
    [[128, 0, 0, 0], 1],
    [[0, 0, 0, 0], '0.0.0.0'],
    [[255, 0, 255, 0], '255.0.255.0'],
    [[0, 0, 0, 255], '0.0.0.255'],
  ])('%j is %s', (bytes, netmask) => {
    expect(netmaskOf(Uint8Array.from(bytes))).toBe(netmask);
    expect([...netmaskBytes(netmask)]).toEqual(bytes);
  });

  it('of four bytes somewhere in a buffer', () => {
    expect(netmaskOf(Uint8Array.of(0, 255, 255, 0, 0).subarray(1))).toBe(16);
  });

  it('bytes and netmask are inverse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        expect(netmaskBytes(netmaskOf(bytes))).toEqual(bytes);
      }),
    );
    for (let prefix = 1; prefix <= 32; prefix++) expect(netmaskOf(netmaskBytes(prefix))).toBe(prefix);
  });
});

describe('services as people see and compare them', () => {
  it('the flags of sh and mh have names', () => {
    expect(schedulerFlagNames('sh')).toEqual(['sh-fallback', 'sh-port', 'flag-3']);
    expect(schedulerFlagNames('mh')).toEqual(['mh-fallback', 'mh-port', 'flag-3']);
    expect(schedulerFlagNames('wlc')).toEqual(['flag-1', 'flag-2', 'flag-3']);
  });

  it.each([
    [null, 'none'],
    [{ timeoutSeconds: 300, netmask: 32, engine: null }, '300s/32'],
    [{ timeoutSeconds: 300, netmask: 24, engine: 'sip' }, '300s/24 sip'],
    [{ timeoutSeconds: 1, netmask: '255.0.255.0', engine: null }, '1s/255.0.255.0'],
  ])('%j is shown as %s', (persistence, expected) => expect(formatPersistence(persistence)).toBe(expected));

  const service = normalizeService({ address: UDP, scheduler: 'sh', persistence: {} });

  it('are the same whatever their counters', () => {
    const statistics = { connections: 1n } as never;
    expect(sameService(service, { ...service, statistics } as typeof service)).toBe(true);
  });

  it.each([
    { address: TCP },
    { scheduler: 'mh' },
    { schedulerFlags: ['sh-port'] },
    { onePacket: true },
    { persistence: null },
    { persistence: { timeoutSeconds: 301, netmask: 32, engine: null } },
    { persistence: { timeoutSeconds: 300, netmask: 31, engine: null } },
    { persistence: { timeoutSeconds: 300, netmask: 32, engine: 'sip' } },
  ])('differ by %j', (change) => expect(sameService(service, { ...service, ...change })).toBe(false));
});
