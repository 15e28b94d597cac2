/** The record of one table on disk: ledger, journal, history, and the values that they name. */
import { type Clock, systemClock } from '../base/clock.ts';
import { IpvsError } from '../base/errors.ts';
import { hasEarlierTimes, inBootTime, journalInBootTime } from './earlier-times.ts';
import { type Files, isUnfinished } from './files.ts';
import { type HistoryEntry, hasProgress, type Journal, type Ledger, type ObjectId } from './ledger.ts';
import type { Outline } from './packed.ts';
import { isEntry, isJournal, isLedger, isObjectId, isRecord, isSightings, type Shape } from './shapes.ts';
import type { Sightings } from './sightings.ts';

const LEDGER = 'ledger.json';
const JOURNAL = 'journal.json';
const HISTORY = 'history';
const OBJECTS = 'objects';
const DRIFT = 'drift.json';
/** There while drains or ramps are in progress: packaging/ipvs-drain.path starts "ipvs drain run --follow" by it. */
const IN_PROGRESS = 'in-progress';
/** How many entries of each kind are kept. An undo needs all later ones, so of each kind it is the newest, without a gap. */
const MOST_APPLIES = 100;
const MOST_DIRECT = 500;
/** Looking for values that nothing names means to read the whole history. */
const SWEEP_EVERY = 20;
/** Values at hand: what was applied last and what is being applied, and tables, which are small. */
const MOST_RECENT = 6;

/** An entry of the history that cannot be read. */
export interface DamagedEntry {
  readonly id: number;
  /** STORE_DAMAGED: its subject is the file, and its hint says what to do. */
  readonly error: IpvsError;
}

/** A value at hand. Those of earlier releases have no outline. */
interface Recent {
  readonly value: unknown;
  readonly outline?: Outline;
  /** Those that it is known to have. */
  readonly shapes: Set<unknown>;
}

/** Loaded when a value is: verbs of the command need the ledger alone. */
const packing = () => import('./packed.ts');

/** Only the holder of the table's lock writes, but for sightings: of those the last word counts. */
export class Store {
  readonly #files: Files;
  readonly #now: Clock;
  #hasEarlierTimes = false;
  /** Values never change. */
  readonly #recent = new Map<ObjectId, Recent>();

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
    const ledger = this.#record(LEDGER, isLedger);
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
    this.#tidy('', (name) => name === LEDGER || name === JOURNAL);
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
    const journal = this.#record(JOURNAL, isJournal);
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
      return this.#record(DRIFT, isSightings);
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

  /** Those that can be read, the oldest first. Throws STORE_UNSAFE. */
  history(): HistoryEntry[] {
    return this.#entries().whole;
  }

  /** The others, the oldest first. */
  damagedEntries(): DamagedEntry[] {
    return this.#entries().damaged;
  }

  /** The newest that was applied. Throws STORE_DAMAGED if a newer one cannot be read, which may have been applied. */
  lastApplied(counts: (entry: HistoryEntry) => boolean = () => true): HistoryEntry | undefined {
    const { whole, damaged } = this.#entries();
    const last = whole.findLast((entry) => entry.outcome === 'applied' && counts(entry));
    const newer = damaged.findLast(({ id }) => id > (last?.id ?? 0));
    if (newer === undefined) return last;
    const { subject = '', detail = '', errno, cause } = newer.error;
    const named = last && `name the entry that is meant, such as ${last.id}; or `;
    const hint = `${named ?? ''}repair ${subject}, or move it away`;
    throw new IpvsError('STORE_DAMAGED', { subject, detail, errno, hint, cause });
  }

  /** Undefined if it is not kept. Throws STORE_DAMAGED, FILE_UNREADABLE. */
  entry(id: number): HistoryEntry | undefined {
    const entry = this.#record(entryName(id), isEntry, entryHint);
    if (entry && entry.id !== id)
      throw this.#damaged(entryName(id), `it is that of entry ${entry.id}`, { hint: entryHint });
    return entry;
  }

