/**
 * A kind of thing that a file can describe and the kernel can hold: services, timeouts, sync daemons, addresses.
 * The engine works on resources and knows no particular one.
 */
import type { IpvsError } from '../base/errors.ts';

/**
 * The order of a plan. Everything that adds capacity comes before everything that takes it away, so
 * that no request in between finds less than it would have found before or after.
 */
export const phases = [
  'prepare',
  'add-service',
  'add-destination',
  'edit',
  'publish',
  'withdraw',
  'drain',
  'remove-destination',
  'remove-service',
] as const;
export type Phase = (typeof phases)[number];

/** From here on a plan only takes away; what is taken away cannot be given back as it was. */
const removing: ReadonlySet<Phase> = new Set(['remove-destination', 'remove-service']);

export function isRemoval({ phase }: Pick<Change, 'phase'>): boolean {
  return removing.has(phase);
}

/** What an undo says of a change, which is all that there is to say. */
export const UNDONE = 'as it was before';
/** What it says of a removal. */
export const WAS_ABSENT = 'was not there before';

/** One step of a plan: an operation, and what a person wants to know of it. */
export interface Change<Operation = unknown> {
  /** The resource's name. */
  readonly resource: string;
  readonly phase: Phase;
  readonly operation: Operation;
  /** "add service" */
  readonly verb: string;
  /** "10.0.0.11:80 of tcp://192.0.2.1:80" */
  readonly subject: string;
  /** What is changed, in one unique word of any resource: "tcp://192.0.2.1:80 10.0.0.11:80". */
  readonly key: string;
  /** What it belongs to: "tcp://192.0.2.1:80". */
  readonly of: string;
  /** What will be different: "weight 1 → 3". */
  readonly detail: string;
  /** `file`: the description changed; `drift`: somebody changed what was applied. */
  readonly cause: 'file' | 'drift';
  /** What it costs, in words; empty if nothing that is there is touched. */
  readonly effects: readonly string[];
  /** What a person can do where it is not made. */
  readonly remedy?: string;
}

export interface ChangeResult {
  readonly change: Change;
  /** Absent if it was done. */
  readonly error?: IpvsError;
}

/** Without its result a change would count as made. */
export function requireEach(results: readonly unknown[], expected: number): void {
  if (results.length !== expected) throw new Error(`${results.length} results for ${expected} changes`);
}

/** Something in the kernel that is not described, and stays. */
export interface Stray {
  readonly resource: string;
  readonly subject: string;
  readonly key: string;
  readonly of: string;
  /** `verb`: by a verb of ours; `foreign`: by somebody else. */
  readonly owner: 'verb' | 'foreign';
}

/** Something that is described and in the kernel, but not ours: it is not touched. */
export interface Conflict {
  readonly resource: string;
  readonly subject: string;
  readonly of: string;
}

export interface Diff<Operation = unknown> {
  readonly changes: readonly Change<Operation>[];
  /** How many objects are as described. */
  readonly unchanged: number;
  readonly conflicts: readonly Conflict[];
  readonly strays: readonly Stray[];
  /** Keys of foreign objects that a service of the file uses as they are: they are released when it leaves. */
  readonly adopted?: readonly string[];
}

/** What tells ours from what is not, and what is on its way. */
export interface Known<Desired> {
  /** What was applied last to this very table; undefined if nothing was. */
  readonly applied: Desired | undefined;
  /** Keys of what verbs made or took over. */
  readonly made: ReadonlySet<string>;
  /** Keys of objects that an apply adopted and did not create: they are released, never deleted. */
  readonly adopted?: ReadonlySet<string>;
  /** Keys of what left the file and is drained: it goes by itself, or stays at weight 0 as was asked for. */
  readonly leaving: ReadonlySet<string>;
  /** Weights that destinations have for now instead of those described, by service and address. */
  readonly weights: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export interface DiffOptions {
  /** Takes over what is described and foreign. */
  readonly adopt?: boolean;
  /** Removes what is not described, whoever made it. */
  readonly prune?: boolean;
  /** Only what belongs to one of these: a resource may spare itself the rest, which does not count. */
  readonly targets?: ReadonlySet<string>;
}

/**
 * `Desired` is the whole desired state, of which a resource takes its part; `Current` is what the kernel holds of this
 * resource, `Configuration` that without counters, and `Packed` that as it is written down.
 */
export interface Resource<Desired, Current extends Configuration, Configuration, Packed, Operation, Context> {
  readonly name: string;
  /** The resource whose changes the kernel follows with changes of this one. */
  readonly follows?: string;
  /** Nothing of it is ours: what cannot be made as it was is told, and nothing is undone for it. */
  readonly isOthers?: true;
  /**
   * What none of the states that it is read for speaks of may be left out; without them nothing is. `earlier`: what was
   * read before is read again.
   */
  read(context: Context, about?: readonly Desired[], earlier?: Configuration): Promise<Current>;
  /** Reads again, where few things have one of the keys only those: the rest is as `before`. */
  reread(context: Context, before: Current, keys: ReadonlySet<string>): Promise<Current>;
  /** What of it is not as a desired state says: all of it, without one. Plain data. Pure. */
  pack(current: Configuration, base: Desired | undefined): Packed;
  /** Whether a value that was kept as JSON is what `pack` gives. Pure. */
  isPacked(value: unknown): value is Packed;
  /** The inverse of `pack`, with the same desired state. Pure. */
  unpack(packed: Packed, base: Desired | undefined): Configuration;
  /** Desired × what is known × kernel. Pure. */
  diff(desired: Desired, known: Known<Desired>, current: Current, options: DiffOptions): Diff<Operation>;
  /** A configuration, with everything that has one of the keys as it is in another one. Pure. */
  overlay(onto: Configuration, over: Configuration, keys: ReadonlySet<string>): Configuration;
  /** The changes that make what has one of the keys as it was before. Pure. */
  undo(before: Configuration, now: Configuration, keys: ReadonlySet<string>): Change<Operation>[];
  /** Those of the changes that are known to be refused, before any is made. */
  check(context: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]>;
  /** In order; a refusal does not stop the rest. */
  apply(context: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]>;
}

/** `overlay` of a resource whose configuration is one value with one key. */
export function overlayWhole<T>(key: string): (onto: T, over: T, keys: ReadonlySet<string>) => T {
  return (onto, over, keys) => (keys.has(key) ? over : onto);
}

/** Any resource: methods take what their own resource gave. */
export type AnyResource<Desired, Context> = Resource<Desired, unknown, unknown, unknown, unknown, Context>;
