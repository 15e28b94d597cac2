/** What a ledger becomes when a plan is carried out. Pure. */

import type { Change } from '../engine/resource.ts';
import { formatMatch } from '../iptables/rules/masquerade.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import {
  type Applied,
  type DestinationOf,
  type Drain,
  keyOf,
  type Ledger,
  type Owners,
  type Ramp,
} from '../record/ledger.ts';
import { daemonKey, masqueradeKey, serviceOf } from '../resources/keys.ts';
import { type DesiredService, type DesiredState, servicesByAddress } from '../state/state.ts';
import { heldCount } from '../weights/drain-rule.ts';

export function nextLedger(
  ledger: Ledger,
  applied: Applied,
  desired: DesiredState,
  changes: readonly Change[],
  before: Snapshot,
  adopted: readonly string[] = [],
): Ledger & { readonly applied: Applied } {
  const described = describedKeys(desired);
  const own = (changes as readonly Change<Operation>[]).filter(({ resource }) => resource === 'services');
  const deletions = (changes as readonly Change<{ readonly type: string }>[]).filter(({ operation }) =>
    operation.type.endsWith('.delete'),
  );
  const deleted = new Set(deletions.map(({ key }) => key));
  const gone = (key: string) => deleted.has(key) || deleted.has(serviceOf(key) ?? '');
  const services = servicesByAddress(desired);
  // Hardly anything is drained, or begins slowly, of what may be tens of thousands of changes.
  const slow = own.filter(({ operation, of }) => operation.type === 'destination.add' && services.get(of)?.ramp);
  const added = new Set(
    slow.length === 0 ? [] : own.filter(({ operation }) => operation.type === 'service.add').map(({ key }) => key),
  );
  const startedBootMs = applied.bootMs ?? 0;
  const begun = own
    .filter(({ phase }) => phase === 'drain')
    .flatMap((change) => drainOf(change, services, before, startedBootMs));
  const begunKeys = new Set(begun.map(keyOf));
  return {
    ...ledger,
    applied,
    // What is described is ours by the file.
    made: ledger.made.filter((key) => !described(key) && !gone(key)),
    adopted,
    drains: [
      ...ledger.drains.filter((drain) => {
        const key = keyOf(drain);
        return !gone(key) && !begunKeys.has(key) && !(drain.by === 'apply' && described(key));
      }),
      ...begun.map((drain) => again(drain, ledger.drains)),
    ],
    ramps: [
      ...ledger.ramps.flatMap((ramp) => {
        const destination = described(keyOf(ramp));
        return destination && !gone(keyOf(ramp)) ? [{ ...ramp, weight: destination.weight }] : [];
      }),
      ...slow.flatMap((change) => rampOf(change, services, added, startedBootMs)),
    ],
    nextId: applied.id + 1,
  };
}

/** After an undo: the owners are those of then, and so is what was in progress of everything that has one of the keys. */
export function restoredLedger(ledger: Ledger, owners: Owners, keys: ReadonlySet<string>, nextId: number): Ledger {
  const { applied, made, adopted = [] } = owners;
  const restored = <T extends DestinationOf>(now: readonly T[], then: readonly T[]): T[] => [
    ...now.filter((each) => !keys.has(keyOf(each))),
    ...then.filter((each) => keys.has(keyOf(each))),
  ];
  return {
    ...ledger,
    applied: applied && { ...applied, table: ledger.table },
    made,
    adopted,
    drains: restored(ledger.drains, owners.drains),
    ramps: restored(ledger.ramps, owners.ramps),
    nextId,
  };
}

/** The destination of a key, or for the key of a service anything, if it is described. */
function describedKeys(desired: DesiredState): (key: string) => { readonly weight: number } | undefined {
  const services = servicesByAddress(desired);
  const { sync = [], masquerade = [] } = desired;
  const others = new Set([
    ...sync.map(({ state }) => daemonKey(state)),
    ...masquerade.map((rule) => masqueradeKey(formatMatch(rule))),
  ]);
  return (key) => {
    if (others.has(key)) return { weight: 0 };
    const [service = '', destination] = key.split(' ');
    const destinations = services.get(service)?.destinations;
    if (destination === undefined) return destinations && { weight: 0 };
    return destinations?.find(({ address }) => address === destination);
  };
}

/** One that drained already had its weight before that. */
function again(drain: Drain, before: readonly Drain[]): Drain {
  const earlier = before.find((each) => keyOf(each) === keyOf(drain));
  return earlier && drain.weight === 0 ? { ...drain, weight: earlier.weight } : drain;
}

function drainOf(
  { phase, operation }: Change<Operation>,
  services: ReadonlyMap<string, DesiredService>,
  before: Snapshot,
  startedBootMs: number,
): Drain[] {
  if (phase !== 'drain' || operation.type !== 'destination.edit') return [];
  const { service, destination } = operation;
  const settings = services.get(service)?.drain;
  if (settings === undefined) return [];
  const { timeoutSeconds, afterwards } = settings;
  const { address } = destination;
  const holder = before.services.find((each) => each.address === service);
  const found = holder?.destinations.find((each) => each.address === address);
  const weight = found?.weight ?? 0;
  const heldFirst = found && { heldFirst: heldCount(found, service, holder?.persistence !== null) };
  const deadlineBootMs = startedBootMs + timeoutSeconds * 1000;
  return [
    { service, destination: address, startedBootMs, deadlineBootMs, afterwards, weight, by: 'apply', ...heldFirst },
  ];
}

/** A destination that comes to those that are there begins slowly; those of a new service begin alike. */
function rampOf(
  { operation }: Change<Operation>,
  services: ReadonlyMap<string, DesiredService>,
  added: ReadonlySet<string>,
  startedBootMs: number,
): Ramp[] {
  if (operation.type !== 'destination.add') return [];
  const { service, destination } = operation;
  const entry = services.get(service);
  if (entry?.ramp === undefined || added.has(service)) return [];
  const { address } = destination;
  const { weight } = entry.destinations.find((each) => each.address === address) ?? destination;
  return [{ service, destination: address, startedBootMs, ...entry.ramp, weight }];
}
