/** Lines of /proc/net/ip_vs_conn, as ip_vs_conn_seq_show() of Linux 6.1 to 7.2 prints them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Connection, connectionOf, idleSeconds } from '../../../src/ipvs/connection.ts';

const tcp: Connection = {
  kind: 'connection',
  client: '198.51.100.7:55692',
  service: 'tcp://192.0.2.10:80',
  destination: '10.0.0.11:8080',
  state: 'ESTABLISHED',
  expiresSeconds: 899,
  engine: null,
  engineData: null,
};

describe('a line', () => {
  const cases: [string, string, Partial<Connection>][] = [
    ['TCP', 'TCP C6336407 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     899', tcp],
    [
      'TCP over IPv6',
      'TCP 2001:0db8:000c:0000:0000:0000:0000:0010 D98C 2001:0db8:0000:0000:0000:0000:0000:0010 0050 2001:0db8:000a:0000:0000:0000:0000:0011 0050 TIME_WAIT       117',
      {
        client: '[2001:db8:c::10]:55692',
        service: 'tcp://[2001:db8::10]:80',
        destination: '[2001:db8:a::11]:80',
        state: 'TIME_WAIT',
        expiresSeconds: 117,
      },
    ],
    [
      'IPv4 with a destination of IPv6',
      'UDP C6336407 D98C C000020A 0035 2001:0db8:000a:0000:0000:0000:0000:0011 0035 UDP             300',
      { service: 'udp://192.0.2.10:53', destination: '[2001:db8:a::11]:53', state: 'UDP' },
    ],
    [
      'a template',
      'TCP C6336400 0000 C000020A 0050 0A00000B 1F90 ASSURED          59',
      { kind: 'template', client: '198.51.100.0', state: 'ASSURED', expiresSeconds: 59 },
    ],
    [
      'a template of a firewall mark',
      'IP  C6336407 0000 00000007 0000 0A00000B 0000 NONE            300',
      { kind: 'template', client: '198.51.100.7', service: 'fwmark:7', destination: '10.0.0.11:0' },
    ],
    [
      'a template of a firewall mark over IPv6',
      'IP  2001:0db8:000c:0000:0000:0000:0000:0010 0000 0000:0000:0000:0000:0000:0000:0000:0007 0000 2001:0db8:000a:0000:0000:0000:0000:0011 0000 NONE            300',
      { kind: 'template', client: '2001:db8:c::10', service: 'fwmark:7/inet6' },
    ],
    [
      'engine data, with blanks in it',
      'UDP C6336400 0000 C000020A 13C4 0A00000B 13C4 NONE            120 sip 3848276298220188511 @ example',
      { kind: 'template', engine: 'sip', engineData: '3848276298220188511 @ example' },
    ],
    [
      'a connection that a helper expects',
      'TCP C6336407 0000 C000020A C80A 0A00000B C80A LISTEN          119',
      { kind: 'connection', client: '198.51.100.7:0', state: 'LISTEN' },
    ],
    ['SCTP', 'SCTP C6336407 D98C C000020A 0050 0A00000B 1F90 S-ACK-SENT       61', { service: 'sctp://192.0.2.10:80' }],
    ['ESP', 'ESP C6336407 01F4 C000020A 01F4 0A00000B 01F4 NONE             61', { service: 'ip-50://192.0.2.10:500' }],
    [
      'an overdue timer',
      'TCP C6336407 D98C C000020A 0050 0A00000B 1F90 CLOSE       184467440737095516',
      { expiresSeconds: 0 },
    ],
  ];
  it.each(cases)('of %s', (_, line, expected) => expect(connectionOf(line)).toMatchObject(expected));

  it('is read whole', () => expect(connectionOf(cases[0]?.[1] ?? '')).toEqual(tcp));

  it('of the heading is none', () => {
    expect(
      connectionOf('Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData'),
    ).toBeUndefined();
    expect(connectionOf('')).toBeUndefined();
  });

  it.each([
    ['cut off among its digits', 'TCP C6336407 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     89'],
    ['with a digit too many in an address', 'TCP C63364079 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     899'],
    ['with the mark 0', 'IP  C6336407 0000 00000000 0000 0A00000B 0000 NONE            300'],
  ])('%s is malformed', (_, line) => {
    expect(() => connectionOf(line)).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
  });

  it('cut off anywhere is malformed', () => {
    const line = 'TCP C6336407 D98C C000020A 0050 0A00000B 1F90 ESTABLISHED     899';
    for (let length = 1; length < line.length; length++) {
      const cut = line.slice(0, length);
      expect(() => connectionOf(cut), cut).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
    }
  });

  it('of anything else is malformed: never another error, never a hang', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^TCP [0-9A-F: ]{0,80}[A-Z]* +\d*/)),
        (line) => {
          try {
            connectionOf(line);
          } catch (error) {
            expect(error).toMatchObject({ code: 'REPLY_MALFORMED' });
          }
        },
      ),
    );
  });
});

describe('idle time', () => {
  const timeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };
  it.each([
    [{}, 1],
    [{ state: 'FIN_WAIT', expiresSeconds: 20 }, 100],
    [{ state: 'SYN_RECV', expiresSeconds: 59 }, 1],
    [{ service: 'udp://192.0.2.10:53', state: 'UDP', expiresSeconds: 300 }, 0],
    // A timeout that was made shorter meanwhile.
    [{ expiresSeconds: 1000 }, 0],
    [{ kind: 'template' as const }, undefined],
    [{ service: 'sctp://192.0.2.10:53' }, undefined],
    [{ state: 'UNHEARD_OF' }, undefined],
  ])('of %j is %j', (difference, seconds) => expect(idleSeconds({ ...tcp, ...difference }, timeouts)).toBe(seconds));
});
