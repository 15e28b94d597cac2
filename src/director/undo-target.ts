/** What an undo aims at: what had been applied before, and what the plan removed besides. Pure. */
import type { Operation } from '../ipvs/operation.ts';
import type { Tables } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';
import type { ConfiguredService } from './services.ts';
import type { DesiredService, DesiredState } from './state.ts';

export function undoTarget(previous: DesiredState, changes: readonly Change[], before: Tables): DesiredState {
  const { services } = before['services'] as { readonly services: readonly ConfiguredService[] };
  const held = new Map(services.map((service) => [service.address, service]));
  const described = new Map(previous.services.map((entry) => [entry.service.address, entry]));
  for (const { resource, operation } of changes as readonly Change<Operation>[]) {
    if (resource !== 'services') continue;
    if (operation.type === 'service.delete') {
      const was = held.get(operation.service);
      if (was && !described.has(operation.service)) described.set(operation.service, describedAs(was));
    }
    if (operation.type === 'destination.delete') {
      const entry = described.get(operation.service);
      const was = held.get(operation.service)?.destinations.find(({ address }) => address === operation.destination);
      if (entry && was && !entry.destinations.some(({ address }) => address === was.address)) {
        described.set(operation.service, { ...entry, destinations: [...entry.destinations, was] });
      }
    }
  }
  return { ...previous, services: [...described.values()] };
}

/** The kernel's order is that of a file: what is added last stands first. */
export function describedAs({ destinations, ...service }: ConfiguredService): DesiredService {
  return { service, destinations };
}
