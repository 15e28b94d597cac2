import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipOf } from '../../../src/net/address.ts';
import { overlap, parseNetwork } from '../../../src/net/network.ts';

const network = fc
  .constantFrom(4, 16)
  .chain((length) =>
    fc.tuple(fc.uint8Array({ minLength: length, maxLength: length }), fc.integer({ min: 0, max: length * 8 })),
  )
  .map(([bytes, prefixLength]) => {
    const network = bytes.map(
      (byte, i) =>
        (byte >> Math.max(0, Math.min(8, (i + 1) * 8 - prefixLength))) <<
        Math.max(0, Math.min(8, (i + 1) * 8 - prefixLength)),
    );
    return { text: `${ipOf(network).text}/${prefixLength}`, bytes: network, prefixLength };
  });

test('text is canonical: parsed and written it is the same', () => {
  fc.assert(
    fc.property(network, ({ text, bytes, prefixLength }) => {
      const parsed = parseNetwork(text);
      expect(parsed).toMatchObject({ text, prefixLength });
      expect([...parsed.bytes]).toEqual([...bytes]);
    }),
  );
});

test('networks overlap where the longer one, cut to the length of the shorter, is it', () => {
  const bits = (bytes: Uint8Array, length: number) =>
    [...bytes]
      .map((byte) => byte.toString(2).padStart(8, '0'))
      .join('')
      .slice(0, length);
  fc.assert(
    fc.property(network, network, fc.boolean(), (a, b, same) => {
      const [first, second] = [parseNetwork(a.text), parseNetwork(same ? a.text : b.text)];
      const common = Math.min(first.prefixLength, second.prefixLength);
      const expected = first.family === second.family && bits(first.bytes, common) === bits(second.bytes, common);
      expect(overlap(first, second)).toBe(expected);
    }),
  );
});

test.each([
  ['10.0.0.0/24', '10.0.0.128/25', true],
  ['10.0.0.0/25', '10.0.0.128/25', false],
  ['0.0.0.0/0', '203.0.113.7/32', true],
  ['::/0', '10.0.0.0/8', false],
  ['fd00::/8', 'fd12:3456::/32', true],
])('%s and %s overlap: %s', (a, b, expected) => {
  expect(overlap(parseNetwork(a), parseNetwork(b))).toBe(expected);
});

test.each([
  ['10.0.0.7', '10.0.0.7/32'],
  ['FD00:0::/64', 'fd00::/64'],
])('%s is written %s', (text, canonical) => {
  expect(parseNetwork(text).text).toBe(canonical);
});

test.each(['', '10.0.0.0/33', '10.0.0.0/', '10.0.0/24', 'fd00::/129', '10.0.0.0/24/8', '10.0.0.0/-1', 7, null])(
  '%j is no network',
  (text) => {
    expect(() => parseNetwork(text)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }));
  },
);

test('bits behind the prefix are refused, and the network named that is probably meant', () => {
  expect(() => parseNetwork('10.0.0.5/24')).toThrow(expect.objectContaining({ hint: 'the network is 10.0.0.0/24' }));
});
