/** The keys by which plans and ledgers name what is no destination; and whose key one is. */
import type { SyncState } from '../ipvs/sync-daemon.ts';

export function daemonKey(state: SyncState): string {
  return `sync ${state}`;
}

export const TIMEOUTS_KEY = 'timeouts';

export const DEFENSE_KEY = 'defense';

export function sysctlKey(name: string): string {
  return `sysctl ${name}`;
}

/** Of what a rule is called: "10.0.0.0/24 out eth0". */
export function masqueradeKey(name: string): string {
  return `masquerade ${name}`;
}

/** Of a chain of iptables that is ours: "IPVSD-POSTROUTING of IPv4". */
export function chainKey(name: string): string {
  return `chain ${name}`;
}

/** The service that a key is of; undefined for what is of none. */
export function serviceOf(key: string): string | undefined {
  const end = key.indexOf(' ');
  const first = end < 0 ? key : key.slice(0, end);
  return first.includes('://') || first.startsWith('fwmark:') ? first : undefined;
}
