/** Services: desired × what was applied last × kernel. Pure. */

import type { Change, Conflict, Diff, DiffOptions, Known, Stray } from '../../engine/resource.ts';
import {
  type Destination,
  type DestinationState,
  formatForward,
  sameDestination,
  sameForward,
} from '../../ipvs/destination.ts';
import type { Snapshot } from '../../ipvs/ipvs.ts';
import type { Operation } from '../../ipvs/operation.ts';
import { formatPersistence, type VirtualService, type VirtualServiceWithDestinations } from '../../ipvs/service.ts';
import { weightWithin } from '../../ipvs/weight-steps.ts';
import { destinationKeyIn } from '../../record/ledger.ts';
import { rampedWeight } from '../../record/ramp.ts';
import { type DesiredService, type DesiredState, NOTHING_DESIRED, servicesByAddress } from '../../state/state.ts';
import { change, weightEdit } from './change.ts';
import { flagWords, sameList, sameService } from './configuration.ts';

/**
 * Desired × what was applied last × kernel. What leaves the file is removed, if it was in it; what was never in it
 * stays, inside of a service of ours too (unless that is `exclusive`).
 */
export function diffServices(
  desired: DesiredState,
  known: Known<DesiredState>,
  current: Snapshot,
  options: DiffOptions = {},
): Diff<Operation> {
  const { targets } = options;
  const meant = ({ address }: { readonly address: string }) => targets === undefined || targets.has(address);
  const present = new Map(current.services.filter(meant).map((service) => [service.address, service]));
  const applied = servicesByAddress(known.applied ?? NOTHING_DESIRED);
  const wanted = servicesByAddress(desired);
  const collected: Collected = { changes: [], conflicts: [], strays: [] };
  let objects = 0;
  for (const entry of desired.services) {
    const { address } = entry.service;
    if (!meant(entry.service)) continue;
    const before = present.get(address);
    const was = applied.get(address);
    if (before && !was && !known.made.has(address) && !options.adopt) {
      collected.conflicts.push({ resource: 'services', subject: address, of: address });
      continue;
    }
    objects += 1 + entry.destinations.length;
    serviceChanges(entry, was, before, collected);
    const onTheWay = weightsOnTheWay(entry, before, known, desired.limits?.maxWeightSteps);
    destinationChanges(entry, was, before, known, { ...options, onTheWay }, collected);
  }
  for (const [address, service] of present) {
    if (wanted.has(address)) continue;
    if (applied.has(address) || options.prune) {
      const detail = applied.has(address) ? 'left the file' : 'not in the file';
      const effects = [...cutBy(service), ...alsoTaken(service, applied.get(address), known)];
      collected.changes.push(change('remove-service', { type: 'service.delete', service: address }, detail, effects));
    } else {
      collected.strays.push(stray(address, address, address, known));
    }
  }
  const touched = collected.changes.filter(({ operation }) => !operation.type.endsWith('.delete')).length;
  return { ...collected, unchanged: Math.max(0, objects - touched) };
}

interface Collected {
  readonly changes: Change<Operation>[];
  readonly conflicts: Conflict[];
  readonly strays: Stray[];
}

function stray(subject: string, key: string, of: string, { made }: Known<DesiredState>): Stray {
  return { resource: 'services', subject, key, of, owner: made.has(key) ? 'verb' : 'foreign' };
}

function serviceChanges(
  { service }: DesiredService,
  was: DesiredService | undefined,
  before: VirtualServiceWithDestinations | undefined,
  { changes }: Collected,
): void {
  if (before && sameService(before, service)) return;
  // What is described as before has been changed by somebody.
  const cause = was && sameService(was.service, service) ? 'drift' : 'file';
  if (before === undefined) {
    changes.push(change('add-service', { type: 'service.add', service }, summaryOf(service), [], cause));
    return;
  }
  const differences = serviceDifferences(before, service);
  const effects: string[] = [];
  if (before.scheduler !== service.scheduler) effects.push('takes a grace period of RCU, some 10 ms');
  if (before.scheduler !== service.scheduler || flagWords(before.schedulerFlags) !== flagWords(service.schedulerFlags))
    effects.push('connections stay; new ones are spread by the new rule');
  if (before.persistence !== null && service.persistence === null)
    effects.push('clients stay with their destination until their entries time out');
  changes.push(change('edit', { type: 'service.edit', service }, differences.join(', '), effects, cause));
}

