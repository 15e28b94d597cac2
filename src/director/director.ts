/** The composition root: which resources there are, and the way from a file's text to the kernel. */
import { checkDocument, jsonSchema, throwProblems } from '../config/document.ts';
import type { ConfigProblem } from '../errors.ts';
import type { Ipvs, Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import { type ApplyResult, applyPlan, type Plan, planOf } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';
import { servicesResource } from './services.ts';
import type { DesiredService } from './services-section.ts';

/** What a file describes, complete and canonical. */
export interface DesiredState {
  readonly services: readonly DesiredService[];
}

/** What the kernel holds. */
export interface CurrentState {
  readonly services: Snapshot;
}

/**
 * Reads a description of the desired state. Pure; `file` is only for messages.
 * Throws CONFIG_INVALID, whose `problems` lists everything that is wrong.
 */
export function parseState(text: string, file = 'state.yaml'): DesiredState {
  const document = checkDocument(text, file, servicesResource.sections);
  const problems: ConfigProblem[] = [...document.problems];
  const services = servicesResource.resolve(document.values, (path, message) =>
    problems.push(document.problem(path, message)),
  );
  throwProblems(problems);
  return { services };
}

/** The JSON Schema of what `parseState` reads. */
export function stateSchema(): object {
  return jsonSchema(servicesResource.sections);
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
