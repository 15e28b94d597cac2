import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, IpvsError } from '../../../src/base/errors.ts';
import { quote } from '../../../src/base/quote.ts';
import {
  type DestinationAddress,
  formatDestinationAddress,
  formatServiceAddress,
  ipOf,
  parseDestinationAddress,
  parseIp,
  parseServiceAddress,
  type ServiceAddress,
  serviceKey,
} from '../../../src/net/address.ts';

const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Many zeros, so that "::" has something to do. */
const v6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((g) => [g >> 8, g & 0xff])));
const ip = fc.oneof(v4, v6).map(ipOf);
const port = fc.integer({ min: 0, max: 0xffff });
const protocol = fc.oneof(
  fc.constantFrom('tcp', 'udp', 'sctp'),
  fc
    .integer({ min: 0, max: 0xffff })
    .filter((n) => ![6, 17, 132].includes(n))
    .map((n) => `ip-${n}`),
) as fc.Arbitrary<'tcp'>;
const destination: fc.Arbitrary<DestinationAddress> = fc
  .tuple(ip, port)
  .map(([{ text, family }, number]) => ({ family, ip: text, port: number }));
const service: fc.Arbitrary<ServiceAddress> = fc.oneof(
  fc.tuple(protocol, destination).map(([name, address]) => ({ protocol: name, ...address })),
  fc.record({ fwmark: fc.integer({ min: 1, max: 0xffff_ffff }), family: fc.constantFrom('inet', 'inet6') }),
) as fc.Arbitrary<ServiceAddress>;

function refusal(action: () => unknown): IpvsError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(IpvsError);
    return error as IpvsError;
  }
  throw new Error('was accepted');
}