export function serviceDifferences(before: VirtualService, after: VirtualService): string[] {
  return [
    difference('scheduler', before.scheduler, after.scheduler),
    difference('flags', flagWords(before.schedulerFlags), flagWords(after.schedulerFlags)),
    difference('persistence', formatPersistence(before.persistence), formatPersistence(after.persistence)),
    difference('one-packet', before.onePacket, after.onePacket),
  ].filter((text) => text !== undefined);
}

function destinationChanges(
  { service: { address: service, scheduler }, destinations, exclusive = false, drain, ramp }: DesiredService,
  was: DesiredService | undefined,
  before: VirtualServiceWithDestinations | undefined,
  known: Known<DesiredState>,
  { prune = false, onTheWay }: DiffOptions & { readonly onTheWay: WeightOnTheWay },
  { changes, strays }: Collected,
): void {
  // Most services of a large table are so, in the very order of the file: nothing is looked up for those.
  if (before && !known.weights.has(service) && sameList(destinations, before.destinations)) return;
  const present = new Map(before?.destinations.map((destination) => [destination.address, destination]));
  const applied = new Map(was?.destinations.map((destination) => [destination.address, destination]));
  const order =
    ordered.has(scheduler) && before !== undefined
      ? [`moves clients: ${scheduler} goes by the order of destinations`]
      : [];
  // The kernel puts a new destination at the head of the service's list, and schedulers go through
  // the list: added in reverse, they stand in the kernel as in the file.
  for (const described of destinations.toReversed()) {
    const old = present.get(described.address);
    const destination = effective(described, service, known, old, onTheWay);
    const last = applied.get(destination.address);
    const cause = last && sameDestination(last, described) ? 'drift' : 'file';
    if (old === undefined) {
      // Among others that are warm it begins with a part of its weight.
      const weight =
        ramp && before
          ? onTheWay(rampedWeight({ ...ramp, startedBootMs: 0, weight: destination.weight }, 0), destination.address)
          : destination.weight;
      const operation = { type: 'destination.add', service, destination: { ...destination, weight } } as const;
      const host = described.host === undefined ? '' : `, by name ${described.host}`;
      const detail = `${formatForward(destination.forward)}, weight ${weight}${weight < destination.weight ? ` of ${destination.weight}` : ''}${host}`;
      changes.push(change('add-destination', operation, detail, order, cause));
      continue;
    }
    present.delete(destination.address);
    const differences = destinationDifferences(old, destination);
    if (differences.length === 0) continue;
    const effects: string[] = [];
    if (!sameForward(old.forward, destination.forward)) effects.push('connections that exist keep the old forwarding');
    if (destination.weight === 0 && old.weight > 0) effects.push('takes no new connections');
    const operation = { type: 'destination.edit', service, destination } as const;
    changes.push(change('edit', operation, differences.join(', '), effects, cause));
  }
  // What is left is not described.
  for (const old of present.values()) {
    const { address } = old;
    const key = destinationKeyIn(service, address);
    if (known.leaving.has(key)) {
      if (old.weight > 0)
        changes.push(change('edit', weightEdit(service, old, 0), `weight ${old.weight} → 0`, [], 'drift'));
      continue;
    }
    const left = applied.has(address);
    if (!left && !exclusive && !prune) {
      strays.push(stray(`${address} of ${service}`, key, service, known));
      continue;
    }
    const detail = left ? 'left the file' : 'not in the file';
    if (drain !== undefined && (old.weight > 0 || holdsAnything(old))) {
      const effects = [
        `takes no new connections, and is ${drain.afterwards === 'delete' ? 'deleted' : 'kept'} in the end`,
      ];
      changes.push(
        change('drain', weightEdit(service, old, 0), `${detail}: drains for ${drain.timeoutSeconds}s at most`, effects),
      );
    } else {
      const operation = { type: 'destination.delete', service, destination: address } as const;
      changes.push(change('remove-destination', operation, detail, [...cutBy({ destinations: [old] }), ...order]));
    }
  }
}

