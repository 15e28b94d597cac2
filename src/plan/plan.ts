/** The engine: from the diffs of resources to one ordered plan, and from a plan to the kernel. */
import { type Change, type ChangeResult, phases } from './resource.ts';

export interface Plan {
  /** In the order in which they will be made. */
  readonly changes: readonly Change[];
  /** How many objects are as they should be. */
  readonly unchanged: number;
}

/** Orders changes by phase; inside a phase they keep their order. Pure. */
export function planOf(diffs: readonly { changes: readonly Change[]; unchanged: number }[]): Plan {
  const changes = diffs.flatMap((diff) => diff.changes);
  return {
    changes: phases.flatMap((phase) => changes.filter((change) => change.phase === phase)),
    unchanged: diffs.reduce((sum, diff) => sum + diff.unchanged, 0),
  };
}

export interface ApplyResult {
  readonly done: readonly Change[];
  readonly failed: readonly (ChangeResult & { readonly error: Error })[];
  /** Not tried, because something before them failed. */
  readonly skipped: readonly Change[];
}

/** What the resources do, by their names. */
export interface Applier {
  /** Those that are known to be refused. */
  check(resource: string, changes: readonly Change[]): Promise<ChangeResult[]>;
  apply(resource: string, changes: readonly Change[]): Promise<ChangeResult[]>;
}

/**
 * Makes the changes, phase by phase; none if it is known beforehand that one will be refused. After a phase in which
 * something failed no further one begins: what serves traffic is not taken away when its replacement did not come.
 */
export async function applyPlan(plan: Plan, { check, apply }: Applier): Promise<ApplyResult> {
  const done: Change[] = [];
  const failed: (ChangeResult & { error: Error })[] = [];
  const skipped: Change[] = [];
  for (const resource of new Set(plan.changes.map((change) => change.resource))) {
    const changes = plan.changes.filter((change) => change.resource === resource);
    for (const { change, error } of await check(resource, changes)) if (error) failed.push({ change, error });
  }
  if (failed.length > 0) {
    const refused = new Set(failed.map(({ change }) => change));
    return { done, failed, skipped: plan.changes.filter((change) => !refused.has(change)) };
  }
  for (const phase of phases) {
    const changes = plan.changes.filter((change) => change.phase === phase);
    if (failed.length > 0) {
      skipped.push(...changes);
      continue;
    }
    for (const resource of new Set(changes.map((change) => change.resource))) {
      const results = await apply(
        resource,
        changes.filter((change) => change.resource === resource),
      );
      for (const { change, error } of results) {
        if (error) failed.push({ change, error });
        else done.push(change);
      }
    }
  }
  return { done, failed, skipped };
}
