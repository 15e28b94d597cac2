/**
 * Counters over all services, from /proc/net/ip_vs_stats and ip_vs_stats_percpu (ip_vs_ctl.c, ip_vs_stats_show and
 * ip_vs_stats_percpu_show): five columns in hexadecimal, then the same per second.
 *
 *          Total Incoming Outgoing         Incoming         Outgoing
 *    CPU    Conns  Packets  Packets            Bytes            Bytes
 *      0        1        6        6              189              7E7
 *      ~        1        6        6              189              7E7
 */
import { IpvsError } from '../errors.ts';
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

/** From the lines of both files. Throws REPLY_MALFORMED. */
export function totalsOf(stats: readonly string[], perCpu: readonly string[]): Totals {
  const [total, rates] = stats.map(numbersOf).filter((row) => row?.length === 5);
  if (!total || !rates) throw malformed('ip_vs_stats');
  return { total: { ...countersOf(total), rates: countersOf(rates) }, cpus: cpusOf(perCpu) };
}

function cpusOf(lines: readonly string[]): CpuCounters[] {
  // The row of "~" is the total, and what follows it the rates: neither is a processor's.
  const end = lines.findIndex((line) => line.trimStart().startsWith('~'));
  if (end < 0) throw malformed('ip_vs_stats_percpu');
  return lines
    .slice(0, end)
    .map(numbersOf)
    .filter((row) => row !== undefined)
    .map(([cpu, ...counters]) => ({ cpu: Number(cpu), ...countersOf(counters) }));
}

/** The row's numbers; undefined for a heading. */
function numbersOf(line: string): bigint[] | undefined {
  const words = line.trim().split(/\s+/);
  return words.every((word) => /^[0-9A-F]{1,16}$/.test(word)) ? words.map((word) => BigInt(`0x${word}`)) : undefined;
}

function countersOf(row: readonly bigint[]): Counters {
  const [connections, packetsIn, packetsOut, bytesIn, bytesOut] = row;
  if (
    connections === undefined ||
    packetsIn === undefined ||
    packetsOut === undefined ||
    bytesIn === undefined ||
    bytesOut === undefined
  )
    throw malformed('ip_vs_stats_percpu');
  return { connections, packetsIn, packetsOut, bytesIn, bytesOut };
}

function malformed(name: string): IpvsError {
  return new IpvsError('REPLY_MALFORMED', {
    subject: `/proc/net/${name}`,
    detail: 'it is not the table that is expected',
  });
}
