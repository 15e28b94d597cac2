/** Virtual services with their destinations, as a resource. */
import { formatForward, sameForward } from '../ipvs/destination.ts';
import type { Ipvs, Snapshot } from '../ipvs/ipvs.ts';
import { describe, type Operation } from '../ipvs/operation.ts';
import { formatPersistence, type VirtualService, type VirtualServiceWithDestinations } from '../ipvs/service.ts';
import type { Change, ChangeResult, Phase, Resource } from '../plan/resource.ts';
import type { DesiredDestination, DesiredService } from './state.ts';

export const servicesResource: Resource<readonly DesiredService[], Snapshot, Operation, Ipvs> = {
  name: 'services',
  read: (ipvs) => ipvs.snapshot(),
  diff: diffServices,
  async check(ipvs, changes): Promise<ChangeResult[]> {
    const refused = await ipvs.foreseeRefusals(changes.map(({ operation }) => operation));
    const errors = new Map(refused.map(({ operation, error }) => [operation, error]));
    return changes.flatMap((change) => {
      const error = errors.get(change.operation);
      return error ? [{ change, error }] : [];
    });
  },
  async apply(ipvs, changes): Promise<ChangeResult[]> {
    const results = await ipvs.execute(changes.map(({ operation }) => operation));
    return results.map(({ error }, i) => {
      const change = changes[i] as Change;
      return error ? { change, error } : { change };
    });
  },
};

/** Services that the file does not name stay as they are; destinations of those that it names follow it. */
export function diffServices(
  desired: readonly DesiredService[],
  current: Snapshot,
): { changes: Change<Operation>[]; unchanged: number } {
  const present = new Map(current.services.map((service) => [service.address, service]));
  const changes: Change<Operation>[] = [];
  let objects = 0;
  for (const { service, destinations } of desired) {
    const before = present.get(service.address);
    objects += 1 + destinations.length;
    changes.push(...serviceChanges(service, before), ...destinationChanges(service, destinations, before));
  }
  const touched = changes.filter(({ operation }) => !operation.type.endsWith('.delete')).length;
  return { changes, unchanged: objects - touched };
}

function serviceChanges(
  service: VirtualService,
  before: VirtualServiceWithDestinations | undefined,
): Change<Operation>[] {
  if (before === undefined) {
    return [change('add-service', { type: 'service.add', service }, summaryOf(service))];
  }
  const differences = [
    difference('scheduler', before.scheduler, service.scheduler),
    difference('flags', list(before.schedulerFlags), list(service.schedulerFlags)),
    difference('persistence', formatPersistence(before.persistence), formatPersistence(service.persistence)),
    difference('one-packet', before.onePacket, service.onePacket),
  ].filter((text) => text !== undefined);
  if (differences.length === 0) return [];
  const effects =
    before.scheduler !== service.scheduler || list(before.schedulerFlags) !== list(service.schedulerFlags)
      ? ['connections stay; new ones are spread by the new rule']
      : [];
  return [change('edit', { type: 'service.edit', service }, differences.join(', '), effects)];
}

function destinationChanges(
  service: VirtualService,
  destinations: readonly DesiredDestination[],
  before: VirtualServiceWithDestinations | undefined,
): Change<Operation>[] {
  const present = new Map(before?.destinations.map((destination) => [destination.address, destination]));
  const wanted = new Set(destinations.map(({ address }) => address));
  const changes: Change<Operation>[] = [];
  // The kernel puts a new destination at the head of the service's list, and schedulers go through
  // the list: added in reverse, they stand in the kernel as in the file.
  for (const { host: _, ...destination } of destinations.toReversed()) {
    const old = present.get(destination.address);
    if (old === undefined) {
      const operation = { type: 'destination.add', service: service.address, destination } as const;
      changes.push(
        change('add-destination', operation, `${formatForward(destination.forward)}, weight ${destination.weight}`),
      );
      continue;
    }
    const differences = [
      difference('weight', old.weight, destination.weight),
      difference('forward', formatForward(old.forward), formatForward(destination.forward)),
      difference('upper threshold', old.upperThreshold, destination.upperThreshold),
      difference('lower threshold', old.lowerThreshold, destination.lowerThreshold),
    ].filter((text) => text !== undefined);
    if (differences.length === 0) continue;
    const effects = sameForward(old.forward, destination.forward)
      ? []
      : ['connections that exist keep the old forwarding'];
    const operation = { type: 'destination.edit', service: service.address, destination } as const;
    changes.push(change('edit', operation, differences.join(', '), effects));
  }
  for (const { address, activeConnections, inactiveConnections } of before?.destinations ?? []) {
    if (wanted.has(address)) continue;
    const effects = [];
    if (activeConnections > 0) effects.push(`cuts ${activeConnections} active connections`);
    // TCP connections that finish count as inactive, and so do all of UDP.
    if (inactiveConnections > 0)
      effects.push(`${inactiveConnections} inactive connections (finishing, or UDP) lose their packets`);
    const operation = { type: 'destination.delete', service: service.address, destination: address } as const;
    changes.push(change('remove-destination', operation, 'not in the file', effects));
  }
  return changes;
}

function change(
  phase: Phase,
  operation: Operation,
  detail: string,
  effects: readonly string[] = [],
): Change<Operation> {
  return { resource: 'services', phase, operation, ...describe(operation), detail, effects };
}

function summaryOf({ scheduler, schedulerFlags, persistence, onePacket }: VirtualService): string {
  return [
    scheduler,
    ...schedulerFlags,
    ...(persistence ? [`persistence ${formatPersistence(persistence)}`] : []),
    ...(onePacket ? ['one-packet'] : []),
  ].join(', ');
}

function difference(name: string, before: unknown, after: unknown): string | undefined {
  return before === after ? undefined : `${name} ${before} → ${after}`;
}

function list(names: readonly string[]): string {
  return names.join('+') || 'none';
}