describe('parseIp', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['192.0.2.1', '192.0.2.1'],
    ['255.255.255.255', '255.255.255.255'],
    // RFC 5952: lower case, no leading zeros, the longest run of two or more zeros, the first of equals
    ['::', '::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::A', '2001:db8::a'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['0:0:1:2:3:0:0:4', '::1:2:3:0:0:4'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (text, canonical) => expect(parseIp(text).text).toBe(canonical));

  it('gives bytes in network order', () => {
    expect(parseIp('192.0.2.1')).toEqual({ family: 'inet', text: '192.0.2.1', bytes: Uint8Array.of(192, 0, 2, 1) });
    const bytes = Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a);
    expect(parseIp('2001:db8::a')).toEqual({ family: 'inet6', text: '2001:db8::a', bytes });
  });

  it('an IPv4 address mapped into IPv6 is an IPv6 address', () => {
    const { family, bytes } = parseIp('::ffff:192.0.2.1');
    expect(family).toBe('inet6');
    expect([...bytes.subarray(10)]).toEqual([0xff, 0xff, 192, 0, 2, 1]);
  });

  it('an IPv4-compatible address is not an IPv4-mapped one', () => {
    expect([...parseIp('::192.0.2.1').bytes]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
  });

  it.each([
    '',
    ' ',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '010.0.0.1',
    '10.0.0.08',
    '0x0a.0.0.1',
    '167772161',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.4\0',
    '1.2.3.4/24',
    '１.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::1.2.3',
    '::256.1.1.1',
    '::1%eth0',
    'fe80::1%1',
    '1.2.3.4%lo',
    '[::1]',
  ])('refuses %j', (text) => expect(refusal(() => parseIp(text)).code).toBe('INVALID_ADDRESS'));

  it('ipOf() and parseIp() are inverse', () => {
    fc.assert(
      fc.property(ip, ({ text, family, bytes }) => {
        expect(parseIp(text)).toEqual({ text, family, bytes });
        expect(isIP(text)).toBe(family === 'inet' ? 4 : 6);
      }),
    );
  });

  it('reads every spelling of an address alike', () => {
    fc.assert(
      fc.property(v6, (bytes) => {
        const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
        const long = groups.map((g) => g.toString(16).padStart(4, '0')).join(':');
        const last = `${bytes.subarray(12).join('.')}`;
        const mixed = `${groups
          .slice(0, 6)
          .map((g) => g.toString(16))
          .join(':')}:${last}`;
        expect(parseIp(long)).toEqual(ipOf(bytes));
        expect(parseIp(long.toUpperCase())).toEqual(ipOf(bytes));
        expect([...parseIp(mixed).bytes]).toEqual([...bytes]);
      }),
    );
  });

  it('takes any text as an address or refuses it as INVALID_ADDRESS', () => {
    const texts = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.]{1,40}$/));
    fc.assert(
      fc.property(texts, (text) => {
        if (isIP(text) === 0 || text.includes('%')) {
          expect(refusal(() => parseIp(text)).code).toBe('INVALID_ADDRESS');
        } else {
          expect(parseIp(parseIp(text).text)).toEqual(parseIp(text));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the address of a service', () => {
  it.each<[string, ServiceAddress]>([
    ['tcp://192.0.2.1:80', { protocol: 'tcp', family: 'inet', ip: '192.0.2.1', port: 80 }],
    ['udp://[2001:db8::1]:53', { protocol: 'udp', family: 'inet6', ip: '2001:db8::1', port: 53 }],
    ['sctp://192.0.2.1:0', { protocol: 'sctp', family: 'inet', ip: '192.0.2.1', port: 0 }],
    ['ip-47://192.0.2.1:1', { protocol: 'ip-47', family: 'inet', ip: '192.0.2.1', port: 1 }],
    ['fwmark:5', { fwmark: 5, family: 'inet' }],
    ['fwmark:4294967295/inet6', { fwmark: 4294967295, family: 'inet6' }],
  ])('%s', (text, address) => {
    expect(parseServiceAddress(text)).toEqual(address);
    expect(formatServiceAddress(address)).toBe(text);
    expect(parseServiceAddress(address)).toEqual(address);
  });

  it.each([
    ['fwmark:5/inet', 'fwmark:5'],
    ['tcp://[2001:DB8:0::0001]:080', undefined],
    ['tcp://[2001:DB8:0::0001]:80', 'tcp://[2001:db8::1]:80'],
  ])('%s has the key %s', (text, key) => {
    if (key === undefined) expect(refusal(() => serviceKey(text)).code).toBe('INVALID_PORT');
    else expect(serviceKey(text)).toBe(key);
  });

  it('an object is made canonical too', () => {
    expect(serviceKey({ protocol: 'tcp', family: 'inet6', ip: '2001:DB8::0:1', port: 80 })).toBe(
      'tcp://[2001:db8::1]:80',
    );
  });

  it('parse and format are inverse', () => {
    fc.assert(
      fc.property(service, (address) => {
        expect(parseServiceAddress(formatServiceAddress(address))).toEqual(address);
      }),
    );
  });

  it('a key is its own key', () => {
    fc.assert(fc.property(service, (address) => serviceKey(serviceKey(address)) === serviceKey(address)));
  });

  it.each([
    ['ip-6://192.0.2.1:80', 'tcp://192.0.2.1:80'],
    ['ip-17://192.0.2.1:80', 'udp://192.0.2.1:80'],
    ['ip-132://192.0.2.1:80', 'sctp://192.0.2.1:80'],
  ])('%s has one key only, that of %s', (a, b) => expect(serviceKey(a)).toBe(serviceKey(b)));

  it.each<[string, ErrorCode]>([
    ['', 'INVALID_ADDRESS'],
    ['192.0.2.1:80', 'INVALID_ADDRESS'],
    ['tcp:192.0.2.1:80', 'INVALID_ADDRESS'],
    ['TCP://192.0.2.1:80', 'INVALID_ADDRESS'],
    [' tcp://192.0.2.1:80', 'INVALID_ADDRESS'],
    ['tcp://', 'INVALID_ADDRESS'],
    ['tcp://:80', 'INVALID_ADDRESS'],
    ['tcp://localhost:80', 'INVALID_ADDRESS'],
    ['tcp://010.0.0.1:80', 'INVALID_ADDRESS'],
    ['tcp://[fe80::1%eth0]:80', 'INVALID_ADDRESS'],
    ['tcp://[2001:db8::1:80', 'INVALID_ADDRESS'],
    ['tcp://[192.0.2.1]:80', 'INVALID_ADDRESS'],
    ['tcp://[]:80', 'INVALID_ADDRESS'],
    ['tcp://[::1]80', 'INVALID_ADDRESS'],
    ['tcp://192.0.2.1:80:90', 'INVALID_PORT'],
    ['http://192.0.2.1:80', 'INVALID_PROTOCOL'],
    ['icmp://192.0.2.1:80', 'INVALID_PROTOCOL'],
    ['ip-://192.0.2.1:80', 'INVALID_PROTOCOL'],
    ['ip-06://192.0.2.1:80', 'INVALID_PROTOCOL'],
    ['ip-65536://192.0.2.1:80', 'INVALID_PROTOCOL'],
    ['tcp://192.0.2.1', 'INVALID_PORT'],
    ['tcp://2001:db8::1', 'INVALID_PORT'],
    ['tcp://[2001:db8::1]', 'INVALID_PORT'],
    ['tcp://192.0.2.1:', 'INVALID_PORT'],
    ['tcp://192.0.2.1:-1', 'INVALID_PORT'],
    ['tcp://192.0.2.1:65536', 'INVALID_PORT'],
    ['tcp://192.0.2.1:99999999', 'INVALID_PORT'],
    ['tcp://192.0.2.1:080', 'INVALID_PORT'],
    ['tcp://192.0.2.1:0x50', 'INVALID_PORT'],
    ['tcp://192.0.2.1:8e1', 'INVALID_PORT'],
    ['tcp://192.0.2.1:80 ', 'INVALID_PORT'],
    ['tcp://192.0.2.1:80\n', 'INVALID_PORT'],
    ['tcp://192.0.2.1:http', 'INVALID_PORT'],
    ['fwmark:', 'INVALID_FWMARK'],
    ['fwmark:0', 'INVALID_FWMARK'],
    ['fwmark:-1', 'INVALID_FWMARK'],
    ['fwmark:05', 'INVALID_FWMARK'],
    ['fwmark:0x5', 'INVALID_FWMARK'],
    ['fwmark:1.5', 'INVALID_FWMARK'],
    ['fwmark:4294967296', 'INVALID_FWMARK'],
    ['fwmark:99999999999', 'INVALID_FWMARK'],
    ['fwmark:5/inet4', 'INVALID_FWMARK'],
    ['fwmark:5/', 'INVALID_FWMARK'],
    ['fwmark:5\n', 'INVALID_FWMARK'],
  ])('%j is refused as %s', (text, code) => {
    const error = refusal(() => parseServiceAddress(text));
    expect([error.code, error.kind]).toEqual([code, 'input']);
  });

  it.each<[string, unknown, ErrorCode]>([
    ['an empty object', {}, 'INVALID_PROTOCOL'],
    ['a list', ['tcp://192.0.2.1:80'], 'INVALID_PROTOCOL'],
    ['a mark of no number', { fwmark: Number.NaN }, 'INVALID_FWMARK'],
    ['a mark that is no whole number', { fwmark: 1.5 }, 'INVALID_FWMARK'],
    ['a negative mark', { fwmark: -1 }, 'INVALID_FWMARK'],
    ['a mark that is nothing', { fwmark: null }, 'INVALID_FWMARK'],
    ['a port that is not there', { protocol: 'tcp', family: 'inet', ip: '192.0.2.1' }, 'INVALID_PORT'],
    ['a port of no number', { protocol: 'tcp', family: 'inet', ip: '192.0.2.1', port: Number.NaN }, 'INVALID_PORT'],
    [
      'an address of another family',
      { protocol: 'tcp', family: 'inet6', ip: '192.0.2.1', port: 80 },
      'INVALID_ADDRESS',
    ],
  ])('%s is refused', (_, value, code) => {
    expect(refusal(() => parseServiceAddress(value as string)).code).toBe(code);
  });

  it.each([null, undefined, 5, true, Symbol('x'), () => {}])('%s is refused as INVALID_ADDRESS', (value) => {
    expect(refusal(() => parseServiceAddress(value as never)).code).toBe('INVALID_ADDRESS');
  });

  it('any text is an address or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(tcp|udp|fwmark):[/0-9a-f:.[\]%]{1,30}$/)), (text) => {
        try {
          expect(serviceKey(serviceKey(text))).toBe(serviceKey(text));
        } catch (error) {
          expect(error).toBeInstanceOf(IpvsError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the address of a destination', () => {
  it.each<[string, DestinationAddress]>([
    ['10.0.0.11:8080', { family: 'inet', ip: '10.0.0.11', port: 8080 }],
    ['[2001:db8::11]:8080', { family: 'inet6', ip: '2001:db8::11', port: 8080 }],
    ['10.0.0.11:0', { family: 'inet', ip: '10.0.0.11', port: 0 }],
  ])('%s', (text, address) => {
    expect(parseDestinationAddress(text)).toEqual(address);
    expect(formatDestinationAddress(address)).toBe(text);
    expect(parseDestinationAddress(address)).toEqual(address);
  });

  it.each([
    ['10.0.0.11', '10.0.0.11:80'],
    ['2001:db8::11', '[2001:db8::11]:80'],
    ['[2001:db8::11]', '[2001:db8::11]:80'],
    ['10.0.0.11:81', '10.0.0.11:81'],
    ['10.0.0.11:0', '10.0.0.11:0'],
  ])('%s with the default port 80 is %s', (text, canonical) => {
    expect(formatDestinationAddress(parseDestinationAddress(text, 80))).toBe(canonical);
  });

  it('parse and format are inverse', () => {
    fc.assert(
      fc.property(destination, (address) => {
        expect(parseDestinationAddress(formatDestinationAddress(address))).toEqual(address);
      }),
    );
  });

  it.each<[string, ErrorCode]>([
    ['10.0.0.11', 'INVALID_PORT'],
    ['2001:db8::11', 'INVALID_PORT'],
    ['10.0.0.11:', 'INVALID_PORT'],
    ['10.0.0.11:65536', 'INVALID_PORT'],
    ['', 'INVALID_ADDRESS'],
    [':80', 'INVALID_ADDRESS'],
    ['web1:80', 'INVALID_ADDRESS'],
    ['tcp://10.0.0.11:80', 'INVALID_ADDRESS'],
    ['2001:db8::zz:80', 'INVALID_ADDRESS'],
    ['[10.0.0.11]:80', 'INVALID_ADDRESS'],
    ['[fe80::1%eth0]:80', 'INVALID_ADDRESS'],
  ])('%j is refused as %s', (text, code) => {
    expect(refusal(() => parseDestinationAddress(text)).code).toBe(code);
  });

  it.each([null, undefined])('%s is refused as INVALID_ADDRESS', (value) => {
    expect(refusal(() => parseDestinationAddress(value as never)).code).toBe('INVALID_ADDRESS');
  });
});

describe('quote', () => {
  it.each([
    ['text', '"text"'],
    ['a "b"', '"a \\"b\\""'],
    ['\x1b[2J', '"\\u001b[2J"'],
    [5, '5'],
    [Number.NaN, 'NaN'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('x'), 'Symbol(x)'],
  ])('%j', (value, expected) => expect(quote(value)).toBe(expected));

  it('is bounded', () => {
    expect(quote('x'.repeat(1000))).toHaveLength(80);
  });

  it.each([
    ['DEL', '\x7f'],
    ['the 8-bit CSI', '\x9b2J'],
    ['an escape inside a list', ['\x1b[2J']],
    ['a text that turns round', '\u202e'],
  ])('shows %s as text', (_, value) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(quote(value)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
  });

  it.each([
    ['without a prototype', Object.create(null)],
    ['from JSON that names toString', { toString: '' }],
  ])('does not throw for an object %s', (_, value) => expect(typeof quote(value)).toBe('string'));
});
