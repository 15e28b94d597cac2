/** Counters of a service, of a destination, or of everything. */
export interface Counters {
  readonly connections: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
}

/**
 * The kernel publishes them every 2 seconds (ip_vs_est.c), so they lag behind; the rates, per second, are its own
 * moving averages: a quarter of the new value each time. Fresh ones follow from two snapshots: `ratesBetween()`.
 */
export interface Statistics extends Counters {
  readonly rates: Counters;
}

export const counterNames = ['connections', 'packetsIn', 'packetsOut', 'bytesIn', 'bytesOut'] as const;
