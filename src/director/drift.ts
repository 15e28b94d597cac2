/** How the kernel differs from what was applied, or from what is wanted. Pure. */
import type { Plan } from '../engine/plan.ts';
import type { Change, Known } from '../engine/resource.ts';
import { TIMEOUTS_KEY } from '../resources/keys.ts';
import type { DesiredState } from '../state/state.ts';
import { type Owner, ownership } from './ownership.ts';

export interface Difference {
  readonly key: string;
  /** What it belongs to: a service's address, "sync master", "timeouts". */
  readonly of: string;
  /** "10.0.0.11:80 of tcp://192.0.2.1:80" */
  readonly subject: string;
  /** `missing`: described, and not there; `extra`: there, and not described. */
  readonly kind: 'missing' | 'changed' | 'extra';
  readonly owner: Owner;
  /** As it is, and as it should be: "weight 9 → 3"; of what is missing only that. */
  readonly detail: string;
  /** It was never applied as it is described. */
  readonly pending: boolean;
}

export interface Differences {
  readonly differences: readonly Difference[];
  /** Services that others made, and that are not described: as if they were of another table. */
  readonly foreign: readonly string[];
}

/** Of a plan that adopts and does not prune. */
export function differencesIn(plan: Pick<Plan, 'changes' | 'strays'>, known: Known<DesiredState>): Differences {
  const ownerOf = ownership(known);
  const byKey = new Map<string, Difference>();
  for (const change of plan.changes) {
    const before = byKey.get(change.key);
    const kind = kindOf(change);
    // What is taken away to be added anew is changed.
    const merged = before === undefined ? kind : 'changed';
    const owner = ownerOf(change.key);
    byKey.set(change.key, {
      key: change.key,
      of: change.of,
      subject: subjectOf(change),
      kind: merged,
      // What is not there is nobody's but of who described it.
      owner: merged === 'missing' && owner === 'foreign' ? 'ours' : owner,
      detail: detailOf(change, merged, before !== undefined),
      pending: merged !== 'extra' && change.cause === 'file',
    });
  }
  const foreign: string[] = [];
  for (const { resource, key, of, subject, owner } of plan.strays) {
    if (resource === 'services' && key === of && owner === 'foreign') foreign.push(of);
    else byKey.set(key, { key, of, subject, kind: 'extra', owner, detail: 'not described', pending: false });
  }
  return { differences: [...byKey.values()], foreign };
}

/** What is called by too little elsewhere. */
function subjectOf({ resource, key, of, subject }: Change): string {
  if (of === TIMEOUTS_KEY) return TIMEOUTS_KEY;
  return resource === 'rules' ? key : subject;
}

/** Of what is added anew only what it should be is known. */
function detailOf({ detail }: Change, kind: Difference['kind'], anew: boolean): string {
  if (kind === 'extra') return 'not described';
  return anew ? `→ ${detail}` : detail;
}

function kindOf({ verb }: Change): Difference['kind'] {
  if (/^(add|start) /.test(verb)) return 'missing';
  return /^(delete|stop) /.test(verb) ? 'extra' : 'changed';
}
