/** A change of services and destinations, in words. Pure. */

import type { Change, Phase } from '../../engine/resource.ts';
import type { Destination } from '../../ipvs/destination.ts';
import { describe, type Operation } from '../../ipvs/operation.ts';
import { destinationKeyIn } from '../../record/ledger.ts';

export function change(
  phase: Phase,
  operation: Operation,
  detail: string,
  effects: readonly string[] = [],
  cause: Change['cause'] = 'file',
): Change<Operation> {
  return {
    resource: 'services',
    phase,
    operation,
    ...describe(operation),
    ...namesOf(operation),
    detail,
    cause,
    effects,
  };
}

function namesOf(operation: Operation): Pick<Change, 'key' | 'of'> {
  switch (operation.type) {
    case 'destination.add':
    case 'destination.edit':
      return { key: destinationKeyIn(operation.service, operation.destination.address), of: operation.service };
    case 'destination.delete':
      return { key: destinationKeyIn(operation.service, operation.destination), of: operation.service };
    case 'service.delete':
      return { key: operation.service, of: operation.service };
    case 'service.add':
    case 'service.edit':
      return { key: operation.service.address, of: operation.service.address };
    default:
      throw new TypeError(`${operation.type} is no change of a service`);
  }
}

export function weightEdit(service: string, destination: Destination, weight: number): Operation {
  const { address, forward, upperThreshold, lowerThreshold } = destination;
  return {
    type: 'destination.edit',
    service,
    destination: { address, forward, weight, upperThreshold, lowerThreshold },
  };
}
