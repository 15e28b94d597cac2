/** Virtual services with their destinations, as a resource. */
import { IpvsError } from '../errors.ts';
import {
  type Destination,
  type DestinationState,
  formatForward,
  sameDestination,
  sameForward,
} from '../ipvs/destination.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import { describe, type Operation } from '../ipvs/operation.ts';
import { formatPersistence, type VirtualService, type VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { rampedWeight } from '../plan/ramp.ts';
import type {
  Change,
  ChangeResult,
  Conflict,
  Diff,
  DiffOptions,
  Known,
  Phase,
  Resource,
  Stray,
} from '../plan/resource.ts';
import { type Context, executed, unlessNotLoaded } from './context.ts';
import { destinationKeyIn, serviceOf } from './keys.ts';
import { type DesiredService, type DesiredState, NOTHING_DESIRED, servicesByAddress } from './state.ts';

/** A service as it is configured, without counters; its destinations in the kernel's order, the newest first. */
export interface ConfiguredService extends VirtualService {
  readonly destinations: readonly Destination[];
}

interface Configuration {
  readonly services: readonly ConfiguredService[];
}

export const servicesResource: Resource<DesiredState, Snapshot, Configuration, Packed, Operation, Context> = {
  name: 'services',
  read: ({ ipvs }) => unlessNotLoaded(ipvs.snapshot(), { services: [] }),
  reread,
  pack,
  unpack,
  diff: diffServices,
  undo: undoServices,
  async check({ ipvs }, changes): Promise<ChangeResult[]> {
    const refused = await ipvs.foreseeRefusals(changes.map(({ operation }) => operation));
    const errors = new Map(refused.map(({ operation, error }) => [operation, error]));
    return changes.flatMap((change) => {
      const error = errors.get(change.operation);
      return error ? [{ change, error }] : [];
    });
  },
  apply: executed,
};

function configured(service: ConfiguredService): ConfiguredService {
  const { address, scheduler, schedulerFlags, persistence, onePacket, destinations } = service;
  return {
    address,
    scheduler,
    schedulerFlags,
    persistence,
    onePacket,
    destinations: destinations.map(({ address, forward, weight, upperThreshold, lowerThreshold }) => ({
      address,
      forward,
      weight,
      upperThreshold,
      lowerThreshold,
    })),
  };
}

/** Services that are not as a desired state describes them, whole; and those of it that are not there. */
interface Packed {
  readonly services: readonly ConfiguredService[];
  readonly absent: readonly string[];
}

function pack({ services }: Configuration, base: DesiredState = NOTHING_DESIRED): Packed {
  const described = servicesByAddress(base);
  let known = 0;
  const others: ConfiguredService[] = [];
  for (const service of services) {
    const entry = described.get(service.address);
    if (entry) known++;
    if (!entry || !sameService(entry.service, service) || !sameList(entry.destinations, service.destinations))
      others.push(configured(service));
  }
  if (known === described.size) return { services: others, absent: [] };
  const present = new Set(services.map(({ address }) => address));
  return { services: others, absent: [...described.keys()].filter((address) => !present.has(address)) };
}

function unpack({ services, absent }: Packed, base: DesiredState = NOTHING_DESIRED): Configuration {
  const all = new Map(
    base.services.map(({ service, destinations }) => [service.address, configured({ ...service, destinations })]),
  );
  for (const address of absent) all.delete(address);
  for (const service of services) all.set(service.address, service);
  return { services: [...all.values()] };
}

/** Of more than this share of the services, a dump of all is the faster way. */
const FEW = 1 / 8;

async function reread({ ipvs }: Context, before: Snapshot, keys: ReadonlySet<string>): Promise<Snapshot> {
  const touched = new Set([...keys].flatMap((key) => serviceOf(key) ?? []));
  if (touched.size > before.services.length * FEW) return unlessNotLoaded(ipvs.snapshot(), { services: [] });
  const read = new Map<string, VirtualServiceWithDestinations>();
  for (const address of touched) {
    try {
      read.set(address, await ipvs.service(address));
    } catch (error) {
      if (!(error instanceof IpvsError && error.code === 'SERVICE_NOT_FOUND')) throw error;
    }
  }
  const others = before.services.filter(({ address }) => !touched.has(address));
  return { services: [...others, ...read.values()] };
}

/** Keys of other resources are words of their own. */
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
  const present = new Map(current.services.map((service) => [service.address, service]));
  const applied = servicesByAddress(known.applied ?? NOTHING_DESIRED);
  const wanted = servicesByAddress(desired);
  const collected: Collected = { changes: [], conflicts: [], strays: [] };
  let objects = 0;
  const { targets } = options;
  for (const entry of desired.services) {
    const { address } = entry.service;
    if (targets && !targets.has(address)) continue;
    const before = present.get(address);
    const was = applied.get(address);
    if (before && !was && !known.made.has(address) && !options.adopt) {
      collected.conflicts.push({ resource: 'services', subject: address, of: address });
      continue;
    }
    objects += 1 + entry.destinations.length;
    serviceChanges(entry, was, before, collected);
    destinationChanges(entry, was, before, known, options, collected);
  }
  for (const service of current.services) {
    const { address } = service;
    if (wanted.has(address) || (targets && !targets.has(address))) continue;
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
  if (before.scheduler !== service.scheduler || list(before.schedulerFlags) !== list(service.schedulerFlags))
    effects.push('connections stay; new ones are spread by the new rule');
  if (before.persistence !== null && service.persistence === null)
    effects.push('clients stay with their destination until their entries time out');
  changes.push(change('edit', { type: 'service.edit', service }, differences.join(', '), effects, cause));
}

function sameService(a: VirtualService, b: VirtualService): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.onePacket === b.onePacket &&
    (a.persistence === b.persistence || formatPersistence(a.persistence) === formatPersistence(b.persistence)) &&
    list(a.schedulerFlags) === list(b.schedulerFlags)
  );
}