  /**
   * The number of the next entry. A process that died after it wrote an entry, and before the ledger, leaves one that the
   * ledger does not count: it is kept.
   */
  nextId({ nextId }: Pick<Ledger, 'nextId'>): number {
    return Math.max(nextId, (this.#entryIds().at(-1) ?? 0) + 1);
  }

  /** Forgets the oldest entries over the bounds, and the values that nothing names any more. */
  addHistory(entry: HistoryEntry): void {
    this.#files.write(entryName(entry.id), text(entry));
    this.#tidy(HISTORY, isEntryFile);
    this.#tidy(OBJECTS, isObjectFile);
    if (entry.id % SWEEP_EVERY !== 0) return;
    const forgotten = this.#forgotten();
    for (const id of forgotten) this.#files.remove(entryName(id));
    if (forgotten.length > 0) this.#sweep();
  }

  /** The first entry, from the newest on, that is one of its kind too many; and all before it. */
  #forgotten(): number[] {
    const ids = this.#entryIds();
    if (ids.length <= MOST_APPLIES) return [];
    const direct = new Set(this.history().flatMap(({ id, touched }) => (touched ? [id] : [])));
    const left = { applies: MOST_APPLIES, direct: MOST_DIRECT };
    const last = ids.findLastIndex((id) => left[direct.has(id) ? 'direct' : 'applies']-- === 0);
    return ids.slice(0, last + 1);
  }

  /** The oldest first. */
  #entryIds(): number[] {
    const names = this.#files.list(HISTORY).filter(isEntryFile);
    return names.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
  }

