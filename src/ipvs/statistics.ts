/**
 * Counters of a service or destination. The kernel publishes them every 2 seconds (ip_vs_est.c), so
 * they lag behind; the rates are its own moving averages.
 */
export interface Statistics {
  readonly connections: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  /** Per second. */
  readonly rates: {
    readonly connections: bigint;
    readonly packetsIn: bigint;
    readonly packetsOut: bigint;
    readonly bytesIn: bigint;
    readonly bytesOut: bigint;
  };
}
