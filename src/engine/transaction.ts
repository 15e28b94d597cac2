/**
 * A plan as a transaction. The kernel has none, so: a journal on disk before the first change, a second dump after the
 * last, and whatever goes wrong in between is undone in reverse, by comparing the table with what it was. What a crash
 * left is finished where only removals were left to do, and undone otherwise.
 */
import { IpvsError, OTHER_WRITER } from '../base/errors.ts';
import {
  type Applied,
  type Author,
  type HistoryEntry,
  type Journal,
  type Ledger,
  ledgerFor,
  type ObjectId,
  ownersOf,
  type PackedTables,
} from '../record/ledger.ts';
import { ownersShape, type Shape } from '../record/shapes.ts';
import type { Store } from '../record/store.ts';
import { knownAt } from './known.ts';
import { changesShape, type PastChange, packChanges, unpackChanges } from './packed-changes.ts';
import { tablesShape } from './packed-tables.ts';
import { onlyRemovals, type Plan, planOf, type Tables, undoPlan } from './plan.ts';
import { type AnyResource, type Change, type ChangeResult, type Known, requireEach } from './resource.ts';

export interface Engine<Desired, Context> {
  readonly resources: readonly AnyResource<Desired, Context>[];
  readonly context: Context;
  readonly store: Store;
  /** Which table it is, over reboots. */
  readonly table: string;
  readonly desired: Shape<Desired>;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** The change made last. */
  readonly change: Change;
}

export interface RunOptions {
  /** Ends the work between two changes; what was done is undone. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface Failure extends ChangeResult {
  readonly error: IpvsError;
}

export interface ApplyResult {
  /** `undone`: as it was before; `mixed`: it could not be undone whole. */
  readonly outcome: 'applied' | 'undone' | 'mixed';
  /** Number of the entry in the history; undefined where nothing was tried. */
  readonly id?: number;
  readonly done: readonly Change[];
  readonly failed: readonly Failure[];
  /** Not tried, because something before them failed. */
  readonly skipped: readonly Change[];
  /** What took back what was done. */
  readonly undone: readonly Change[];
  /** What could not be taken back; after an undo that was applied, of what is nobody's of ours. */
  readonly stuck: readonly Failure[];
}

export interface Transaction<Desired> {
  readonly desired: Desired;
  readonly plan: Pick<Plan, 'changes'>;
  /** The tables that the plan was made from. */
  readonly before: Tables;
  readonly ledger: Ledger;
  /** What the ledger will be when all is done. */
  readonly next: Ledger;
  /** What the history will say of it. */
  readonly entry: Applied;
  readonly command: string;
  readonly by: Author;
  /** Of an undo: the tables to which it leads. Default: those that `desired` describes. */
  readonly target?: Tables;
  /** Desired states that say, beside `desired` and what was applied, which settings and chains are read. */
  readonly about?: readonly Desired[];
}

/** How many changes go to the kernel between two looks at the signal. */
const SLICE = 2048;

/** Under the table's lock, with no journal left. Refusals are returned, not thrown. */
export async function transact<Desired, Context>(
  engine: Engine<Desired, Context>,
  {
    desired,
    plan: { changes },
    before,
    ledger,
    next,
    entry,
    command,
    by,
    target,
    about: more = [],
  }: Transaction<Desired>,
  options: RunOptions = {},
): Promise<ApplyResult> {
  const { store } = engine;
  const refused = await foreseen(engine, changes);
  if (refused.length > 0) return untouched(changes, refused);
  const known = await knownWhile(engine, ledger, next, entry);
  const about = [...(await statesOf(engine, ledger, desired)), ...more];
  const journal: Journal = {
    version: 1,
    command,
    by,
    next,
    entry,
    before: await putTables(engine, before, ledger),
    plan: await store.put(packChanges(changes), changesShape),
    owners: await store.put(ownersOf(ledger), ownersShape),
    ...(target && { target: await putTables(engine, target, ledger) }),
    ...(more.length > 0 && { about: await putAll(engine, more) }),
  };
  store.writeJournal(journal);
  const run = await makeChanges(engine, changes, options);
  const keys = keysOf(changes);
  const left = target ? leftTo(engine, target, keys) : leftOf(engine, desired, known, changes, keys);
  const look = () => rereadTables(engine, { before, changes, keys });
  const { failed, stuck, now } = await verified(engine, run, left, look, keys);
  if (now !== undefined && failed.length === 0) {
    await commit(engine, journal, ledger, changes.length, { outcome: 'applied', after: now, ...errorOf(stuck) });
    return { ...run, failed, outcome: 'applied', id: entry.id, undone: [], stuck };
  }
  const undo = await undone(engine, before, keys, about);
  await commit(engine, journal, ledger, changes.length, { ...undo, ...errorOf(failed) });
  const failedKeys = keysOf(failed.map(({ change }) => change));
  const done = run.done.filter(({ key }) => !failedKeys.has(key));
  return { ...run, done, failed, outcome: undo.outcome, id: entry.id, undone: undo.done, stuck: undo.stuck };
}

