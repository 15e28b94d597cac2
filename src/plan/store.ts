/** The record of one table on disk: ledger, journal, history, and the values that they name. */
import { type Clock, systemClock } from '../clock.ts';
import { IpvsError } from '../errors.ts';
import { hasEarlierTimes, inBootTime, journalInBootTime } from './earlier-times.ts';
import type { Files } from './files.ts';
import { type HistoryEntry, hasProgress, type Journal, type Ledger, type ObjectId } from './ledger.ts';
import type { Outline } from './packed.ts';
import type { Sightings } from './sightings.ts';

const LEDGER = 'ledger.json';
const JOURNAL = 'journal.json';
const HISTORY = 'history';
const OBJECTS = 'objects';
const DRIFT = 'drift.json';
/** There while drains or ramps are in progress: packaging/ipvs-drain.path starts "ipvs drain run --follow" by it. */
const IN_PROGRESS = 'in-progress';
/** Older ones are forgotten. */
const MOST_ENTRIES = 100;
/** Looking for values that nothing names means to read the whole history. */
const SWEEP_EVERY = 20;
/** Values at hand: what was applied last and what is being applied, and tables, which are small. */
const MOST_RECENT = 6;

/** Loaded when a value is: verbs of the command need the ledger alone. */
const packing = () => import('./packed.ts');

/** Only the holder of the table's lock writes, but for sightings: of those the last word counts. */
export class Store {
  readonly #files: Files;
  readonly #now: Clock;
  #hasEarlierTimes = false;
  /** Values never change. Those of earlier releases have no outline. */
  readonly #recent = new Map<ObjectId, { readonly value: unknown; readonly outline?: Outline }>();

  constructor(files: Files, now: Clock = systemClock) {
    this.#files = files;
    this.#now = now;
  }

  /** Beside what the store itself keeps there. */
  get files(): Files {
    return this.#files;
  }

  get place(): string {
    return this.#files.place;
  }

