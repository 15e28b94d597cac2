/**
 * A kind of thing that a file can describe and the kernel can hold: services today; timeouts, sync
 * daemons, addresses, sysctls and masquerade rules later. The engine works on resources and knows no
 * particular one.
 */

/**
 * The order of a plan. Everything that adds capacity comes before everything that takes it away, so
 * that no request in between finds less than it would have found before or after.
 */
export const phases = [
  'prepare',
  'add-service',
  'add-destination',
  'edit',
  'remove-destination',
  'remove-service',
] as const;
export type Phase = (typeof phases)[number];

/** One step of a plan: an operation, and what a person wants to know of it. */
export interface Change<Operation = unknown> {
  /** The resource's name. */
  readonly resource: string;
  readonly phase: Phase;
  readonly operation: Operation;
  /** "add service" */
  readonly verb: string;
  /** "tcp://192.0.2.1:80" */
  readonly subject: string;
  /** What will be different: "weight 1 → 3". */
  readonly detail: string;
  /** What it costs, in words; empty if nothing that is there is touched. */
  readonly effects: readonly string[];
}

export interface ChangeResult {
  readonly change: Change;
  /** Absent if it was done. */
  readonly error?: Error;
}

export interface Resource<Desired, Current, Operation, Context> {
  readonly name: string;
  read(context: Context): Promise<Current>;
  /** Pure. */
  diff(desired: Desired, current: Current): { changes: Change<Operation>[]; unchanged: number };
  /** Those of the changes that are known to be refused, before any is made. */
  check(context: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]>;
  /** In order; a refusal does not stop the rest. */
  apply(context: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]>;
}
