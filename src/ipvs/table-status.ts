/**
 * How full the kernel's tables are, from /proc/net/ip_vs_status, which Linux 7.1 and later have (ip_vs_ctl.c,
 * ip_vs_status_show):
 *
 *   Conns:	2
 *   Conn buckets:	256 (8 bits, lfactor -4)
 *   Conn buckets empty:	253 (98%)
 *   Conn buckets len-1:	3 (100%)
 */
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

export function tableStatusOf(lines: readonly string[]): TableStatus {
  const said = Object.fromEntries(
    lines.flatMap((line) => {
      const end = line.indexOf(':');
      return end < 0 ? [] : [[line.slice(0, end), line.slice(end + 1).trim()]];
    }),
  );
  const number = (name: string) => Number.parseInt(said[name] ?? '0', 10);
  const table = (name: string): HashTable => ({
    buckets: number(`${name} buckets`),
    loadFactor: Number(/lfactor (-?\d+)/.exec(said[`${name} buckets`] ?? '')?.[1] ?? 0),
    emptyBuckets: number(`${name} buckets empty`),
  });
  return {
    connections: number('Conns'),
    connectionTable: table('Conn'),
    services: number('Services'),
    serviceTable: table('Service'),
    lines: said,
  };
}