  /** Throws STORE_DAMAGED. */
  ledger(): Ledger | undefined {
    const ledger = this.#record<Ledger>(LEDGER, isLedger);
    if (ledger === undefined) return undefined;
    this.#hasEarlierTimes = hasEarlierTimes(ledger);
    return inBootTime(ledger, this.#now());
  }

  /** Whether the ledger that was read last is of an earlier release: its drains count down once it is written. */
  get hasEarlierTimes(): boolean {
    return this.#hasEarlierTimes;
  }

  writeLedger(ledger: Ledger): void {
    const inProgress = hasProgress(ledger);
    // The marker may be there for nothing, never the other way round.
    if (inProgress) this.markProgress(true);
    this.#files.write(LEDGER, text(ledger));
    this.#hasEarlierTimes = false;
    if (!inProgress) this.markProgress(false);
  }

  /** Without effect where the disk is full: the marker only starts what any later command does as well. */
  markProgress(inProgress: boolean): void {
    if (this.#files.has(IN_PROGRESS) === inProgress) return;
    try {
      if (inProgress) this.#files.write(IN_PROGRESS, '');
      else this.#files.remove(IN_PROGRESS);
    } catch (error) {
      if (!(error instanceof IpvsError && error.code === 'FILE_UNWRITABLE')) throw error;
    }
  }

  /** Throws STORE_DAMAGED. */
  journal(): Journal | undefined {
    const journal = this.#record<Journal>(
      JOURNAL,
      ({ next, before, plan }) => isLedger(next ?? {}) && isObject(next?.applied) && isText(before) && isText(plan),
    );
    return journal && journalInBootTime(journal, this.#now());
  }

  writeJournal(journal: Journal): void {
    this.#files.write(JOURNAL, text(journal));
  }

  removeJournal(): void {
    this.#files.remove(JOURNAL);
  }

  /** What cannot be read was not seen. */
  sightings(): Sightings | undefined {
    try {
      return this.#record<Sightings>(
        DRIFT,
        ({ table, applied, file }) => isText(table) && isSeen(applied) && (!file || isSeen(file.seen)),
      );
    } catch (error) {
      if (error instanceof IpvsError && error.code === 'STORE_DAMAGED') return undefined;
      throw error;
    }
  }

  /** Without effect where the store is not ours to write: whoever only looks may see all the same. */
  writeSightings(sightings: Sightings): void {
    try {
      this.#files.write(DRIFT, text(sightings));
    } catch (error) {
      if (!(error instanceof IpvsError && error.code === 'FILE_UNWRITABLE')) throw error;
    }
  }

  /** The oldest first. Throws STORE_DAMAGED. */
  history(): HistoryEntry[] {
    return this.#files.list(HISTORY).flatMap((name) => {
      const entry = this.#record<HistoryEntry>(`${HISTORY}/${name}`, isEntry);
      return entry ? [entry] : [];
    });
  }

  /** Undefined if it is not kept. Throws STORE_DAMAGED. */
  entry(id: number): HistoryEntry | undefined {
    return this.#record<HistoryEntry>(entryName(id), isEntry);
  }

  /** Forgets the oldest entries over the bound, and the values that nothing names any more. */
  addHistory(entry: HistoryEntry): void {
    this.#files.write(entryName(entry.id), text(entry));
    const names = this.#files.list(HISTORY);
    if (names.length < MOST_ENTRIES + SWEEP_EVERY) return;
    for (const name of names.slice(0, -MOST_ENTRIES)) this.#files.remove(`${HISTORY}/${name}`);
    this.#sweep();
  }

  /** Values that neither ledger, journal nor history name. */
  #sweep(): void {
    const journal = this.journal();
    // What tables are told by the difference to is what had been applied before, or then.
    const named = new Set([
      this.ledger()?.applied?.desired,
      ...(journal ? [journal.before, journal.plan, journal.next.applied.desired] : []),
      ...this.history().flatMap(({ desired, previous, plan, before, after }) => [
        desired,
        previous,
        plan,
        before,
        after,
      ]),
    ]);
    for (const name of this.#files.list(OBJECTS)) {
      const [id = ''] = name.split('.', 1);
      if (!named.has(id)) this.#files.remove(`${OBJECTS}/${name}`);
    }
  }

  /** Has a look at a value that may be kept: others that have much in common with it are then read at little cost. */
  async look(value: unknown): Promise<void> {
    await this.#outlined(value, false);
  }

  /** Keeps a value under a name that follows from it: the same value is kept once. */
  async put(value: unknown): Promise<ObjectId> {
    const outline = await this.#outlined(value, true);
    const name = objectName(outline.name);
    if (!this.#files.has(name)) this.#files.write(name, await (await packing()).packed(outline));
    return outline.name;
  }

  /** Throws STORE_DAMAGED. */
  async get<T>(id: ObjectId): Promise<T> {
    const recent = this.#recent.get(id) ?? this.#remember(id, await this.#read(id));
    return recent.value as T;
  }

  async #outlined(value: unknown, compress: boolean): Promise<Outline> {
    for (const recent of this.#recent.values()) if (recent.value === value && recent.outline) return recent.outline;
    const outline = await (await packing()).outlineOf(value, compress);
    this.#remember(outline.name, { value, outline });
    return outline;
  }

  async #read(id: ObjectId): Promise<{ readonly value: unknown; readonly outline?: Outline }> {
    const { outlined, piecesIn, unpacked, unpackedWhole } = await packing();
    const bytes = this.#files.read(objectName(id));
    const whole = bytes ? undefined : this.#files.read(wholeName(id));
    const name = whole ? wholeName(id) : objectName(id);
    try {
      if (whole) return { value: unpackedWhole(whole, id) };
      if (bytes) {
        const outlines = [...this.#recent.values()].flatMap(({ outline }) => outline ?? []);
        const outline = await unpacked(bytes, piecesIn(outlines));
        if (outline.name === id) return { value: outlined(outline), outline };
      }
    } catch (cause) {
      throw this.#damaged(name, 'it is not what was written', cause);
    }
    throw this.#damaged(name, bytes ? 'it is not what was written' : 'it is missing');
  }

  #remember<T extends { readonly value: unknown }>(id: ObjectId, recent: T): T {
    this.#recent.delete(id);
    this.#recent.set(id, recent);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= MOST_RECENT) break;
      this.#recent.delete(oldest);
    }
    return recent;
  }

  #record<T extends { readonly version: 1 }>(name: string, fits: (value: Partial<T>) => boolean): T | undefined {
    const bytes = this.#files.read(name);
    if (bytes === undefined) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw this.#damaged(name, 'it is no JSON', cause);
    }
    if (!isObject(value)) throw this.#damaged(name, 'it is no object');
    const { version } = value as Partial<T>;
    if (version !== 1) throw this.#damaged(name, `version ${String(version)} is of another release`);
    if (!fits(value as Partial<T>)) throw this.#damaged(name, 'parts of it are missing');
    return value as T;
  }

  #damaged(name: string, detail: string, cause?: unknown): IpvsError {
    return new IpvsError('STORE_DAMAGED', { subject: `${this.place}/${name}`, detail, cause });
  }
}

function objectName(id: ObjectId): string {
  return `${OBJECTS}/${id}.pieces`;
}

/** Of earlier releases. */
function wholeName(id: ObjectId): string {
  return `${OBJECTS}/${id}.json.gz`;
}

function text(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

function isLedger({ table, made, drains, ramps, nextId }: Partial<Ledger>): boolean {
  return isText(table) && isId(nextId) && [made, drains, ramps].every(Array.isArray);
}

/** Sorted as text they are in order. */
function entryName(id: number): string {
  return `${HISTORY}/${String(id).padStart(8, '0')}.json`;
}

function isEntry({ id, at }: Partial<HistoryEntry>): boolean {
  return isId(id) && isText(at);
}

function isSeen(value: unknown): boolean {
  return isObject(value) && Object.values(value as object).every(isText);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function isId(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
