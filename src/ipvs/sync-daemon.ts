/**
 * Sync daemons: kernel threads that send the connections of this director to others (master), or take
 * those of others in (backup), by UDP multicast. One of each may run in a network namespace.
 */

import { at, interfaceName, oneOf, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { parseIp } from '../net/address.ts';

export type SyncState = 'master' | 'backup';

/** A daemon as it should run; what is absent is the kernel's default. */
export interface SyncDaemon {
  readonly state: SyncState;
  /** The network interface that the multicast goes through. */
  readonly interface: string;
  /** 0 to 255; a backup takes in only what carries its own, with 0 everything. */
  readonly id: number;
  /** Of one message. Default: what the interface's MTU leaves. */
  readonly maxLengthBytes?: number | undefined;
  /** Multicast group. Default: 224.0.0.81. */
  readonly group?: string | undefined;
  /** UDP port of the first of its threads. Default: 8848. */
  readonly port?: number | undefined;
  /** How many routers a message may pass. Default: 1. */
  readonly ttl?: number | undefined;
}

export type SyncDaemonInput = {
  readonly state: string;
  readonly interface: string;
  /** Default: 0. */
  readonly id?: number | undefined;
} & { readonly [Name in 'maxLengthBytes' | 'port' | 'ttl']?: number | undefined } & {
  readonly group?: string | undefined;
};

export const syncStates = ['master', 'backup'] as const;
const settings = ['maxLengthBytes', 'group', 'port', 'ttl'] as const;

/**
 * Checks what the kernel would take wrongly (ip_vs_ctl.c does not look at the range of the id, of which
 * 8 bits are sent), and makes it canonical. Throws INVALID_SYNC, INVALID_ADDRESS, INVALID_OPTION.
 */
export function normalizeSyncDaemon(input: SyncDaemonInput): SyncDaemon {
  refuseUnknownKeys(input, 'sync daemon', ['state', 'interface', 'id', ...settings]);
  const number = (name: 'id' | 'maxLengthBytes' | 'port' | 'ttl', least: number, most: number) =>
    wholeNumber(input[name], least, most, 'INVALID_SYNC', [name]);
  return {
    state: normalizeSyncState(input.state),
    interface: interfaceName(input.interface, 'INVALID_SYNC', ['interface']),
    id: input.id === undefined ? 0 : number('id', 0, 255),
    ...(input.maxLengthBytes !== undefined && { maxLengthBytes: number('maxLengthBytes', 1, 0xffff) }),
    ...(input.group !== undefined && { group: normalizeGroup(input.group) }),
    ...(input.port !== undefined && { port: number('port', 1, 0xffff) }),
    ...(input.ttl !== undefined && { ttl: number('ttl', 1, 255) }),
  };
}

export function normalizeSyncState(state: unknown): SyncState {
  return oneOf(state, syncStates, 'INVALID_SYNC', ['state']);
}

function normalizeGroup(group: string): string {
  const address = at(['group'], () => parseIp(group));
  const multicast =
    address.family === 'inet' ? ((address.bytes[0] as number) & 0xf0) === 0xe0 : address.bytes[0] === 0xff;
  if (multicast) return address.text;
  throw new IpvsError('INVALID_SYNC', {
    detail: `${quote(group)} is not a multicast address`,
    path: ['group'],
    hint: 'such as 224.0.0.81 or ff02::81',
  });
}
