/** The way back of what was done to services. Pure. */

import { type Change, WAS_ABSENT } from '../../engine/resource.ts';
import { type Destination, type DestinationState, formatForward, sameDestination } from '../../ipvs/destination.ts';
import type { Operation } from '../../ipvs/operation.ts';
import { destinationKeyIn } from '../../record/ledger.ts';
import { serviceOf } from '../keys.ts';
import { change } from './change.ts';
import { type Configuration, type ConfiguredService, configured, sameService } from './configuration.ts';
import { cutBy, destinationDifferences, serviceDifferences, summaryOf } from './diff.ts';

/** Destinations that have no key keep their place before those that were there earlier: the kernel puts new ones first. */
export function overlayServices(onto: Configuration, over: Configuration, keys: ReadonlySet<string>): Configuration {
  const result = byAddress(onto.services.map(configured));
  const earlier = byAddress(over.services);
  for (const address of servicesIn(keys)) {
    const [was, is] = [earlier.get(address), result.get(address)];
    if (keys.has(address) && was === undefined) result.delete(address);
    else if (keys.has(address) && was !== undefined && is === undefined) result.set(address, configured(was));
    else if (is !== undefined) {
      const { destinations: _, ...settings } = configured(keys.has(address) && was ? was : is);
      result.set(address, { ...settings, destinations: overlayDestinations(address, is, was, keys) });
    }
  }
  return { services: [...result.values()] };
}

function overlayDestinations(
  service: string,
  is: ConfiguredService,
  was: ConfiguredService | undefined,
  keys: ReadonlySet<string>,
): Destination[] {
  const hasKey = ({ address }: Destination) => keys.has(destinationKeyIn(service, address));
  const [present, earlier] = [byAddress(is.destinations), byAddress(was ? configured(was).destinations : [])];
  const newer = is.destinations.filter((destination) => !hasKey(destination) && !earlier.has(destination.address));
  const older = [...earlier.values()].flatMap((destination) =>
    hasKey(destination) ? destination : (present.get(destination.address) ?? []),
  );
  return [...newer, ...older];
}

function servicesIn(keys: ReadonlySet<string>): Set<string> {
  return new Set([...keys].flatMap((key) => serviceOf(key) ?? []));
}

/** The changes that make what has one of the keys as it was before. */
export function undoServices(
  before: Configuration,
  now: Configuration,
  keys: ReadonlySet<string>,
): Change<Operation>[] {
  const [earlier, present] = [byAddress(before.services), byAddress(now.services)];
  const changes: Change<Operation>[] = [];
  for (const address of servicesIn(keys)) {
    const [was, is] = [earlier.get(address), present.get(address)];
    if (was === undefined) {
      if (is !== undefined)
        changes.push(
          change('remove-service', { type: 'service.delete', service: address }, WAS_ABSENT, cutBy(counted(is))),
        );
      continue;
    }
    const { destinations, ...service } = configured(was);
    if (is === undefined) changes.push(change('add-service', { type: 'service.add', service }, summaryOf(service)));
    else if (keys.has(address) && !sameService(is, was))
      changes.push(change('edit', { type: 'service.edit', service }, serviceDifferences(is, service).join(', ')));
    const meant = (destination: string) => is === undefined || keys.has(destinationKeyIn(address, destination));
    const held = new Map(is?.destinations.map((destination) => [destination.address, destination]));
    const newestHeld = destinations.findIndex(({ address }) => held.has(address));
    // The oldest first: then each stands before those that were there before it.
    for (const [i, destination] of [...destinations.entries()].reverse()) {
      if (!meant(destination.address)) continue;
      const old = held.get(destination.address);
      held.delete(destination.address);
      if (old === undefined) {
        const misplaced = newestHeld >= 0 && i > newestHeld;
        const effects = misplaced ? ['stands before others now that stood before it; its counters are lost'] : [];
        const operation = { type: 'destination.add', service: address, destination } as const;
        const detail = `${formatForward(destination.forward)}, weight ${destination.weight}`;
        changes.push(change('add-destination', operation, detail, effects));
      } else if (!sameDestination(old, destination)) {
        const operation = { type: 'destination.edit', service: address, destination } as const;
        changes.push(change('edit', operation, destinationDifferences(old, destination).join(', ')));
      }
    }
    const described = new Set(destinations.map(({ address }) => address));
    for (const old of held.values()) {
      if (!meant(old.address) || described.has(old.address)) continue;
      const operation = { type: 'destination.delete', service: address, destination: old.address } as const;
      changes.push(change('remove-destination', operation, WAS_ABSENT, cutBy(counted({ destinations: [old] }))));
    }
  }
  return changes;
}

/** With the connections that it holds, where they were read. */
function counted({ destinations }: Pick<ConfiguredService, 'destinations'>): { destinations: DestinationState[] } {
  const none = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  return { destinations: destinations.map((destination) => ({ ...none, ...destination })) };
}

function byAddress<T extends { readonly address: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.address, item]));
}
