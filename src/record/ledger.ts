/** What is remembered of one table: what was applied to it, by whom, and what is ours. Plain data, written as JSON. */

import type { HeldSetting } from '../sysctl/held-setting.ts';

/** The name of a value in the store. */
export type ObjectId = string;

export interface Ledger {
  readonly version: 1;
  /** Which table `made`, `drains` and `ramps` are about: another boot, or another namespace of the same name, has another. */
  readonly table: string;
  readonly applied: Applied | null;
  /** Keys of what verbs made, or took over. */
  readonly made: readonly string[];
  /** Keys of objects that the last apply adopted: foreign ones that its file describes. They are never deleted. */
  readonly adopted?: readonly string[];
  readonly drains: readonly Drain[];
  /** Drains that are over and hold no weight, for those who ask how they ended. The latest last. */
  readonly ended?: readonly EndedDrain[];
  readonly ramps: readonly Ramp[];
  /**
   * Settings of the kernel that are changed for a moment, by name. Written before they are changed. A number is the original
   * value, of an earlier release.
   */
  readonly changedSysctls?: Readonly<Record<string, HeldSetting | number>>;
  /** Of the next apply. */
  readonly nextId: number;
}

/** A destination in its service, by their keys. */
export interface DestinationOf {
  readonly service: string;
  readonly destination: string;
}

/** As plans and ledgers name it; the key of a service is its address. */
export function destinationKeyIn(service: string, destination: string): string {
  return `${service} ${destination}`;
}

export function keyOf({ service, destination }: DestinationOf): string {
  return destinationKeyIn(service, destination);
}

/** A destination that takes no new connections, until those that it has are over. */
export interface Drain extends DestinationOf {
  /** Boot times (`Moment.bootMs`), as of everything here that has a deadline: they hold for the ledger's table alone. */
  readonly startedBootMs: number;
  readonly deadlineBootMs: number;
  /** What happens when it is over. */
  readonly afterwards: 'delete' | 'keep';
  /** The weight that it had. */
  readonly weight: number;
  /** How much it held when it began, for people; absent where that was not counted. */
  readonly heldFirst?: number;
  /** Set when it is cancelled: the next pass restores this weight and forgets the drain. */
  readonly restoreWeight?: number;
  /** By an apply, because it left the file; or by a verb. */
  readonly by: 'apply' | 'verb';
  /** Of one that is over and holds the weight at 0 until it is cancelled. */
  readonly ended?: DrainEnd;
}

export interface EndedDrain extends Drain {
  readonly ended: DrainEnd;
}

export interface DrainEnd {
  readonly bootMs: number;
  /** `drained`: nothing was held any more; `deadline`: something was; `gone`: somebody took the destination away. */
  readonly how: 'drained' | 'deadline' | 'gone';
  /** What was held then. */
  readonly held: Held;
  /** Services whose connections to destinations that are gone were ended with it. */
  readonly alsoEnded?: readonly string[];
  /** What could not be done at the end. */
  readonly problem?: string;
}

/** What a destination still has, of what its drain waits for. */
export interface Held {
  /** Established connections. */
  readonly active: number;
  /** Connections that open or close: the kernel forgets each when no packet came for its state's timeout. */
  readonly inactive: number;
  /** Of UDP, which knows no end: each is forgotten when no packet came for the timeout. */
  readonly entries: number;
  /** Clients that persistence pins to it. */
  readonly templates: number;
}

/** A destination whose weight grows from a share of it to the whole. */
export interface Ramp extends DestinationOf {
  readonly startedBootMs: number;
  readonly durationSeconds: number;
  /** The share to begin with: 0 to 1. */
  readonly floor: number;
  readonly curve: 'linear' | 'exponential';
  /** The whole. */
  readonly weight: number;
}

