/** What a drain costs others, said in the plan that begins it. */

import type { Plan } from '../engine/plan.ts';
import type { Change } from '../engine/resource.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { DesiredState } from '../state/state.ts';

/** `stranded` is asked only if a change needs it: the services with connections whose destination is gone. */
export async function withDrainEffects(
  plan: Plan,
  { services }: DesiredState,
  stranded: () => Promise<readonly string[]>,
): Promise<Plan> {
  if (!plan.changes.some(({ phase }) => phase === 'drain')) return plan;
  const deleting = new Set(
    services.filter(({ drain }) => drain?.afterwards === 'delete').map(({ service }) => service.address),
  );
  const cuts = ({ phase, of, operation }: Change) =>
    phase === 'drain' && (operation as Operation).type === 'destination.edit' && deleting.has(of) && isEndless(of);
  if (!plan.changes.some(cuts)) return plan;
  const effect = expiryEffect(await stranded());
  return {
    ...plan,
    changes: plan.changes.map((change) =>
      cuts(change) ? { ...change, effects: [...change.effects, effect] } : change,
    ),
  };
}

/** UDP has no end, and what carries a mark may be UDP. */
function isEndless(service: string): boolean {
  return service.startsWith('udp:') || service.startsWith('fwmark:');
}

/** For people: whom net.ipv4.vs.expire_nodest_conn=1 affects, which is of the whole network namespace. */
export function expiryEffect(stranded: readonly string[]): string {
  const others =
    stranded.length === 0
      ? 'as of now no other connection'
      : `also connections to destinations that are gone, as of now in ${stranded.join(', ')}`;
  return `senders that never stop are ended at the deadline by net.ipv4.vs.expire_nodest_conn=1 for a moment: ${others}`;
}