  /** Values that neither ledger, journal nor history name; while an entry is damaged, all stay that it may name. */
  #sweep(): void {
    const { whole, damaged } = this.#entries();
    if (damaged.length > 0) return;
    const journal = this.journal();
    // What tables are told by the difference to is what had been applied before, or then.
    const named = new Set([
      this.ledger()?.applied?.desired,
      ...(journal ? [journal.before, journal.plan, journal.owners, journal.target, ...(journal.about ?? [])] : []),
      ...(journal ? [journal.next.applied?.desired, journal.entry?.desired] : []),
      ...whole.flatMap(({ desired, previous, plan, before, after, owners }) => {
        return [desired, previous, plan, before, after, owners];
      }),
    ]);
    for (const name of this.#files.list(OBJECTS).filter(isObjectFile)) {
      const [id = ''] = name.split('.', 1);
      if (!named.has(id)) this.#files.remove(`${OBJECTS}/${name}`);
    }
  }

  /** Removes what a process that died was writing. Only for files that the holder of the table's lock alone writes. */
  #tidy(folder: string, isFile: (name: string) => boolean): void {
    for (const name of this.#files.list(folder))
      if (isUnfinished(name, isFile)) this.#files.remove(folder === '' ? name : `${folder}/${name}`);
  }

  #unreadable(id: number, { errno, cause }: IpvsError): IpvsError {
    const subject = `${this.place}/${entryName(id)}`;
    const detail = 'it cannot be read';
    return new IpvsError('STORE_DAMAGED', { subject, detail, errno, hint: entryHint(subject), cause });
  }

  #entries(): { readonly whole: HistoryEntry[]; readonly damaged: DamagedEntry[] } {
    const whole: HistoryEntry[] = [];
    const damaged: DamagedEntry[] = [];
    for (const id of this.#entryIds()) {
      try {
        whole.push(...[this.entry(id)].flatMap((entry) => entry ?? []));
      } catch (error) {
        if (!(error instanceof IpvsError) || error.code === 'STORE_UNSAFE') throw error;
        damaged.push({ id, error: error.code === 'STORE_DAMAGED' ? error : this.#unreadable(id, error) });
      }
    }
    return { whole, damaged };
  }

  /** Has a look at a value that may be kept: others that have much in common with it are then read at little cost. */
  async look<T>(value: T, shape: Shape<T>): Promise<void> {
    await this.#outlined(value, shape, false);
  }

  /** Keeps a value under a name that follows from it: the same value is kept once. */
  async put<T>(value: T, shape: Shape<T>): Promise<ObjectId> {
    const outline = await this.#outlined(value, shape, true);
    const name = objectName(outline.name);
    if (!this.#files.has(name)) this.#files.write(name, await (await packing()).packed(outline));
    return outline.name;
  }

  /** Throws STORE_DAMAGED, also for a value of another shape: each is checked once. */
  async get<T>(id: ObjectId, shape: Shape<T>): Promise<T> {
    const recent = this.#remember(id, this.#recent.get(id) ?? { ...(await this.#read(id)), shapes: new Set() });
    const { value, shapes } = recent;
    if (!shapes.has(shape) && !shape.fits(value)) throw this.#damagedValue(id, `it is no ${shape.name}`);
    shapes.add(shape);
    return value as T;
  }

  async #outlined<T>(value: T, shape: Shape<T>, compress: boolean): Promise<Outline> {
    for (const { value: known, outline, shapes } of this.#recent.values()) {
      if (known !== value || outline === undefined) continue;
      shapes.add(shape);
      return outline;
    }
    const outline = await (await packing()).outlineOf(value, compress);
    this.#remember(outline.name, { value, outline, shapes: new Set([shape]) });
    return outline;
  }

  async #read(id: ObjectId): Promise<Omit<Recent, 'shapes'>> {
    const { outlined, piecesIn, unpacked, unpackedWhole } = await packing();
    const bytes = this.#files.read(objectName(id));
    const whole = bytes ? undefined : this.#files.read(wholeName(id));
    try {
      if (whole) return { value: unpackedWhole(whole, id) };
      if (bytes) {
        const outlines = [...this.#recent.values()].flatMap(({ outline }) => outline ?? []);
        const outline = await unpacked(bytes, piecesIn(outlines));
        if (outline.name === id) return { value: outlined(outline), outline };
      }
    } catch (cause) {
      throw this.#damagedValue(id, 'it is not what was written', cause);
    }
    throw this.#damagedValue(id, bytes ? 'it is not what was written' : 'it is missing');
  }

  #damagedValue(id: ObjectId, detail: string, cause?: unknown): IpvsError {
    const name = [wholeName(id)].find((each) => this.#files.has(each)) ?? objectName(id);
    return this.#damaged(name, detail, { cause, hint: valueHint });
  }

  #remember(id: ObjectId, recent: Recent): Recent {
    this.#recent.delete(id);
    this.#recent.set(id, recent);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= MOST_RECENT) break;
      this.#recent.delete(oldest);
    }
    return recent;
  }

  #record<T>(name: string, fits: (value: unknown) => value is T, hint?: (path: string) => string): T | undefined {
    const bytes = this.#files.read(name);
    if (bytes === undefined) return undefined;
    const damaged = (detail: string, cause?: unknown) => this.#damaged(name, detail, { cause, hint });
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch (cause) {
      throw damaged('it is no JSON', cause);
    }
    if (!isRecord(value)) throw damaged('it is no object');
    const { version } = value;
    if (version !== 1) throw damaged(`version ${String(version)} is of another release`);
    if (!fits(value)) throw damaged('parts of it are missing, or of another type');
    return value;
  }

  #damaged(
    name: string,
    detail: string,
    { cause, hint }: { cause?: unknown; hint?: ((path: string) => string) | undefined } = {},
  ): IpvsError {
    const subject = `${this.place}/${name}`;
    return new IpvsError('STORE_DAMAGED', { subject, detail, cause, ...(hint && { hint: hint(subject) }) });
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

/** Up to 99,999,999 they are in order as text, for people. */
function entryName(id: number): string {
  return `${HISTORY}/${String(id).padStart(8, '0')}.json`;
}

function isEntryFile(name: string): boolean {
  return /^\d{8,15}\.json$/.test(name);
}

function entryHint(path: string): string {
  return `the other entries do not need it: repair ${path}, or move it away`;
}

function valueHint(path: string): string {
  return `restore ${path} from a copy; or move the folder of the record away: then nothing is ours, and "ipvs apply --adopt" begins anew`;
}

function isObjectFile(name: string): boolean {
  const [, id] = /^(.*)\.(?:pieces|json\.gz)$/.exec(name) ?? [];
  return isObjectId(id);
}
