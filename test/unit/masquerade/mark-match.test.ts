import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MarkMatchInput, meets, normalizeMarkMatch } from '../../../src/iptables/rules/mark-match.ts';

describe('a match', () => {
  test('is canonical', () => {
    expect(normalizeMarkMatch({ address: '2001:DB8::1', protocol: 'tcp', ports: '80-80', in: 'eth0' })).toEqual({
      address: '2001:db8::1/128',
      in: 'eth0',
      protocol: 'tcp',
      ports: '80',
    });
    expect(normalizeMarkMatch({ in: 'eth0' })).toEqual({ in: 'eth0' });
  });

  test.each<[unknown, code: string, words: string]>([
    [{}, 'INVALID_MATCH', 'it names neither address nor interface'],
    [{ protocol: 'tcp', ports: 80 }, 'INVALID_MATCH', 'it names neither address nor interface'],
    [{ in: 'eth0', ports: 80 }, 'INVALID_MATCH', 'ports need a protocol; protocol: tcp'],
    [{ in: 'eth+' }, 'INVALID_MATCH', 'interface "eth+"; one interface,'],
    [{ in: 'eth0', protocol: 'icmp' }, 'INVALID_PROTOCOL', '"icmp"; one of tcp, udp, sctp'],
    [{ in: 'eth0', protocol: 'tcp', ports: 0 }, 'INVALID_MATCH', 'ports 0; a port from 1 to 65535'],
    [{ in: 'eth0', protocol: 'tcp', ports: '9-7' }, 'INVALID_MATCH', 'ports 9-7 end before they begin; write 7-9'],
    [{ in: 'eth0', protocol: 'tcp', ports: [80] }, 'INVALID_MATCH', 'ports'],
    [{ address: '192.0.2.1/24' }, 'INVALID_ADDRESS', 'has bits behind its prefix'],
    [{ address: '::/0' }, 'INVALID_MATCH', '::/0 is every address; leave it out, and say an interface'],
    [{ address: '192.0.2.1', port: 80 }, 'INVALID_OPTION', 'a match has no "port"'],
  ])('%j is refused', (input, code, words) => {
    const refusal = (() => {
      try {
        normalizeMarkMatch(input as MarkMatchInput);
        return undefined;
      } catch (error) {
        return error as { code: string; message: string; hint?: string };
      }
    })();
    expect([refusal?.code, [refusal?.message, refusal?.hint].join('; ')]).toEqual([
      code,
      expect.stringContaining(words),
    ]);
  });
});

/** Every packet that the matches below can tell apart. */
const packets = ['192.0.2.1', '192.0.2.9', '2001:db8::1'].flatMap((address) =>
  ['eth0', 'eth1'].flatMap((device) =>
    ['tcp', 'udp'].flatMap((protocol) => [79, 80, 85, 90].map((port) => ({ address, device, protocol, port }))),
  ),
);
type Packet = (typeof packets)[number];

test('two matches meet where a packet is of both', () => {
  const input = fc.record(
    {
      address: fc.constantFrom('192.0.2.0/24', '192.0.2.1', '192.0.2.9', '2001:db8::1'),
      in: fc.constantFrom('eth0', 'eth1'),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      ports: fc.constantFrom('80', '80-90', '85-90', '79'),
    },
    { requiredKeys: ['protocol', 'in'] },
  );
  const isOf = (input: MarkMatchInput, { address, device, protocol, port }: Packet) => {
    const [low = 0, high = low] = String(input.ports ?? '0-99999')
      .split('-')
      .map(Number);
    const there = input.address === undefined || input.address === address;
    const inside = input.address === '192.0.2.0/24' && address.startsWith('192.0.2.');
    return (there || inside) && input.in === device && input.protocol === protocol && port >= low && port <= high;
  };
  fc.assert(
    fc.property(input, input, (a, b) => {
      const expected = packets.some((packet) => isOf(a, packet) && isOf(b, packet));
      const [first, second] = [normalizeMarkMatch(a), normalizeMarkMatch(b)];
      expect([meets(first, second), meets(second, first)]).toEqual([expected, expected]);
    }),
  );
});