function errorOf(failures: readonly Failure[]): { readonly error?: string } {
  return failures.length === 0 ? {} : { error: failures.map(({ error }) => error.message).join('; ') };
}

/** Ends what the journal says: the ledger is written, and from then on it is over. */
async function commit<Desired, Context>(
  engine: Engine<Desired, Context>,
  journal: Journal,
  previous: Ledger,
  changes: number,
  end: { readonly outcome: HistoryEntry['outcome']; readonly after: Tables; readonly error?: string },
): Promise<void> {
  const { store } = engine;
  const { outcome, error } = end;
  const { next, command, by, before, plan, owners } = journal;
  const ledger = outcome === 'applied' ? next : { ...previous, nextId: next.nextId };
  const entry = { version: 1, ...entryOf(journal), by, command, outcome, changes, plan, before } as const;
  try {
    store.addHistory({
      ...entry,
      previous: previous.applied?.desired ?? null,
      after: await putTables(engine, end.after, ledger),
      ...(owners !== undefined && { owners }),
      ...(error !== undefined && { error }),
    });
    store.writeLedger(ledger);
    store.removeJournal();
  } catch (cause) {
    if (!(cause instanceof IpvsError)) throw cause;
    const { code, subject, errno } = cause;
    const detail = `${outcomeWords[outcome]}, and the record of it is not written`;
    const hint = 'mend that; then the next command, or "ipvs recover", ends it';
    throw new IpvsError(code, { ...(subject && { subject }), ...(errno && { errno }), detail, hint, cause });
  }
}

const outcomeWords: Readonly<Record<HistoryEntry['outcome'], string>> = {
  applied: 'the table is as it should be',
  undone: 'the table is as it was',
  mixed: 'some of the table could not be restored',
};

function untouched(changes: readonly Change[], failed: readonly Failure[]): ApplyResult {
  const refused = new Set(failed.map(({ change }) => change));
  const skipped = changes.filter((change) => !refused.has(change));
  return { outcome: 'undone', done: [], failed, skipped, undone: [], stuck: [] };
}

export interface Recovery {
  readonly journal: Journal;
  /**
   * `finished`: only removals were left to do; `undone`: it is as before; `mixed`: not all could be undone; `committed`:
   * all was done; `dropped`: it was of a table that is gone, of another boot or another namespace of the same name.
   */
  readonly outcome: 'finished' | 'undone' | 'mixed' | 'committed' | 'dropped';
  readonly done: readonly Change[];
  readonly stuck: readonly Failure[];
}

/** Under the table's lock: deals with what a crash left, if it left something. */
export async function recover<Desired, Context>(engine: Engine<Desired, Context>): Promise<Recovery | undefined> {
  const { store, table } = engine;
  const journal = store.journal();
  if (journal === undefined) return undefined;
  const { next } = journal;
  const ledger = ledgerFor(table, store.ledger());
  const nothing = { journal, done: [], stuck: [] };
  if (next.table !== table || ledger.nextId === next.nextId) {
    store.removeJournal();
    return { ...nothing, outcome: next.table === table ? 'committed' : 'dropped' };
  }
  const changes = unpackChanges(await store.get(journal.plan, changesShape));
  const entry = entryOf(journal);
  const desired = await store.get(entry.desired, engine.desired);
  const keys = keysOf(changes);
  const target = journal.target === undefined ? undefined : await tablesOf(engine, journal.target);
  const left = target
    ? leftTo(engine, target, keys)
    : leftOf(engine, desired, await knownWhile(engine, ledger, next, entry), changes, keys);
  const more = await Promise.all((journal.about ?? []).map((id) => store.get(id, engine.desired)));
  const about = [...(await statesOf(engine, ledger, desired)), ...more];
  const look = () => readTables(engine, about, target);
  const rest = left(await look());
  if (onlyRemovals(rest.filter((change) => !resourceOf(engine.resources, change).isOthers))) {
    const run = await makeChanges(engine, rest, {});
    const { failed, stuck, now } = await verified(engine, run, left, look, keys);
    if (now !== undefined && failed.length === 0) {
      await commit(engine, journal, ledger, changes.length, { outcome: 'applied', after: now, ...errorOf(stuck) });
      return { ...nothing, outcome: 'finished', done: run.done, stuck };
    }
  }
  const undo = await undone(engine, await tablesOf(engine, journal.before), keys, about);
  await commit(engine, journal, ledger, changes.length, { ...undo, error: 'it was interrupted' });
  return { journal, ...undo };
}

