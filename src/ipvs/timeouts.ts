/** How long the kernel keeps connections on which nothing happens. One set for each network namespace. */

import { refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';

export interface Timeouts {
  /** TCP connections that are established. The kernel's default: 900. */
  readonly tcpSeconds: number;
  /** TCP connections after a FIN. The kernel's default: 120. */
  readonly tcpFinSeconds: number;
  /** UDP. The kernel's default: 300. */
  readonly udpSeconds: number;
}

/** What is not named stays as it is. */
export type TimeoutsInput = { readonly [Name in keyof Timeouts]?: number | undefined };

export const timeoutNames = ['tcpSeconds', 'tcpFinSeconds', 'udpSeconds'] as const;

/** The kernel takes up to INT_MAX / HZ (ip_vs_ctl.c, ip_vs_set_timeout); this is safe up to HZ=1000. */
const MOST_SECONDS = 2_147_483;

/** Throws INVALID_DURATION, INVALID_OPTION. Zero is refused: to the kernel it means "leave it". */
export function normalizeTimeouts(input: TimeoutsInput): Partial<Timeouts> {
  refuseUnknownKeys(input, 'set of timeouts', timeoutNames);
  const entries = timeoutNames
    .filter((name) => input[name] !== undefined)
    .map((name) => [name, wholeNumber(input[name], 1, MOST_SECONDS, 'INVALID_DURATION', [name])] as const);
  if (entries.length === 0) throw new IpvsError('INVALID_OPTION', { detail: 'there is no timeout to set' });
  return Object.fromEntries(entries);
}

/** For people: "tcp 900s, udp 300s". */
export function formatTimeouts(timeouts: Partial<Timeouts>): string {
  const words = { tcpSeconds: 'tcp', tcpFinSeconds: 'tcp-fin', udpSeconds: 'udp' };
  return timeoutNames
    .filter((name) => timeouts[name] !== undefined)
    .map((name) => `${words[name]} ${timeouts[name]}s`)
    .join(', ');
}
