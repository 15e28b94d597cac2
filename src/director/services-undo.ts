/** The way back of what was done to services. Pure. */
import { sameDestination } from '../ipvs/destination.ts';
import type { Operation } from '../ipvs/operation.ts';
import { destinationKeyIn } from '../plan/ledger.ts';
import { type Change, UNDONE } from '../plan/resource.ts';
import { serviceOf } from './keys.ts';
import { change } from './service-change.ts';
import { type Configuration, configured, sameService } from './service-configuration.ts';

/** The changes that make what has one of the keys as it was before. */
export function undoServices(
  before: Configuration,
  now: Configuration,
  keys: ReadonlySet<string>,
): Change<Operation>[] {
  const [earlier, present] = [byAddress(before.services), byAddress(now.services)];
  const changes: Change<Operation>[] = [];
  for (const address of new Set([...keys].flatMap((key) => serviceOf(key) ?? []))) {
    const [was, is] = [earlier.get(address), present.get(address)];
    if (was === undefined) {
      if (is !== undefined)
        changes.push(change('remove-service', { type: 'service.delete', service: address }, UNDONE));
      continue;
    }
    const { destinations, ...service } = configured(was);
    if (is === undefined) changes.push(change('add-service', { type: 'service.add', service }, UNDONE));
    else if (keys.has(address) && !sameService(is, was))
      changes.push(change('edit', { type: 'service.edit', service }, UNDONE));
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
        changes.push(change('add-destination', operation, UNDONE, effects));
      } else if (!sameDestination(old, destination)) {
        changes.push(change('edit', { type: 'destination.edit', service: address, destination }, UNDONE));
      }
    }
    const described = new Set(destinations.map(({ address }) => address));
    for (const { address: destination } of held.values()) {
      if (!meant(destination) || described.has(destination)) continue;
      changes.push(change('remove-destination', { type: 'destination.delete', service: address, destination }, UNDONE));
    }
  }
  return changes;
}

function byAddress<T extends { readonly address: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.address, item]));
}
