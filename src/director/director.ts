/** The composition root: which resources there are, and the way from a desired state to the kernel. */
import type { Ipvs, Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import { type ApplyResult, applyPlan, type Plan, planOf } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';
import { servicesResource } from './services.ts';
import type { DesiredState } from './state.ts';

/** What the kernel holds. */
export interface CurrentState {
  readonly services: Snapshot;
}

/** The changes that lead from `current` to `desired`, in the order in which they are safe. Pure. */
export function plan(desired: DesiredState, current: CurrentState): Plan {
  return planOf([servicesResource.diff(desired.services, current.services)]);
}

export async function readState(ipvs: Ipvs): Promise<CurrentState> {
  return { services: await servicesResource.read(ipvs) };
}

/**
 * Makes the changes of a plan. Refusals are returned, not thrown; if the kernel lacks a scheduler or a persistence engine that
 * one of them needs, none is made.
 */
export function apply(ipvs: Ipvs, plan: Plan): Promise<ApplyResult> {
  return applyPlan(plan, {
    check: (_resource, changes) => servicesResource.check(ipvs, changes as readonly Change<Operation>[]),
    apply: (_resource, changes) => servicesResource.apply(ipvs, changes as readonly Change<Operation>[]),
  });
}