function serviceDifferences(before: VirtualService, after: VirtualService): string[] {
  return [
    difference('scheduler', before.scheduler, after.scheduler),
    difference('flags', list(before.schedulerFlags), list(after.schedulerFlags)),
    difference('persistence', formatPersistence(before.persistence), formatPersistence(after.persistence)),
    difference('one-packet', before.onePacket, after.onePacket),
  ].filter((text) => text !== undefined);
}

function destinationChanges(
  { service: { address: service, scheduler }, destinations, exclusive = false, drain, ramp }: DesiredService,
  was: DesiredService | undefined,
  before: VirtualServiceWithDestinations | undefined,
  known: Known<DesiredState>,
  { prune = false }: DiffOptions,
  { changes, strays }: Collected,
): void {
  if (before && isAsDescribed(destinations, before.destinations, known)) return;
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
    const destination = effective(described, service, known, old);
    const last = applied.get(destination.address);
    const cause = last && sameDestination(last, described) ? 'drift' : 'file';
    if (old === undefined) {
      // Among others that are warm it begins with a part of its weight.
      const weight =
        ramp && before ? rampedWeight({ ...ramp, startedAtMs: 0, weight: destination.weight }, 0) : destination.weight;
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

/** Most services of a large table are, in the very order of the file: nothing needs to be looked up for those. */
function isAsDescribed(
  described: DesiredService['destinations'],
  held: readonly Destination[],
  { weights, leaving }: Known<DesiredState>,
): boolean {
  return weights.size === 0 && leaving.size === 0 && sameList(described, held);
}

/** In the same order too. */
function sameList(a: readonly Destination[], b: readonly Destination[]): boolean {
  return a.length === b.length && a.every((destination, i) => sameDestination(destination, b[i] as Destination));
}

export function weightEdit(service: string, destination: Destination, weight: number): Operation {
  const { address, forward, upperThreshold, lowerThreshold } = destination;
  return {
    type: 'destination.edit',
    service,
    destination: { address, forward, weight, upperThreshold, lowerThreshold },
  };
}

/** These spread clients by where a destination stands in the list. */
const ordered: ReadonlySet<string> = new Set(['sh', 'dh']);

/**
 * As it should be now: while it drains, or begins slowly, with another weight. Of one that begins slowly any weight up to
 * that of this moment is right: the next pass raises it.
 */
function effective(
  { host: _, ...described }: DesiredService['destinations'][number],
  service: string,
  known: Known<DesiredState>,
  held: Destination | undefined,
): Destination {
  const key = destinationKeyIn(service, described.address);
  const now = known.leaving.has(key) ? undefined : known.weights.get(key);
  if (now === undefined) return described;
  const most = Math.min(now, described.weight);
  return { ...described, weight: held && held.weight > 0 && held.weight <= most ? held.weight : most };
}

function destinationDifferences(before: Destination, after: Destination): string[] {
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
function cutBy({ destinations }: Pick<VirtualServiceWithDestinations, 'destinations'>): string[] {
  const active = destinations.reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  const inactive = destinations.reduce((sum, { inactiveConnections }) => sum + inactiveConnections, 0);
  return [
    ...(active > 0 ? [`cuts ${active} active connections`] : []),
    // TCP connections that finish count as inactive, and so do all of UDP.
    ...(inactive > 0 ? [`${inactive} inactive connections (finishing, or UDP) lose their packets`] : []),
    'its counters are lost',
  ];
}

function undoServices(before: Configuration, now: Configuration, keys: ReadonlySet<string>): Change<Operation>[] {
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

const UNDONE = 'as it was before';

function byAddress<T extends { readonly address: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.address, item]));
}

function change(
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