/** What the history will say of it. */
export function entryOf({ entry, next }: Journal): Applied {
  const { applied } = next;
  if (entry ?? applied) return (entry ?? applied) as Applied;
  throw new TypeError('a journal without an entry is refused when it is read');
}

async function putAll<Desired, Context>(
  { store, desired }: Engine<Desired, Context>,
  states: readonly Desired[],
): Promise<ObjectId[]> {
  const ids: ObjectId[] = [];
  for (const state of states) ids.push(await store.put(state, desired));
  return ids;
}

/** Keeps tables; what is as was applied to them is not written out again. */
async function putTables<Desired, Context>(
  engine: Engine<Desired, Context>,
  tables: Tables,
  ledger: Ledger,
): Promise<ObjectId> {
  const { resources, store } = engine;
  const base = await appliedTo(engine, ledger);
  const packed = resources.map(({ name, pack }) => [name, pack(tables[name], base)] as const);
  const kept: PackedTables = {
    base: base ? (ledger.applied?.desired ?? null) : null,
    tables: Object.fromEntries(packed),
  };
  return store.put(kept, tablesShape(resources));
}

/** Tables that were kept: of a direct command, those that it touched. Throws STORE_DAMAGED. */
export async function tablesOf<Desired, Context>(
  { resources, store, desired: shape }: Pick<Engine<Desired, Context>, 'resources' | 'store' | 'desired'>,
  id: ObjectId,
): Promise<Tables> {
  const { base, tables } = await store.get(id, tablesShape(resources));
  const desired = base === null ? undefined : await store.get(base, shape);
  const kept = resources.filter(({ name }) => Object.hasOwn(tables, name));
  return Object.fromEntries(kept.map(({ name, unpack }) => [name, unpack(tables[name], desired)]));
}

/** What counts as known while changes are made: ours by what was applied before, on its way by what is beginning. */
async function knownWhile<Desired, Context>(
  engine: Engine<Desired, Context>,
  ledger: Ledger,
  next: Ledger,
  { bootMs = 0 }: Applied,
): Promise<Known<Desired>> {
  const applied = await appliedTo(engine, ledger);
  return knownAt({ ...ledger, drains: next.drains, ramps: next.ramps }, applied, bootMs);
}

/** What was applied last to the ledger's table; undefined if that was another. */
export async function appliedTo<Desired>(
  { store, desired }: Pick<Engine<Desired, unknown>, 'store' | 'desired'>,
  { applied, table }: Ledger,
): Promise<Desired | undefined> {
  return applied?.table === table ? await store.get(applied.desired, desired) : undefined;
}

/** What an apply is about: what is wanted, and what was. */
async function statesOf<Desired, Context>(
  engine: Engine<Desired, Context>,
  ledger: Ledger,
  desired: Desired,
): Promise<Desired[]> {
  const applied = await appliedTo(engine, ledger);
  return applied === undefined ? [desired] : [desired, applied];
}

/** What tables leave to do of changes: nothing, once they were made. */
function leftOf<Desired, Context>(
  { resources }: Engine<Desired, Context>,
  desired: Desired,
  known: Known<Desired>,
  changes: readonly PastChange[],
  keys: ReadonlySet<string>,
): (now: Tables) => readonly Change[] {
  const options = { adopt: true, prune: true, targets: new Set(changes.map(({ of }) => of)) };
  return (now) => planOf(resources, desired, known, now, options).changes.filter(({ key }) => keys.has(key));
}

