/** A destination in its service, by their keys. Pure. */
import { serviceKey } from '../ipvs/address.ts';
import { destinationKey } from '../ipvs/destination.ts';
import { destinationKeyIn } from './keys.ts';

export interface DestinationOf {
  readonly service: string;
  readonly destination: string;
}

/** Throws what `serviceKey` and `destinationKey` throw. */
export function destinationOf(service: string, destination: string): DestinationOf {
  const key = serviceKey(service);
  return { service: key, destination: destinationKey(destination, key) };
}

/** As ledgers and plans name it. */
export function keyOf({ service, destination }: DestinationOf): string {
  return destinationKeyIn(service, destination);
}

/** For people. */
export function subjectOf({ service, destination }: DestinationOf): string {
  return `${destination} of ${service}`;
}

export function isAt(place: DestinationOf): (other: DestinationOf) => boolean {
  return ({ service, destination }) => service === place.service && destination === place.destination;
}
