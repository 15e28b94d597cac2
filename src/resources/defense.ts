/** The policy of the defense, as a resource. What holds it is the record, which a controller looks at every second. */

import { refusalBy } from '../base/errors.ts';
import { type DefensePolicy, normalizePolicy } from '../defense/policy.ts';
import { type Change, type Diff, type Known, overlayWhole, type Resource, UNDONE } from '../engine/resource.ts';
import { isDefensePolicy } from '../state/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import type { Context } from './context.ts';
import { DEFENSE_KEY } from './keys.ts';

export interface PolicyOperation {
  readonly type: 'defense.set';
  readonly policy: DefensePolicy;
}

export const defenseResource: Resource<
  DesiredState,
  DefensePolicy,
  DefensePolicy,
  DefensePolicy,
  PolicyOperation,
  Context
> = {
  name: 'defense',
  read: async ({ defense }) => defense.policy.read(),
  reread: async ({ defense }) => defense.policy.read(),
  pack: (current) => current,
  isPacked: isDefensePolicy,
  unpack: (packed) => packed,
  diff: diffPolicy,
  overlay: overlayWhole(DEFENSE_KEY),
  undo: (before, now, keys) =>
    keys.has(DEFENSE_KEY) && before && !samePolicy(before, now) ? [change(before, 'file', UNDONE)] : [],
  check: async () => [],
  apply: async ({ defense }, changes) =>
    changes.map((change) => {
      const error = refusalBy(() => defense.policy.write(change.operation.policy));
      return error ? { change, error } : { change };
    }),
};

const OFF = normalizePolicy('off');

function diffPolicy(
  { defense }: DesiredState,
  { applied }: Known<DesiredState>,
  current: DefensePolicy = OFF,
): Diff<PolicyOperation> {
  const nothing = { conflicts: [], strays: [] };
  // A policy is only ever what a file said: it goes when it leaves the file.
  const wanted = defense ?? OFF;
  if (samePolicy(wanted, current)) return { ...nothing, changes: [], unchanged: defense ? 1 : 0 };
  const cause = applied?.defense && samePolicy(applied.defense, wanted) ? 'drift' : 'file';
  const detail = `${policyName(current)} → ${policyName(wanted)}`;
  return { ...nothing, changes: [change(wanted, cause, detail)], unchanged: 0 };
}

function change(policy: DefensePolicy, cause: Change['cause'], detail: string): Change<PolicyOperation> {
  return {
    resource: 'defense',
    phase: 'prepare',
    operation: { type: 'defense.set', policy },
    verb: 'set defense policy',
    subject: DEFENSE_KEY,
    key: DEFENSE_KEY,
    of: DEFENSE_KEY,
    detail,
    cause,
    effects: ['a controller that runs goes by it from its next second on'],
  };
}

export function samePolicy(a: DefensePolicy, b: DefensePolicy): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** "balanced"; of what only began with a preset, or with none, how many levels it has. */
function policyName(policy: DefensePolicy): string {
  const { preset, levels } = policy;
  if (preset !== null && samePolicy(normalizePolicy(preset), policy)) return preset;
  return `${levels.length} ${levels.length === 1 ? 'level' : 'levels'} of its own`;
}