/** What tables leave to do of an undo. */
function leftTo<Desired, Context>(
  { resources }: Engine<Desired, Context>,
  target: Tables,
  keys: ReadonlySet<string>,
): (now: Tables) => readonly Change[] {
  return (now) => undoPlan(resources, target, now, keys);
}

/** A configuration of all tables, with everything that has one of the keys as it is in another one. */
export function overlaid<Desired, Context>(
  resources: readonly AnyResource<Desired, Context>[],
  onto: Tables,
  over: Tables,
  keys: ReadonlySet<string>,
): Tables {
  return Object.fromEntries(
    resources.map(({ name, overlay }) => [name, name in over ? overlay(onto[name], over[name], keys) : onto[name]]),
  );
}

function keysOf(changes: readonly PastChange[]): ReadonlySet<string> {
  return new Set(changes.map(({ key }) => key));
}

/** All of them, or what one of these states speaks of, and what was read earlier. */
export async function readTables<Desired, Context>(
  { resources, context }: Pick<Engine<Desired, Context>, 'resources' | 'context'>,
  about?: readonly Desired[],
  earlier: Tables = {},
): Promise<Tables> {
  const tables: Record<string, unknown> = {};
  for (const { name, read } of resources) tables[name] = await read(context, about, earlier[name]);
  return tables;
}

interface Made {
  readonly before: Tables;
  readonly changes: readonly Change[];
  /** Theirs. */
  readonly keys: ReadonlySet<string>;
}

/** What was changed, once more; of what no change belongs to there is nothing new, unless it could not be read before. */
async function rereadTables<Desired, Context>(
  { resources, context }: Engine<Desired, Context>,
  { before, changes, keys }: Made,
): Promise<Tables> {
  const changed = new Set(changes.map(({ resource }) => resource));
  const tables: Record<string, unknown> = {};
  for (const { name, follows = name, reread } of resources) {
    const old = before[name];
    const isTouched = changed.has(name) || changed.has(follows) || old === null;
    tables[name] = isTouched ? await reread(context, old, keys) : old;
  }
  return tables;
}

/** Without counters. */
export function configurations<Desired, Context>(
  resources: readonly AnyResource<Desired, Context>[],
  tables: Tables,
): Tables {
  const configuration = ({ name, pack, unpack }: AnyResource<Desired, Context>) =>
    unpack(pack(tables[name], undefined), undefined);
  return Object.fromEntries(resources.map((resource) => [resource.name, configuration(resource)]));
}

interface Run {
  readonly done: readonly Change[];
  readonly failed: readonly Failure[];
  readonly skipped: readonly Change[];
  /** Refusals that end nothing: of what is nobody's of ours. */
  readonly stuck: readonly Failure[];
}

async function foreseen<Desired, Context>(
  { resources, context }: Engine<Desired, Context>,
  changes: readonly Change[],
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const change of changes) resourceOf(resources, change);
  for (const resource of resources) {
    const own = changes.filter((change) => change.resource === resource.name);
    if (own.length === 0) continue;
    for (const { change, error } of await resource.check(context, own)) if (error) failures.push({ change, error });
  }
  return failures;
}

/**
 * In order, up to the first refusal: what serves traffic is not taken away when its replacement did not come.
 * With `goOn` refusals do not end it.
 */
async function makeChanges<Desired, Context>(
  { resources, context }: Engine<Desired, Context>,
  changes: readonly Change[],
  { signal, onProgress, goOn = false }: RunOptions & { readonly goOn?: boolean },
): Promise<Run> {
  const done: Change[] = [];
  const failed: Failure[] = [];
  const skipped: Change[] = [];
  const stuck: Failure[] = [];
  for (const part of parts(changes)) {
    const [first, ...rest] = part as [Change, ...Change[]];
    if (failed.length === 0 && signal?.aborted) {
      failed.push({ change: first, error: new IpvsError('ABORTED') });
      skipped.push(...rest);
      continue;
    }
    if (failed.length > 0 && !goOn) {
      skipped.push(...part);
      continue;
    }
    const resource = resourceOf(resources, first);
    const results = await resource.apply(context, part).catch((error: unknown) => allFailed(part, error));
    requireEach(results, part.length);
    for (const { change, error } of results) {
      if (error) (resource.isOthers ? stuck : failed).push({ change, error });
      else done.push(change);
    }
    onProgress?.({ done: done.length, total: changes.length, change: part.at(-1) as Change });
  }
  return { done, failed, skipped, stuck };
}

