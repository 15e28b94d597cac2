/**
 * Virtual addresses on interfaces, as a resource: those of services that name an `interface`. An address appears when
 * what it leads to is there, and goes before that does.
 */
import type { AddressHost } from '../addresses/address-host.ts';
import { isIpv6, networkOf } from '../addresses/address-list.ts';
import { formatInterfaceAddress, type HeldAddress, type InterfaceAddress } from '../addresses/interface-address.ts';
import { type AddressOperation, describeAddressOperation } from '../addresses/operation.ts';
import {
  type Change,
  type ChangeResult,
  type Conflict,
  type Diff,
  type DiffOptions,
  type Known,
  type Resource,
  type Stray,
  UNDONE,
} from '../engine/resource.ts';
import { parseServiceAddress } from '../net/address.ts';
import { isListOf, isNumber, isRecord } from '../record/shapes.ts';
import { hasTexts, isAbsentOr } from '../state/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { type Context, resultsOf } from './context.ts';

/** Null where there are no interfaces: in memory. */
type Current = readonly HeldAddress[] | null;

export const addressesResource: Resource<DesiredState, Current, Current, Current, AddressOperation, Context> = {
  name: 'addresses',
  read,
  reread: (context) => read(context),
  pack: (current) => current,
  isPacked: (value): value is Current => value === null || isListOf(value, isHeldAddress),
  unpack: (packed) => packed,
  diff: diffAddresses,
  // In the kernel's order, which is that of the primary addresses.
  overlay(onto, over, keys) {
    if (!onto || !over) return onto;
    const meant = (address: InterfaceAddress) => keys.has(keyOf(address));
    const kept = new Set(onto.filter((address) => !meant(address)).map(keyOf));
    const earlier = new Set(over.map(keyOf));
    const newer = onto.filter((address) => kept.has(keyOf(address)) && !earlier.has(keyOf(address)));
    return [...over.filter((address) => meant(address) || kept.has(keyOf(address))), ...newer];
  },
  undo: undoAddresses,
  check: async () => [],
  apply: ({ addresses }, changes) => applied(addresses, changes),
};

function isHeldAddress(value: unknown): boolean {
  if (!hasTexts(value, ['interface', 'address']) || !isNumber(value['prefixLength'])) return false;
  const { lifetime, isSecondary } = value;
  return (isSecondary === undefined || isSecondary === true) && isAbsentOr(isLifetime, lifetime);
}

function isLifetime(value: unknown): boolean {
  return isRecord(value) && isNumber(value['preferredSeconds']) && isNumber(value['validSeconds']);
}

async function read({ addresses }: Context): Promise<Current> {
  return addresses ? addresses.list() : null;
}

/** What goes with a primary comes back with it, and in its order: a primary is added before its secondaries. */
function undoAddresses(before: Current, now: Current, keys: ReadonlySet<string>): Change<AddressOperation>[] {
  const [was, is] = [keysOf(before ?? []), keysOf(now ?? [])];
  const isMeant = (address: HeldAddress) => keys.has(keyOf(address));
  const missing = (before ?? []).filter((address) => !is.has(keyOf(address)));
  const primaries = missing.filter(isMeant);
  const restored = missing.filter(
    (address) => isMeant(address) || (address.isSecondary && primaries.some((each) => isBeside(each, address))),
  );
  const added = (now ?? []).filter((address) => isMeant(address) && !was.has(keyOf(address)));
  return [
    // The kernel puts a new IPv6 address first.
    ...restored.filter((address) => !isIpv6(address)),
    ...restored.filter(isIpv6).toReversed(),
  ]
    .map(({ isSecondary: _, ...address }) => change('address.add', address, UNDONE))
    .concat(added.map(({ isSecondary: _, ...address }) => change('address.delete', address, UNDONE)));
}

function isBeside(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.interface === b.interface && networkOf(a) === networkOf(b);
}

function keysOf(addresses: readonly InterfaceAddress[]): ReadonlySet<string> {
  return new Set(addresses.map(keyOf));
}

/**
 * One address of an interface may be there several times, with different prefix lengths. A service has one of them: that
 * which we created, or one that we adopted.
 */
