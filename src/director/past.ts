/** The history, with what its entries name; and the way back from one of them. */
import { IpvsError } from '../errors.ts';
import type { HistoryEntry, Source } from '../plan/ledger.ts';
import { type PackedChanges, type PastChange, unpackChanges } from '../plan/packed-changes.ts';
import type { Store } from '../plan/store.ts';
import { type Engine, tablesOf } from '../plan/transaction.ts';
import type { Context } from './context.ts';
import { type DesiredState, NOTHING_DESIRED } from './state.ts';
import { undoTarget } from './undo-target.ts';

/** An entry of the history, with what it names. */
export interface PastApply {
  readonly entry: HistoryEntry;
  /** What it did, or was to do; in the order of the plan. */
  readonly changes: readonly PastChange[];
  /** What had been applied before; null if nothing had. */
  readonly previous: DesiredState | null;
  /** Which entry had applied that; null if it is not kept. */
  readonly previousEntry: number | null;
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
  return {
    entry,
    changes: unpackChanges(await store.get<PackedChanges>(entry.plan)),
    previous: entry.previous === null ? null : await store.get<DesiredState>(entry.previous),
    previousEntry: appliedBefore(store, entry)?.id ?? null,
    desired: await store.get<DesiredState>(entry.desired),
  };
}

export interface WayBack {
  /** What had been applied before, and what the entry's plan removed besides. */
  readonly desired: DesiredState;
  /** Of what had been applied before. */
  readonly source: Source;
  /** Of the entry. */
  readonly id: number;
}

/** Of the last entry that was applied, if none is named. Throws NO_SUCH_ENTRY. */
export async function wayBack(engine: Engine<DesiredState, Context>, id?: number): Promise<WayBack> {
  const { store } = engine;
  const entry = id === undefined ? store.lastApplied() : entryOf(store, id);
  if (entry === undefined) throw new IpvsError('NO_SUCH_ENTRY', { operation: 'undo', detail: 'nothing was applied' });
  if (entry.outcome === 'undone')
    throw new IpvsError('NO_SUCH_ENTRY', { operation: 'undo', subject: String(id), detail: 'it was undone at once' });
  const { changes, previous } = await pastApply(store, entry);
  const desired = undoTarget(previous ?? NOTHING_DESIRED, changes, await tablesOf(engine, entry.before));
  const { files, hosts } = appliedBefore(store, entry) ?? { files: [], hosts: {} };
  return { desired, source: { files, hosts }, id: entry.id };
}

/** The entry that applied what had been applied before; undefined if it is not kept. */
function appliedBefore(store: Store, { id, previous }: HistoryEntry): HistoryEntry | undefined {
  return store
    .history()
    .findLast((entry) => entry.id < id && entry.outcome === 'applied' && entry.desired === previous);
}