function resourceOf<Desired, Context>(
  resources: readonly AnyResource<Desired, Context>[],
  { resource: name }: Change,
): AnyResource<Desired, Context> {
  const resource = resources.find((each) => each.name === name);
  if (resource === undefined) throw new Error(`there is no resource ${name}`);
  return resource;
}

/** The way to the kernel broke: what became of each is found out by looking. */
function allFailed(changes: readonly Change[], error: unknown): Failure[] {
  if (!(error instanceof IpvsError)) throw error;
  return changes.map((change) => ({ change, error: error.with({ operation: change.verb, subject: change.subject }) }));
}

/** Of changes in the order of a plan, those of one phase and one resource, not too many of them. */
function* parts(changes: readonly Change[]): Generator<readonly Change[]> {
  let part: Change[] = [];
  for (const change of changes) {
    const [first] = part;
    if (first && (part.length === SLICE || first.phase !== change.phase || first.resource !== change.resource)) {
      yield part;
      part = [];
    }
    part.push(change);
  }
  if (part.length > 0) yield part;
}

/** Looks at the tables, if nothing was refused; what is not as it was planned counts as refused. */
async function verified<Desired, Context>(
  engine: Engine<Desired, Context>,
  { done, failed, stuck }: Run,
  left: (now: Tables) => readonly Change[],
  look: () => Promise<Tables>,
  keys: ReadonlySet<string>,
): Promise<{ failed: readonly Failure[]; stuck: readonly Failure[]; now?: Tables }> {
  if (failed.length > 0) return { failed, stuck };
  try {
    const now = await look();
    const differences = await failuresOf(left(now), stuck, () => writerHint(engine, now, look, keys));
    const isOthers = ({ change }: Failure) => resourceOf(engine.resources, change).isOthers === true;
    return { failed: differences.filter((each) => !isOthers(each)), stuck: differences.filter(isOthers), now };
  } catch (error) {
    return { failed: allFailed(done.slice(0, 1), error), stuck };
  }
}

/** What is still to do, each with what it was refused with, or else not verified. */
async function failuresOf(
  left: readonly Change[],
  refused: readonly Failure[],
  writer: () => Promise<string | undefined>,
): Promise<Failure[]> {
  const errors = new Map(refused.map(({ change, error }) => [change.key, error]));
  const hint = left.some(({ key }) => !errors.has(key)) ? await writer() : undefined;
  return left.map((change) => ({ change, error: errors.get(change.key) ?? notVerified(change, hint) }));
}

/** Names another program as the cause of differences only if one more look, with no change of ours in between, differs. */
async function writerHint<Desired, Context>(
  { resources }: Engine<Desired, Context>,
  now: Tables,
  look: () => Promise<Tables>,
  keys: ReadonlySet<string>,
): Promise<string | undefined> {
  try {
    return undoPlan(resources, now, await look(), keys).length > 0 ? OTHER_WRITER : undefined;
  } catch (error) {
    if (error instanceof IpvsError) return undefined;
    throw error;
  }
}

function notVerified({ verb, subject, detail, remedy }: Change, writer: string | undefined): IpvsError {
  const hint = [writer, remedy].filter((each) => each !== undefined).join('; ');
  return new IpvsError('NOT_VERIFIED', { operation: verb, subject, detail, ...(hint !== '' && { hint }) });
}

interface Undo {
  readonly outcome: 'undone' | 'mixed';
  readonly done: readonly Change[];
  readonly stuck: readonly Failure[];
  readonly after: Tables;
}

/** Makes everything with one of the keys as it was, as far as that can be done. */
async function undone<Desired, Context>(
  engine: Engine<Desired, Context>,
  before: Tables,
  keys: ReadonlySet<string>,
  about: readonly Desired[],
): Promise<Undo> {
  const look = () => readTables(engine, about, before);
  const changes = undoPlan(engine.resources, before, await look(), keys);
  const run = await makeChanges(engine, changes, { goOn: true });
  const { done } = run;
  const after = await look();
  const left = undoPlan(engine.resources, before, after, keys);
  const refused = [...run.failed, ...run.stuck];
  const stuck = await failuresOf(left, refused, () => writerHint(engine, after, look, keys));
  return { outcome: stuck.length > 0 ? 'mixed' : 'undone', done, stuck, after };
}
