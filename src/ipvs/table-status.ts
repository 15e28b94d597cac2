/**
 * How full the kernel's tables are, from /proc/net/ip_vs_status, which Linux 7.1 and later have (ip_vs_ctl.c,
 * ip_vs_status_show):
 *
 *   Conns:	2
 *   Conn buckets:	256 (8 bits, lfactor -4)
 *   Conn buckets empty:	253 (98%)
 *   Conn buckets len-1:	3 (100%)
 */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

export interface TableStatus {
  readonly connections: number;
  readonly connectionTable: HashTable;
  readonly services: number;
  readonly serviceTable: HashTable;
  /** Everything the file says, by the kernel's own names. */
  readonly lines: Readonly<Record<string, string>>;
}

export interface HashTable {
  /** 0 before the first service: it is made then, and grows. */
  readonly buckets: number;
  /** Objects per bucket at which it grows, as a power of 2. */
  readonly loadFactor: number;
  readonly emptyBuckets: number;
}

/** Throws REPLY_MALFORMED. */
export function tableStatusOf(lines: readonly string[]): TableStatus {
  const said = Object.fromEntries(
    lines.flatMap((line) => {
      const end = line.indexOf(':');
      return end < 0 ? [] : [[line.slice(0, end), line.slice(end + 1).trim()]];
    }),
  );
  /** The number that the pattern finds; `otherwise` where the file has no such line. */
  const number = (name: string, pattern: RegExp, otherwise?: string) => {
    const [, digits] = pattern.exec(said[name] ?? otherwise ?? '') ?? [];
    if (digits !== undefined) return Number(digits);
    throw new IpvsError('REPLY_MALFORMED', {
      subject: '/proc/net/ip_vs_status',
      detail: `${name}: ${quote(said[name])}`,
    });
  };
  const table = (name: string): HashTable => ({
    buckets: number(`${name} buckets`, COUNT),
    loadFactor: number(`${name} buckets`, LOAD_FACTOR),
    // Of a table without buckets the kernel does not say it.
    emptyBuckets: number(`${name} buckets empty`, COUNT, '0'),
  });
  return {
    connections: number('Conns', COUNT),
    connectionTable: table('Conn'),
    services: number('Services', COUNT),
    serviceTable: table('Service'),
    lines: said,
  };
}

const COUNT = /^(\d{1,10})(?: |$)/;
const LOAD_FACTOR = /lfactor (-?\d{1,2})\)$/;
