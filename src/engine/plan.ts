/** The engine's decisions: from the diffs of resources to one ordered plan. Pure. */
import {
  type AnyResource,
  type Change,
  type Conflict,
  type Diff,
  type DiffOptions,
  isRemoval,
  type Known,
  phases,
  type Stray,
} from './resource.ts';

export interface Plan {
  /** In the order in which they will be made. */
  readonly changes: readonly Change[];
  /** How many objects are as they should be. */
  readonly unchanged: number;
  /** With one of these a plan is not carried out. */
  readonly conflicts: readonly Conflict[];
  /** What is not described, and stays. */
  readonly strays: readonly Stray[];
  /** Keys of foreign objects that are ours to use while they are described, and not ours to delete. */
  readonly adopted?: readonly string[];
}

/** What the kernel holds, by resource. */
export type Tables = Readonly<Record<string, unknown>>;

export function planOf<Desired, Context>(
  resources: readonly AnyResource<Desired, Context>[],
  desired: Desired,
  known: Known<Desired>,
  current: Tables,
  options: DiffOptions = {},
): Plan {
  const { targets } = options;
  const diffs = resources.map((resource) => resource.diff(desired, known, current[resource.name], options));
  return ordered(targets ? diffs.map((diff) => targeted(diff, targets)) : diffs);
}

function targeted(diff: Diff, targets: ReadonlySet<string>): Diff {
  const meant = ({ of }: { readonly of: string }) => targets.has(of);
  return {
    changes: diff.changes.filter(meant),
    unchanged: diff.unchanged,
    conflicts: diff.conflicts.filter(meant),
    strays: diff.strays.filter(meant),
    ...(diff.adopted && { adopted: diff.adopted }),
  };
}

/** By phase; inside a phase they keep their order. */
function ordered(diffs: readonly Diff[]): Plan {
  const adopted = diffs.flatMap((diff) => diff.adopted ?? []);
  return {
    changes: inPhases(diffs.flatMap(({ changes }) => changes)),
    unchanged: diffs.reduce((sum, { unchanged }) => sum + unchanged, 0),
    conflicts: diffs.flatMap(({ conflicts }) => conflicts),
    strays: diffs.flatMap(({ strays }) => strays),
    ...(adopted.length > 0 && { adopted }),
  };
}

export function inPhases(changes: readonly Change[]): Change[] {
  const byPhase = new Map(phases.map((phase) => [phase, [] as Change[]]));
  for (const change of changes) byPhase.get(change.phase)?.push(change);
  return [...byPhase.values()].flat();
}

/** The changes that make everything with one of the keys as it was. */
export function undoPlan<Desired, Context>(
  resources: readonly AnyResource<Desired, Context>[],
  before: Tables,
  now: Tables,
  keys: ReadonlySet<string>,
): Change[] {
  return inPhases(resources.flatMap((resource) => resource.undo(before[resource.name], now[resource.name], keys)));
}

/** Whether the same would be done: a plan that was shown is carried out only as it was shown. */
export function samePlan(a: Pick<Plan, 'changes'>, b: Pick<Plan, 'changes'>): boolean {
  if (a.changes.length !== b.changes.length) return false;
  return a.changes.every((change, i) => {
    const other = b.changes[i] as Change;
    return (
      change.key === other.key &&
      change.detail === other.detail &&
      JSON.stringify(change.operation) === JSON.stringify(other.operation)
    );
  });
}

/** What has not been done of a plan is only taking away. */
export function onlyRemovals(changes: readonly Change[]): boolean {
  return changes.every(isRemoval);
}
