/** The history, with what its entries name; and the way back from one of them. */
import { IpvsError } from '../base/errors.ts';
import { changesShape, type PastChange, unpackChanges } from '../engine/packed-changes.ts';
import type { Tables } from '../engine/plan.ts';
import { configurations, type Engine, overlaid, tablesOf } from '../engine/transaction.ts';
import { destinationKeyIn, type HistoryEntry, type Ledger, type Owners, type Source } from '../record/ledger.ts';
import { ownersShape } from '../record/shapes.ts';
import type { Store } from '../record/store.ts';
import type { Context } from '../resources/context.ts';
import type { KeptRoute } from '../resources/routes.ts';
import { nameOfRuleKey } from '../resources/rule-keys.ts';
import type { Configuration, ConfiguredService } from '../resources/services/configuration.ts';
import { sysctlsIn } from '../resources/sysctls.ts';
import { type DesiredState, desiredShape, NOTHING_DESIRED } from '../state/state.ts';
import { describedKeys } from './ownership.ts';

/** An entry of the history, with what it names. */
export interface PastApply extends PastStates {
  readonly entry: HistoryEntry;
  /** Which entry had applied `previous`; null if it is not kept. */
  readonly previousEntry: number | null;
}

interface PastStates {
  /** What it did, or was to do; in the order of the plan. */
  readonly changes: readonly PastChange[];
  /** What had been applied before; null if nothing had. */
  readonly previous: DesiredState | null;
  /** What it applied. */
  readonly desired: DesiredState;
}

/** Throws NO_SUCH_ENTRY. */
export function entryOf(store: Store, id: number): HistoryEntry {
  const entry = store.entry(id);
  if (entry === undefined) throw new IpvsError('NO_SUCH_ENTRY', { subject: String(id) });
  return entry;
}

export async function pastApply(store: Store, entry: HistoryEntry): Promise<PastApply> {
  return { entry, previousEntry: appliedBefore(store, entry)?.id ?? null, ...(await pastStates(store, entry)) };
}

async function pastStates(store: Store, { plan, previous, desired }: HistoryEntry): Promise<PastStates> {
  return {
    changes: unpackChanges(await store.get(plan, changesShape)),
    previous: previous === null ? null : await store.get(previous, desiredShape),
    desired: await store.get(desired, desiredShape),
  };
}

/** A point in the history to which an undo leads. */
export interface UndoPoint {
  readonly id: number;
  /** Before the entry, or after it. */
  readonly side: 'before' | 'after';
}

/** How an undo gets there. */
export interface WayBack {
  readonly point: UndoPoint;
  /** What is restored: everything that the entries changed or described. */
  readonly keys: ReadonlySet<string>;
  /** The tables to which it leads: as they are now, with everything that has one of the keys as it was. */
  readonly targetFrom: (now: Tables) => Tables;
  /** The same with everything as the entries left it. */
  readonly leftFrom: (now: Tables) => Tables;
  /** What is read of tables beside what the states are about: routes that went with an address. */
  readonly kept: Tables;
  /** The owners at that point. */
  readonly owners: Owners;
  /** What had been applied at that point. */
  readonly desired: DesiredState;
  readonly source: Source;
  /** Desired states of the entries: they say which settings and chains are read. */
  readonly about: readonly DesiredState[];
}

/** The entry that an undo is about if none is named. After a reboot it is not the recovery. Throws NO_SUCH_ENTRY. */
export function lastUndoable(store: Store): HistoryEntry {
  const entry = store.lastApplied(({ command }) => command !== 'recover');
  if (entry === undefined) throw new IpvsError('NO_SUCH_ENTRY', { operation: 'undo', detail: 'nothing was applied' });
  return entry;
}

