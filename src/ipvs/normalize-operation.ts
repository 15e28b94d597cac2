/** Operations at the door: every noun in them checked and made canonical. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { serviceKey } from '../net/address.ts';
import { destinationKey, normalizeDestination } from './destination.ts';
import type { Operation } from './operation.ts';
import { normalizeService } from './service.ts';
import { normalizeSyncDaemon, normalizeSyncState } from './sync-daemon.ts';
import { normalizeTimeouts } from './timeouts.ts';

export function normalizeOperation(operation: Operation): Operation {
  if (typeof operation !== 'object' || operation === null) {
    throw new IpvsError('INVALID_OPTION', { detail: `${quote(operation)} is no operation` });
  }
  const { type } = operation;
  switch (type) {
    case 'flush':
      return { type };
    case 'service.add':
    case 'service.edit':
      return { type, service: normalizeService(operation.service) };
    case 'service.delete':
      return { type, service: serviceKey(operation.service) };
    case 'destination.add':
    case 'destination.edit': {
      const service = serviceKey(operation.service);
      return { type, service, destination: normalizeDestination(operation.destination, service) };
    }
    case 'destination.delete': {
      const service = serviceKey(operation.service);
      return { type, service, destination: destinationKey(operation.destination, service) };
    }
    case 'zero':
      return operation.service === undefined ? { type } : { type, service: serviceKey(operation.service) };
    case 'timeouts.set':
      return { type, timeouts: normalizeTimeouts(operation.timeouts) };
    case 'sync.start':
      return { type, daemon: normalizeSyncDaemon(operation.daemon) };
    case 'sync.stop':
      return { type, state: normalizeSyncState(operation.state) };
    default:
      throw new IpvsError('INVALID_OPTION', { detail: `there is no operation ${quote(type satisfies never)}` });
  }
}
