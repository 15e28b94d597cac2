/** Whose a thing of the kernel's table is, and how verbs change that. Pure. */

import type { Known } from '../engine/resource.ts';
import { chainPlaces, placeName } from '../iptables/chain.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import { destinationKeyIn, type Ledger } from '../record/ledger.ts';
import { addressesOf } from '../resources/addresses.ts';
import { chainKey, DEFENSE_KEY, daemonKey, serviceOf, sysctlKey, TIMEOUTS_KEY } from '../resources/keys.ts';
import { ruleKey } from '../resources/rule-keys.ts';
import { wantedRules } from '../resources/wanted-rules.ts';
import type { DesiredState } from '../state/state.ts';

/** `ours`: the file that was applied describes it; `verb`: a verb made it, or took it over; `foreign`: all else. */
export type Owner = 'ours' | 'verb' | 'foreign';

/** Tells the owner of a key: an address, that of a service and a destination's with a blank between, or "sync master". */
export function ownership({ applied, made }: Pick<Known<DesiredState>, 'applied' | 'made'>): (key: string) => Owner {
  const described = describedKeys(applied);
  return (key) => (described.has(key) ? 'ours' : made.has(key) ? 'verb' : 'foreign');
}

/** The keys of everything that a desired state describes. */
export function describedKeys(applied: DesiredState | undefined): ReadonlySet<string> {
  const rules = applied ? wantedRules(applied) : new Map<string, never>();
  return new Set([
    ...(applied?.services.flatMap(({ service: { address }, destinations }) => [
      address,
      ...destinations.map((destination) => destinationKeyIn(address, destination.address)),
    ]) ?? []),
    ...(applied?.sync?.map(({ state }) => daemonKey(state)) ?? []),
    ...(applied?.timeouts ? [TIMEOUTS_KEY] : []),
    ...(rules.size > 0 || applied?.masquerade ? chainPlaces.map((place) => chainKey(placeName(place))) : []),
    ...[...rules.keys()].map(ruleKey),
    ...Object.keys(applied?.sysctls ?? {}).map(sysctlKey),
    ...(applied?.defense ? [DEFENSE_KEY] : []),
    ...(applied ? addressesOf(applied).keys() : []),
  ]);
}

export interface OwnerChange {
  readonly key: string;
  readonly from: Owner;
  readonly to: Owner;
}

/** Which of the keys have another owner afterwards. */
export function ownerChanges(
  keys: Iterable<string>,
  before: (key: string) => Owner,
  after: (key: string) => Owner,
): OwnerChange[] {
  return [...keys].flatMap((key) => {
    const [from, to] = [before(key), after(key)];
    return from === to ? [] : [{ key, from, to }];
  });
}

/** What a verb makes and takes away, as keys. With a service go its destinations. */
export interface Touches {
  readonly makes?: readonly string[];
  readonly takes?: readonly string[] | 'all services';
  /** What it changes in place. */
  readonly edits?: readonly string[];
}

/** The keys of everything that a direct command touches. */
export function touchedKeys({ makes = [], takes = [], edits = [] }: Touches): ReadonlySet<string> | 'all services' {
  return takes === 'all services' ? takes : new Set([...makes, ...takes, ...edits]);
}

/** The ledger after a verb; the same one if it says nothing new. */
export function touched(ledger: Ledger, { makes = [], takes = [] }: Touches): Ledger {
  const gone = (key: string) => {
    if (takes === 'all services') return serviceOf(key) !== undefined;
    return takes.some((taken) => key === taken || serviceOf(key) === taken);
  };
  const there = ({ service, destination }: { readonly service: string; readonly destination: string }) =>
    !gone(destinationKeyIn(service, destination));
  const made = [...new Set([...ledger.made.filter((key) => !gone(key)), ...makes])];
  const [drains, ramps] = [ledger.drains.filter(there), ledger.ramps.filter(there)];
  const same =
    made.length === ledger.made.length &&
    made.every((key, i) => key === ledger.made[i]) &&
    drains.length === ledger.drains.length &&
    ramps.length === ledger.ramps.length;
  return same ? ledger : { ...ledger, made, drains, ramps };
}

/** The keys of services, and of their destinations, that are nobody's of ours. */
export function foreignKeys(services: Snapshot['services'], ownerOf: (key: string) => Owner): string[] {
  return services
    .flatMap(({ address, destinations }) => [
      address,
      ...destinations.map((destination) => destinationKeyIn(address, destination.address)),
    ])
    .filter((key) => ownerOf(key) === 'foreign');
}

/** The services that the ledger knows as ours, by address. */
export function ownServices({ applied, made }: Pick<Known<DesiredState>, 'applied' | 'made'>): Set<string> {
  return new Set([
    ...(applied?.services.map(({ service }) => service.address) ?? []),
    ...[...made].flatMap((key) => serviceOf(key) ?? []),
  ]);
}
