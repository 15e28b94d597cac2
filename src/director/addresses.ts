/**
 * Virtual addresses on interfaces, as a resource: those of services that name an `interface`. An address appears when
 * what it leads to is there, and goes before that does.
 */
import type { AddressTable } from '../addresses/address-table.ts';
import { formatInterfaceAddress, type InterfaceAddress } from '../addresses/interface-address.ts';
import { type AddressOperation, describeAddressOperation } from '../addresses/operation.ts';
import { parseServiceAddress } from '../ipvs/address.ts';
import {
  type Change,
  type ChangeResult,
  type Conflict,
  type Diff,
  type DiffOptions,
  type Known,
  type Resource,
  UNDONE,
} from '../plan/resource.ts';
import { type Context, resultsOf } from './context.ts';
import type { DesiredState } from './state.ts';

/** Null where there are no interfaces: in memory. */
type Current = readonly InterfaceAddress[] | null;

export const addressesResource: Resource<DesiredState, Current, Current, Current, AddressOperation, Context> = {
  name: 'addresses',
  read,
  reread: (context) => read(context),
  pack: (current) => current,
  unpack: (packed) => packed,
  diff: diffAddresses,
  overlay(onto, over, keys) {
    if (!onto || !over) return onto;
    const meant = (address: InterfaceAddress) => keys.has(keyOf(address));
    return [...onto.filter((address) => !meant(address)), ...over.filter(meant)];
  },
  undo(before, now, keys) {
    const [was, is] = [byKey(before ?? []), byKey(now ?? [])];
    return [...keys].flatMap((key) => {
      const [old, held] = [was.get(key), is.get(key)];
      if (old && !held) return [change('address.add', old, UNDONE)];
      return held && !old ? [change('address.delete', held, UNDONE)] : [];
    });
  },
  check: async () => [],
  apply: ({ addresses }, changes) => applied(addresses, changes),
};

async function read({ addresses }: Context): Promise<Current> {
  return addresses ? addresses.list() : null;
}

function diffAddresses(
  desired: DesiredState,
  { applied, made }: Known<DesiredState>,
  current: Current,
  { adopt = false, targets }: DiffOptions,
): Diff<AddressOperation> {
  const changes: Change<AddressOperation>[] = [];
  const conflicts: Conflict[] = [];
  let unchanged = 0;
  const held = byKey(current ?? []);
  const [wanted, before] = [
    addressesOf(desired, targets),
    applied ? addressesOf(applied, targets) : new Map<string, never>(),
  ];
  if (current !== null) {
    for (const [key, { address, service }] of wanted) {
      const ours = before.has(key) || made.has(key);
      if (!held.has(key))
        changes.push(change('address.add', address, 'is announced', service, ours ? 'drift' : 'file'));
      else if (ours || adopt) unchanged++;
      else conflicts.push({ resource: 'addresses', subject: formatInterfaceAddress(address), of: service });
    }
    for (const [key, { service }] of before) {
      // As it is there: somebody may have given it another prefix length.
      const address = held.get(key);
      if (address && !wanted.has(key)) changes.push(change('address.delete', address, 'left the file', service));
    }
  }
  return { changes, unchanged, conflicts, strays: [] };
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

/** Whatever its prefix length. */
function keyOf({ interface: name, address }: InterfaceAddress): string {
  return `address ${address} on ${name}`;
}

function byKey(addresses: readonly InterfaceAddress[]): Map<string, InterfaceAddress> {
  return new Map(addresses.map((address) => [keyOf(address), address]));
}

function change(
  type: AddressOperation['type'],
  address: InterfaceAddress,
  detail: string,
  of = keyOf(address),
  cause: Change['cause'] = 'file',
): Change<AddressOperation> {
  const operation = { type, address };
  const [phase, effects] = type === 'address.add' ? (['publish', []] as const) : (['withdraw', WITHDRAWN] as const);
  const names = { ...describeAddressOperation(operation), key: keyOf(address), of };
  return { resource: 'addresses', phase, operation, ...names, detail, cause, effects };
}

const WITHDRAWN: readonly string[] = ['clients of this address reach nothing here any more'];

async function applied(
  addresses: AddressTable | undefined,
  changes: readonly Change<AddressOperation>[],
): Promise<ChangeResult[]> {
  const results = (await addresses?.execute(changes.map(({ operation }) => operation))) ?? [];
  return resultsOf(changes, results, ({ type }, { code }) => type === 'address.delete' && code === 'ADDRESS_NOT_FOUND');
}