/** Weight 0 alone does not mean that nobody is there any more. */
function holdsAnything({ activeConnections, inactiveConnections, persistentConnections }: DestinationState): boolean {
  return activeConnections + inactiveConnections + persistentConnections > 0;
}

/** These spread clients by where a destination stands in the list. */
const ordered: ReadonlySet<string> = new Set(['sh', 'dh']);

/** Of a weight on the way to the whole, the one that a destination may have. */
type WeightOnTheWay = (weight: number, destination: string) => number;

/** Keeps the steps of wrr in bounds, beside what is described, what others have on the way, and what stays undescribed. */
function weightsOnTheWay(
  { service: { address, scheduler }, destinations }: DesiredService,
  before: VirtualServiceWithDestinations | undefined,
  { weights }: Known<DesiredState>,
  limit: number | undefined,
): WeightOnTheWay {
  if (scheduler !== 'wrr') return (weight) => weight;
  return (weight, destination) => {
    const held = weights.get(address);
    const described = new Set(destinations.map((each) => each.address));
    const others = (before?.destinations ?? []).filter(
      (each) => each.address !== destination && (held?.has(each.address) || !described.has(each.address)),
    );
    return weightWithin(
      weight,
      [...destinations, ...others].map((each) => each.weight),
      limit,
    );
  };
}

/**
 * As it should be now: while it drains, or begins slowly, with another weight. Of one that begins slowly any weight up to
 * that of this moment is right: the next pass raises it.
 */
function effective(
  { host: _, ...described }: DesiredService['destinations'][number],
  service: string,
  known: Known<DesiredState>,
  held: Destination | undefined,
  onTheWay: WeightOnTheWay,
): Destination {
  const key = destinationKeyIn(service, described.address);
  const now = known.leaving.has(key) ? undefined : known.weights.get(service)?.get(described.address);
  if (now === undefined) return described;
  const most = onTheWay(Math.min(now, described.weight), described.address);
  return { ...described, weight: held && held.weight > 0 && held.weight <= most ? held.weight : most };
}

export function destinationDifferences(before: Destination, after: Destination): string[] {
  if (sameDestination(before, after)) return [];
  return [
    difference('weight', before.weight, after.weight),
    difference('forward', formatForward(before.forward), formatForward(after.forward)),
    difference('upper threshold', before.upperThreshold, after.upperThreshold),
    difference('lower threshold', before.lowerThreshold, after.lowerThreshold),
  ].filter((text) => text !== undefined);
}

/** Destinations of a service that goes, which somebody else made. */
function alsoTaken(
  { address, destinations }: VirtualServiceWithDestinations,
  was: DesiredService | undefined,
  { made }: Known<DesiredState>,
): string[] {
  if (was === undefined) return [];
  const described = new Set(was.destinations.map((destination) => destination.address));
  return destinations
    .filter(
      (destination) => !described.has(destination.address) && !made.has(destinationKeyIn(address, destination.address)),
    )
    .map((destination) => `takes away ${destination.address} too, which somebody else made`);
}

/** What goes with destinations that are deleted. */
export function cutBy({ destinations }: { readonly destinations: readonly DestinationState[] }): string[] {
  const active = destinations.reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  const inactive = destinations.reduce((sum, { inactiveConnections }) => sum + inactiveConnections, 0);
  return [
    ...(active > 0 ? [`cuts ${active} active connections`] : []),
    // TCP connections that finish count as inactive, and so do all of UDP.
    ...(inactive > 0 ? [`${inactive} inactive connections (finishing, or UDP) lose their packets`] : []),
    'its counters are lost',
  ];
}

export function summaryOf({ scheduler, schedulerFlags, persistence, onePacket }: VirtualService): string {
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
