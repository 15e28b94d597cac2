/** Whom a guard cuts off, said in the plan that makes it: services of its address that are not described. */

import type { Plan } from '../engine/plan.ts';
import type { Change } from '../engine/resource.ts';
import type { RuleOperation } from '../iptables/rules/operation.ts';
import type { GuardRule } from '../iptables/rules/service-rule.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import { parseServiceAddress } from '../net/address.ts';
import { type DesiredState, servicesByAddress } from '../state/state.ts';

export function withGuardEffects(plan: Plan, desired: DesiredState, { services }: Pick<Snapshot, 'services'>): Plan {
  if (!plan.changes.some(guardIn)) return plan;
  const described = servicesByAddress(desired);
  const others = services.map(({ address }) => address).filter((address) => !described.has(address));
  return {
    ...plan,
    changes: plan.changes.map((change) => {
      const address = guardIn(change)?.address;
      const cut = address === undefined ? [] : others.filter((service) => isOf(service, address));
      if (cut.length === 0) return change;
      const effect = `cuts off what is not in the file: ${cut.join(', ')}`;
      return { ...change, effects: [...change.effects, effect] };
    }),
  };
}

function guardIn({ resource, operation }: Change): GuardRule | undefined {
  if (resource !== 'rules') return undefined;
  const own = operation as RuleOperation;
  return 'rule' in own && own.rule.kind === 'guard' ? own.rule : undefined;
}

function isOf(service: string, address: string): boolean {
  const parsed = parseServiceAddress(service);
  return 'ip' in parsed && parsed.ip === address;
}