/** What was applied last, complete. */
export interface Applied extends Source {
  readonly id: number;
  /** To which table. */
  readonly table: string;
  /** ISO 8601, for people. */
  readonly at: string;
  /** The same moment in boot time: drains and ramps that it began count from it. Absent in entries of earlier releases. */
  readonly bootMs?: number;
  readonly desired: ObjectId;
}

/** Where a desired state came from. */
export interface Source {
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  /** What host names were resolved to. */
  readonly hosts: Readonly<Record<string, readonly string[]>>;
}

export interface Author {
  readonly user: string;
  readonly uid: number;
}

/** Who owns what, and what is in progress, at a moment. */
export type Owners = Pick<Ledger, 'applied' | 'made' | 'adopted' | 'drains' | 'ramps'>;

export function ownersOf({ applied, made, adopted = [], drains, ramps }: Ledger): Owners {
  return { applied, made, adopted, drains, ramps };
}

/** Written before the first change of an apply, and removed after its last. */
export interface Journal {
  readonly version: 1;
  readonly command: string;
  readonly by: Author;
  /** What the ledger will be when all is done. */
  readonly next: Ledger;
  /** What the history will say of it. Absent in journals of earlier releases: `next.applied`. */
  readonly entry?: Applied;
  /** The owners before (`Owners`). */
  readonly owners?: ObjectId;
  /** Of an undo: the tables to which it leads (`PackedTables`). Otherwise the desired state of `entry` says that. */
  readonly target?: ObjectId;
  /** Desired states that say, beside those of the ledger, what of the tables is read. */
  readonly about?: readonly ObjectId[];
  /** The tables as they were (`PackedTables`). */
  readonly before: ObjectId;
  /** The changes (`PackedChanges`). */
  readonly plan: ObjectId;
}

/** Tables by resource: what of them was not as a desired state says. */
export interface PackedTables {
  /** That desired state; null if everything is written out. */
  readonly base: ObjectId | null;
  readonly tables: Readonly<Record<string, unknown>>;
}

export const outcomes = ['applied', 'undone', 'mixed'] as const;

export interface HistoryEntry extends Applied {
  readonly version: 1;
  readonly by: Author;
  /** "apply", "undo 3", "recover". */
  readonly command: string;
  /** `mixed`: some of it could not be undone. */
  readonly outcome: (typeof outcomes)[number];
  /** How many changes it was to make. */
  readonly changes: number;
  /** What had been applied before; null if nothing had. */
  readonly previous: ObjectId | null;
  /** The changes (`PackedChanges`). */
  readonly plan: ObjectId;
  /** The tables (`PackedTables`). */
  readonly before: ObjectId;
  readonly after: ObjectId;
  /** The owners before (`Owners`). Absent in entries of earlier releases. */
  readonly owners?: ObjectId;
  /** Of a direct command: the keys of everything that it touched, and nothing else is in `before` and `after`. */
  readonly touched?: readonly string[];
  /** Why it was not applied. */
  readonly error?: string;
}

/**
 * What is remembered of this table. Of another one (of an earlier boot, of another namespace of the same name) only what
 * should be is: nothing in this table is ours, as somebody else may have made it since.
 */
export function ledgerFor(table: string, ledger: Ledger | undefined): Ledger {
  if (ledger?.table === table) return ledger;
  const { applied = null, nextId = 1 } = ledger ?? {};
  return { version: 1, table, applied, made: [], drains: [], ramps: [], nextId };
}

/** Whether something of it goes on by itself, or was left undone: who holds the lock carries it on. */
export function isUnderWay({ drains, ramps, changedSysctls }: Ledger): boolean {
  return hasProgress({ drains, ramps }) || changedSysctls !== undefined;
}

/** Whether drains or ramps are in progress. */
export function hasProgress({ drains, ramps }: Pick<Ledger, 'drains' | 'ramps'>): boolean {
  return drains.some(isInProgress) || ramps.length > 0;
}

/** Whether a pass has something to do for it, now or later. */
export function isInProgress({ ended, restoreWeight }: Drain): boolean {
  return ended === undefined || restoreWeight !== undefined;
}
