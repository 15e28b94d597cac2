/** Half-open entries in lines of /proc/net/ip_vs_conn. Pure, and quick: many lines are looked at each second. */

export interface HalfOpen {
  /** Connections of TCP, without templates. */
  readonly entries: number;
  readonly halfOpen: number;
}

/** "TCP C0000207 D98C C000020A 0050 0A00000B 1F90 SYN_RECV     59" (ip_vs_conn.c, ip_vs_conn_seq_show) */
const TCP = /^TCP +\S+ +([0-9A-F]{4}) +\S+ +\S+ +\S+ +\S+ +([A-Z_]+) /;
const halfOpenStates: ReadonlySet<string> = new Set(['SYN_RECV', 'SYNACK']);

export function countHalfOpen(lines: readonly string[]): HalfOpen {
  let entries = 0;
  let halfOpen = 0;
  for (const line of lines) {
    const [, port, state = ''] = TCP.exec(line) ?? [];
    if (port === undefined || port === '0000') continue; // no TCP, or a template
    entries++;
    if (halfOpenStates.has(state)) halfOpen++;
  }
  return { entries, halfOpen };
}
