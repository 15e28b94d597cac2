/** A destination in its service, by their keys. Pure. */
import { serviceKey } from '../ipvs/address.ts';
import { destinationKey } from '../ipvs/destination.ts';
import { destinationKeyIn } from './keys.ts';

export interface Place {
  readonly service: string;
  readonly destination: string;
}

/** Throws what `serviceKey` and `destinationKey` throw. */
export function placeOf(service: string, destination: string): Place {
  const key = serviceKey(service);
  return { service: key, destination: destinationKey(destination, key) };
}

/** As ledgers and plans name it. */
export function keyOf({ service, destination }: Place): string {
  return destinationKeyIn(service, destination);
}

/** For people. */
export function subjectOf({ service, destination }: Place): string {
  return `${destination} of ${service}`;
}

export function isAt(place: Place): (other: Place) => boolean {
  return ({ service, destination }) => service === place.service && destination === place.destination;
}
