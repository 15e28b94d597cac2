/**
 * Counters over all services, from /proc/net/ip_vs_stats and ip_vs_stats_percpu (ip_vs_ctl.c, ip_vs_stats_show and
 * ip_vs_stats_percpu_show): five columns in hexadecimal, then the same per second.
 *
 *          Total Incoming Outgoing         Incoming         Outgoing
 *    CPU    Conns  Packets  Packets            Bytes            Bytes
 *      0        1        6        6              189              7E7
 *      ~        1        6        6              189              7E7
 */
import { IpvsError } from '../base/errors.ts';
import type { Counters, Statistics } from './statistics.ts';

export interface Totals {
  /** As the kernel publishes it every 2 seconds, with its moving averages. */
  readonly total: Statistics;
  /** What each processor counted: always fresh. */
  readonly cpus: readonly CpuCounters[];
}

export interface CpuCounters extends Counters {
  readonly cpu: number;
}

const COLUMNS = 5;
/** More processors than any kernel knows. */
const MOST_CPUS = 0x1_0000n;

/** From the lines of both files. Throws REPLY_MALFORMED. */
export function totalsOf(stats: readonly string[], perCpu: readonly string[]): Totals {
  const [total, rates, ...more] = rowsOf('ip_vs_stats', stats, COLUMNS);
  if (!total || !rates || more.length > 0) throw malformed('ip_vs_stats');
  return { total: { ...countersOf(total), rates: countersOf(rates) }, cpus: cpusOf(perCpu) };
}

function cpusOf(lines: readonly string[]): CpuCounters[] {
  // The row of "~" is the total, and what follows it the rates: neither is a processor's.
  const end = lines.findIndex((line) => line.trimStart().startsWith('~'));
  if (end < 0) throw malformed('ip_vs_stats_percpu');
  return rowsOf('ip_vs_stats_percpu', lines.slice(0, end), 1 + COLUMNS).map(([cpu = MOST_CPUS, ...counters]) => {
    if (cpu >= MOST_CPUS) throw malformed('ip_vs_stats_percpu');
    return { cpu: Number(cpu), ...countersOf(counters) };
  });
}

/** The numbers of all lines but headings. */
function rowsOf(name: string, lines: readonly string[], columns: number): bigint[][] {
  return lines
    .filter((line) => !/^ *(?:$|Total |CPU |Conns)/.test(line))
    .map((line) => {
      const words = line.trim().split(/ +/);
      if (words.length !== columns || !words.every((word) => /^[0-9A-F]{1,16}$/.test(word))) throw malformed(name);
      return words.map((word) => BigInt(`0x${word}`));
    });
}

function countersOf([
  connections = 0n,
  packetsIn = 0n,
  packetsOut = 0n,
  bytesIn = 0n,
  bytesOut = 0n,
]: bigint[]): Counters {
  return { connections, packetsIn, packetsOut, bytesIn, bytesOut };
}

function malformed(name: string): IpvsError {
  return new IpvsError('REPLY_MALFORMED', {
    subject: `/proc/net/${name}`,
    detail: 'it is not the table that is expected',
  });
}
