/** A direct command as an entry of the history: what it changed, and who owned it before. */

import { changesShape, packChanges } from '../engine/packed-changes.ts';
import { tablesShape } from '../engine/packed-tables.ts';
import { inPhases, type Tables } from '../engine/plan.ts';
import { type Change, isRemoval } from '../engine/resource.ts';
import { type Author, destinationKeyIn, type Ledger, ownersOf, type PackedTables } from '../record/ledger.ts';
import { ownersShape } from '../record/shapes.ts';
import type { Store } from '../record/store.ts';
import { resources } from '../resources/all.ts';
import type { Configuration } from '../resources/services/configuration.ts';
import { desiredShape, NOTHING_DESIRED } from '../state/state.ts';

export interface DirectCommand {
  readonly command: string;
  readonly by: Author;
  /** ISO 8601. */
  readonly at: string;
  /** The keys of everything that it touched. */
  readonly keys: ReadonlySet<string>;
  /** Configurations, of the resources that the keys are of. */
  readonly before: Tables;
  readonly after: Tables;
  /** As it was before. */
  readonly ledger: Ledger;
}

/** Adds the entry; returns the number of the next one. Throws FILE_UNWRITABLE. */
export async function addDirectEntry(store: Store, direct: DirectCommand): Promise<number> {
  const { command, by, at, keys, before, after, ledger } = direct;
  const { applied } = ledger;
  const id = store.nextId(ledger);
  const changes = changesBetween(before, after, keys);
  store.addHistory({
    version: 1,
    id,
    table: ledger.table,
    at,
    desired: applied?.desired ?? (await store.put(NOTHING_DESIRED, desiredShape)),
    files: [],
    hosts: {},
    by,
    command,
    outcome: 'applied',
    changes: changes.length,
    previous: applied?.desired ?? null,
    plan: await store.put(packChanges(changes), changesShape),
    before: await putPart(store, before),
    after: await putPart(store, after),
    owners: await store.put(ownersOf(ledger), ownersShape),
    touched: [...keys],
  });
  return id + 1;
}

/** What leads from one part of the tables to the other. */
export function changesBetween(before: Tables, after: Tables, keys: ReadonlySet<string>): Change[] {
  const changes = resources.flatMap(({ name, undo }) => (name in before ? undo(after[name], before[name], keys) : []));
  return inPhases(changes.map((change) => (isRemoval(change) ? { ...change, detail: '' } : change)));
}

/** The keys of all services and destinations in a part of the tables. */
export function serviceKeysIn(tables: Tables): Set<string> {
  const { services } = tables['services'] as Configuration;
  return new Set(
    services.flatMap(({ address, destinations }) => [
      address,
      ...destinations.map((destination) => destinationKeyIn(address, destination.address)),
    ]),
  );
}

function putPart(store: Store, tables: Tables) {
  const packed = resources.flatMap(({ name, pack }) => (name in tables ? [[name, pack(tables[name], undefined)]] : []));
  const part: PackedTables = { base: null, tables: Object.fromEntries(packed) };
  return store.put(part, tablesShape(resources));
}
