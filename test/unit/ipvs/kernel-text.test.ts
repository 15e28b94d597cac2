/** Files of /proc/net as Linux 7.2 prints them. */
import { describe, expect, it, test } from 'vitest';
import { applicationsOf } from '../../../src/ipvs/application.ts';
import { tableStatusOf } from '../../../src/ipvs/table-status.ts';
import { totalsOf } from '../../../src/ipvs/totals.ts';

const stats = `   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
       1        6        6              189              7E7

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       0        1        1               25               BE
`.split('\n');
const perCpu = `       Total Incoming Outgoing         Incoming         Outgoing
CPU    Conns  Packets  Packets            Bytes            Bytes
  0        1        6        6              189              7E7
  A 1FFFFFFFF        0        0 1FFFFFFFFFFFFFFF                0
  ~        1        6        6              189              7E7

     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
           0        1        1               25               BE
`.split('\n');

describe('totals', () => {
  it('are hexadecimal: totals, rates, processors', () => {
    expect(totalsOf(stats, perCpu)).toEqual({
      total: {
        connections: 1n,
        packetsIn: 6n,
        packetsOut: 6n,
        bytesIn: 0x189n,
        bytesOut: 0x7e7n,
        rates: { connections: 0n, packetsIn: 1n, packetsOut: 1n, bytesIn: 0x25n, bytesOut: 0xben },
      },
      cpus: [
        { cpu: 0, connections: 1n, packetsIn: 6n, packetsOut: 6n, bytesIn: 0x189n, bytesOut: 0x7e7n },
        {
          cpu: 10,
          connections: 0x1ffffffffn,
          packetsIn: 0n,
          packetsOut: 0n,
          bytesIn: 0x1fffffffffffffffn,
          bytesOut: 0n,
        },
      ],
    });
  });

  it('cut off after any line before their last number are malformed', () => {
    const malformed = expect.objectContaining({ code: 'REPLY_MALFORMED' });
    for (let end = 0; end < 6; end++)
      expect(() => totalsOf(stats.slice(0, end), perCpu), String(end)).toThrow(malformed);
    for (let end = 0; end < 5; end++)
      expect(() => totalsOf(stats, perCpu.slice(0, end)), String(end)).toThrow(malformed);
    expect(() => totalsOf(stats, perCpu.with(2, '  0        1'))).toThrow(malformed);
    expect(() => totalsOf(stats, perCpu.with(2, '  G        1        6        6   189   7E7'))).toThrow(malformed);
  });
});

describe('applications', () => {
  it('are one to a line', () => {
    expect(applicationsOf(['prot port    usecnt name', 'TCP  21      0      ftp              ', ''])).toEqual([
      { name: 'ftp', protocol: 'tcp', port: 21, users: 0 },
    ]);
  });
});

test.each([
  ['a port beyond all ports', 'TCP  65536   0      ftp              '],
  ['no number', 'TCP  21      x      ftp              '],
])('an application with %s is malformed', (_, line) => {
  expect(() => applicationsOf([line])).toThrow(expect.objectContaining({ code: 'REPLY_MALFORMED' }));
});

describe('the status of the tables', () => {
  const lines = `Conns:\t2
Conn buckets:\t256 (8 bits, lfactor -4)
Conn buckets empty:\t253 (98%)
Conn buckets len-1:\t3 (100%)
Services:\t1
Service buckets:\t16 (4 bits, lfactor -3)
Service buckets empty:\t15 (93%)
`.split('\n');

  it('is read by name, and nothing of it is lost', () => {
    expect(tableStatusOf(lines)).toMatchObject({
      connections: 2,
      connectionTable: { buckets: 256, loadFactor: -4, emptyBuckets: 253 },
      services: 1,
      serviceTable: { buckets: 16, loadFactor: -3, emptyBuckets: 15 },
      lines: { 'Conn buckets len-1': '3 (100%)' },
    });
  });

  it('is 0 before the first service', () => {
    const none = { buckets: 0, loadFactor: 0, emptyBuckets: 0 };
    const empty = ['Conns:\t0', 'Conn buckets:\t0 (0 bits, lfactor 0)'].flatMap((line) => [
      line,
      line.replace(/Conns?/, (word) => (word === 'Conns' ? 'Services' : 'Service')),
    ]);
    expect(tableStatusOf(empty)).toMatchObject({ services: 0, connectionTable: none, serviceTable: none });
  });

  it.each(['Conns', 'Conn buckets', 'Services', 'Service buckets'])('without its %s is malformed', (name) => {
    const malformed = expect.objectContaining({ code: 'REPLY_MALFORMED' });
    expect(() => tableStatusOf(lines.filter((line) => !line.startsWith(`${name}:`)))).toThrow(malformed);
    expect(() => tableStatusOf([...lines, `${name}:\tmany`])).toThrow(malformed);
  });
});