/** Throws NO_SUCH_ENTRY, STORE_DAMAGED. */
export async function wayBack(
  engine: Engine<DesiredState, Context>,
  point: UndoPoint,
  ledger: Ledger,
): Promise<WayBack> {
  const { store, resources } = engine;
  const entry = entryOf(store, point.id);
  if (entry.outcome === 'undone') {
    const about = { operation: 'undo', subject: String(point.id) };
    throw new IpvsError('NO_SUCH_ENTRY', { ...about, detail: 'it was undone at once' });
  }
  const later = store.history().filter(({ id, outcome }) => id > entry.id && outcome !== 'undone');
  const damaged = store.damagedEntries().find(({ id }) => id > entry.id);
  // What it changed could not be restored.
  if (damaged !== undefined) throw damaged.error;
  const stretches: Stretch[] = [await stretchOf(engine, entry, point.side)];
  for (const each of later) stretches.push(await stretchOf(engine, each, 'before'));
  const [first] = point.side === 'before' ? [entry] : later;
  const owners = first === undefined ? ledger : await ownersBefore(store, first, ledger);
  const desired = owners.applied ? await store.get(owners.applied.desired, desiredShape) : NOTHING_DESIRED;
  const { files = [], hosts = {} } = owners.applied ?? {};
  const routes = stretches.flatMap(({ target }) => (target['routes'] ?? []) as KeptRoute[]);
  return {
    point,
    keys: new Set(stretches.flatMap(({ keys }) => [...keys])),
    // The earliest stretch has the last word.
    targetFrom: (now) =>
      stretches.reduceRight(
        (tables, { target, keys }) => overlaid(resources, tables, target, keys),
        configurations(resources, now),
      ),
    // And here the latest.
    leftFrom: (now) =>
      stretches.reduce(
        (tables, { after, keys }) => overlaid(resources, tables, after, keys),
        configurations(resources, now),
      ),
    kept: routes.length > 0 ? { routes } : {},
    owners,
    desired,
    source: { files, hosts },
    about: stretches.flatMap(({ about }) => about),
  };
}

/** What one entry adds to a way back. */
interface Stretch {
  readonly keys: ReadonlySet<string>;
  readonly target: Tables;
  readonly after: Tables;
  readonly about: readonly DesiredState[];
}

async function stretchOf(
  engine: Engine<DesiredState, Context>,
  entry: HistoryEntry,
  side: UndoPoint['side'],
): Promise<Stretch> {
  const { changes, previous, desired } = await pastStates(engine.store, entry);
  const [before, after] = [await tablesOf(engine, entry.before), await tablesOf(engine, entry.after)];
  const named = [...changes.map(({ key }) => key), ...(entry.touched ?? describedKeys(desired))];
  return {
    keys: new Set([...named, ...destinationsWith(named, before, after)]),
    target: side === 'before' ? before : after,
    after,
    about: [desired, ...(previous ? [previous] : []), stateAbout(entry.touched ?? [])],
  };
}

/** A state that speaks of the settings and the rules among these keys. */
function stateAbout(keys: readonly string[]): DesiredState {
  const hasRules = keys.some((key) => nameOfRuleKey(key) !== undefined);
  return {
    services: [],
    sysctls: Object.fromEntries(sysctlsIn(new Set(keys))),
    ...(hasRules && { masquerade: [] }),
  };
}

/** The keys of destinations that came or went with their service, which is all that a plan or a command names. */
function destinationsWith(keys: readonly string[], ...tables: readonly [before: Tables, after: Tables]): string[] {
  const [before, after] = tables.map((each) => servicesByKey(each)) as [ServicesByKey, ServicesByKey];
  return keys.flatMap((key) => {
    const [was, is] = [before.get(key), after.get(key)];
    if ((was === undefined) === (is === undefined)) return [];
    return (was ?? is)?.destinations.map(({ address }) => destinationKeyIn(key, address)) ?? [];
  });
}

type ServicesByKey = ReadonlyMap<string, ConfiguredService>;

function servicesByKey(tables: Tables): ServicesByKey {
  const held = tables['services'] as Configuration | undefined;
  return new Map(held?.services.map((service) => [service.address, service]));
}

async function ownersBefore(store: Store, entry: HistoryEntry, { made, table }: Ledger): Promise<Owners> {
  if (entry.owners !== undefined) {
    const owners = await store.get(entry.owners, ownersShape);
    // Drains and ramps of another boot are over.
    return entry.table === table ? owners : { ...owners, drains: [], ramps: [] };
  }
  // An entry of an earlier release says only what had been applied.
  if (entry.previous === null) return { applied: null, made, drains: [], ramps: [] };
  const before = appliedBefore(store, entry) ?? { ...entry, files: [], hosts: {} };
  const { id, at, files, hosts } = before;
  const applied = { id, table: before.table, at, desired: entry.previous, files, hosts };
  return { applied, made, drains: [], ramps: [] };
}

/** The entry that applied what had been applied before; undefined if it is not kept. */
function appliedBefore(store: Store, { id, previous }: HistoryEntry): HistoryEntry | undefined {
  return store
    .history()
    .findLast((entry) => entry.id < id && entry.outcome === 'applied' && entry.desired === previous && !entry.touched);
}
