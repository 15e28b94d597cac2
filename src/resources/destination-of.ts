/** Destinations in their services, as people say them. Pure. */

import { destinationKey } from '../ipvs/destination.ts';
import { serviceKey } from '../net/address.ts';
import type { DestinationOf } from '../record/ledger.ts';

/** Throws what `serviceKey` and `destinationKey` throw. */
export function destinationOf(service: string, destination: string): DestinationOf {
  const key = serviceKey(service);
  return { service: key, destination: destinationKey(destination, key) };
}

/** For people. */
export function subjectOf({ service, destination }: DestinationOf): string {
  return `${destination} of ${service}`;
}

export function isAt(place: DestinationOf): (other: DestinationOf) => boolean {
  return ({ service, destination }) => service === place.service && destination === place.destination;
}
