/** What can be done to the kernel's table: data, so that it can be planned, shown, sent and undone. */
import type { IpvsError } from '../base/errors.ts';
import type { Destination } from './destination.ts';
import type { VirtualService } from './service.ts';
import type { SyncDaemon, SyncState } from './sync-daemon.ts';
import { formatTimeouts, type Timeouts } from './timeouts.ts';

export type Operation =
  | { readonly type: 'service.add'; readonly service: VirtualService }
  | { readonly type: 'service.edit'; readonly service: VirtualService }
  | { readonly type: 'service.delete'; readonly service: string }
  | { readonly type: 'destination.add'; readonly service: string; readonly destination: Destination }
  | { readonly type: 'destination.edit'; readonly service: string; readonly destination: Destination }
  | { readonly type: 'destination.delete'; readonly service: string; readonly destination: string }
  | { readonly type: 'flush' }
  /** The counters of a service and its destinations; of everything without `service`. */
  | { readonly type: 'zero'; readonly service?: string }
  | { readonly type: 'timeouts.set'; readonly timeouts: Partial<Timeouts> }
  | { readonly type: 'sync.start'; readonly daemon: SyncDaemon }
  | { readonly type: 'sync.stop'; readonly state: SyncState };

/** One for each operation, in order. */
export interface OperationResult {
  readonly operation: Operation;
  /** Absent if it was done. */
  readonly error?: IpvsError;
}

const verbs: Readonly<Record<Operation['type'], string>> = {
  'service.add': 'add service',
  'service.edit': 'edit service',
  'service.delete': 'delete service',
  'destination.add': 'add destination',
  'destination.edit': 'edit destination',
  'destination.delete': 'delete destination',
  flush: 'flush',
  zero: 'zero the counters of',
  'timeouts.set': 'set timeouts',
  'sync.start': 'start sync daemon',
  'sync.stop': 'stop sync daemon',
};

/** "add service" and "tcp://192.0.2.1:80": the words of errors, plans and logs. */
export function describe(operation: Operation): { verb: string; subject: string } {
  const verb = verbs[operation.type];
  switch (operation.type) {
    case 'flush':
      return { verb, subject: 'all services' };
    case 'service.add':
    case 'service.edit':
      return { verb, subject: operation.service.address };
    case 'service.delete':
      return { verb, subject: operation.service };
    case 'destination.add':
    case 'destination.edit':
      return { verb, subject: `${operation.destination.address} of ${operation.service}` };
    case 'destination.delete':
      return { verb, subject: `${operation.destination} of ${operation.service}` };
    case 'zero':
      return { verb, subject: operation.service ?? 'all services' };
    case 'timeouts.set':
      return { verb, subject: formatTimeouts(operation.timeouts) };
    case 'sync.start':
      return { verb, subject: `${operation.daemon.state} on ${operation.daemon.interface}` };
    case 'sync.stop':
      return { verb, subject: operation.state };
  }
}