function diffAddresses(
  desired: DesiredState,
  known: Known<DesiredState>,
  current: Current,
  { adopt = false, targets }: DiffOptions,
): Diff<AddressOperation> {
  const changes: Change<AddressOperation>[] = [];
  const conflicts: Conflict[] = [];
  const strays: Stray[] = [];
  const adopted: string[] = [];
  let unchanged = 0;
  const wanted = addressesOf(desired, targets);
  const before = known.applied ? addressesOf(known.applied, targets) : new Map<string, never>();
  const alike = byPlace(current ?? []);
  const heldLike = (address: InterfaceAddress) => alike.get(placeOf(address)) ?? [];
  const adoptedLike = adoptedBefore(known, before);
  if (current !== null) {
    for (const [key, { address, service }] of wanted) {
      const keys = adoptedLike(address);
      if (targets && !targets.has(service)) {
        adopted.push(...keys);
        continue;
      }
      const held = heldLike(address);
      const same = held.find((each) => keyOf(each) === key);
      const created = keys.length === 0 && before.has(key) ? same : undefined;
      const kept = held.find((each) => keys.includes(keyOf(each)));
      const foreign = same ?? held[0];
      if (created) unchanged++;
      else if (kept || (foreign && adopt)) {
        adopted.push(keyOf(kept ?? (foreign as InterfaceAddress)));
        unchanged++;
      } else if (foreign) {
        conflicts.push({ resource: 'addresses', subject: formatInterfaceAddress(foreign), of: service });
      } else changes.push(change('address.add', address, 'is announced', service, before.has(key) ? 'drift' : 'file'));
    }
    for (const [key, { address, service }] of before) {
      if (wanted.has(key)) continue;
      const held = heldLike(address);
      const keys = adoptedLike(address);
      const kept = held.filter((each) => keys.includes(keyOf(each)));
      strays.push(...kept.map((each) => released(each, service)));
      const created = keys.length === 0 && held.some((each) => keyOf(each) === key);
      if (!created) continue;
      const others = current.filter((each) => each.address === address.address && keyOf(each) !== key);
      changes.push({ ...change('address.delete', address, 'left the file', service), effects: withdrawn(others) });
    }
  }
  return { changes, unchanged, conflicts, strays, ...(adopted.length > 0 && { adopted }) };
}

/** Tells the keys under which an address was adopted; none of one that we created, or that was not applied. */
function adoptedBefore(
  { adopted, made }: Known<DesiredState>,
  before: ReadonlyMap<string, Wanted>,
): (address: InterfaceAddress) => readonly string[] {
  const keys = new Map<string, string[]>();
  for (const key of [...(adopted ?? []), ...made]) {
    const place = placeOfKey(key);
    if (place === undefined) continue;
    keys.set(place, [...(keys.get(place) ?? []), key]);
  }
  return (address) => (before.has(keyOf(address)) && keys.get(placeOf(address))) || [];
}

/** An adopted address whose service leaves: it stays, and is not ours any more. */
function released(address: InterfaceAddress, of: string): Stray {
  return { resource: 'addresses', subject: formatInterfaceAddress(address), key: keyOf(address), of, owner: 'foreign' };
}

export interface Wanted {
  readonly address: InterfaceAddress;
  /** The first service that has it, of those that are meant. */
  readonly service: string;
}

/** By key. */
export function addressesOf({ services }: DesiredState, targets?: ReadonlySet<string>): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const { service, interface: name } of services) {
    if (name === undefined) continue;
    const parsed = parseServiceAddress(service.address);
    if ('fwmark' in parsed) continue;
    const address = { interface: name, address: parsed.ip, prefixLength: parsed.family === 'inet' ? 32 : 128 };
    const first = wanted.get(keyOf(address));
    const isMeant = targets?.has(service.address) === true && targets.has(first?.service ?? '') === false;
    if (!first || isMeant) wanted.set(keyOf(address), { address, service: service.address });
  }
  return wanted;
}

/** "address 192.0.2.10/32 on eth0" */
function keyOf(address: InterfaceAddress): string {
  return `address ${formatInterfaceAddress(address)}`;
}

/** What addresses that differ only in their prefix length have in common. */
function placeOf({ interface: name, address }: InterfaceAddress): string {
  return `${address} on ${name}`;
}

/** The place in a key; undefined for the key of something else. */
function placeOfKey(key: string): string | undefined {
  const [, address, name] = /^address (\S+?)\/\d+ on (\S+)$/.exec(key) ?? [];
  return address === undefined ? undefined : `${address} on ${name}`;
}

function byPlace<A extends InterfaceAddress>(addresses: readonly A[]): Map<string, A[]> {
  const places = new Map<string, A[]>();
  for (const address of addresses) {
    const place = placeOf(address);
    const others = places.get(place);
    if (others) others.push(address);
    else places.set(place, [address]);
  }
  return places;
}

function change(
  type: AddressOperation['type'],
  address: InterfaceAddress,
  detail: string,
  of = keyOf(address),
  cause: Change['cause'] = 'file',
): Change<AddressOperation> {
  const operation = { type, address };
  const phase = type === 'address.add' ? 'publish' : 'withdraw';
  const effects = type === 'address.add' ? [] : withdrawn([]);
  const names = { ...describeAddressOperation(operation), key: keyOf(address), of };
  return { resource: 'addresses', phase, operation, ...names, detail, cause, effects };
}

/** `others`: the same address, where the host has it besides. */
function withdrawn(others: readonly InterfaceAddress[]): readonly string[] {
  if (others.length === 0) return ['clients of this address reach nothing here any more'];
  return [`the host keeps ${others.map(formatInterfaceAddress).join(', ')}`];
}

async function applied(
  addresses: AddressHost | undefined,
  changes: readonly Change<AddressOperation>[],
): Promise<ChangeResult[]> {
  const results = (await addresses?.execute(changes.map(({ operation }) => operation))) ?? [];
  return resultsOf(changes, results, ({ type }, { code }) => type === 'address.delete' && code === 'ADDRESS_NOT_FOUND');
}
