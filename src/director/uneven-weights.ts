/** Services whose weights a plan makes too uneven for the scheduler wrr. Pure. */

import type { Plan } from '../engine/plan.ts';
import type { Change } from '../engine/resource.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { MOST_WEIGHT_STEPS, stepsOf } from '../ipvs/weight-steps.ts';

/** A service whose weights take more steps than they may, and more than before. */
export interface UnevenWeights {
  readonly service: string;
  /** The heaviest weight over the greatest common divisor of all. */
  readonly steps: number;
  readonly limit: number;
}

/** Undefined if the change is within the limit, or makes it no worse. */
export function unevenWeights(
  service: string,
  before: Pick<VirtualServiceWithDestinations, 'scheduler' | 'destinations'> | undefined,
  { scheduler, weights }: { readonly scheduler: string; readonly weights: ReadonlyMap<string, number> },
  limit: number = MOST_WEIGHT_STEPS,
): UnevenWeights | undefined {
  const steps = stepsOf(scheduler, weights.values());
  if (steps <= limit) return undefined;
  const stepsBefore = before
    ? stepsOf(
        before.scheduler,
        before.destinations.map(({ weight }) => weight),
      )
    : 0;
  return steps > stepsBefore ? { service, steps, limit } : undefined;
}

/** Of a plan, for each service that it changes. */
export function unevenIn(
  { changes }: Pick<Plan, 'changes'>,
  { services }: Snapshot,
  limit: number | undefined,
): UnevenWeights[] {
  const before = new Map(services.map((service) => [service.address, service]));
  const after = new Map<string, Sketch>();
  for (const { resource, of, operation } of changes as readonly Change<Operation>[]) {
    if (resource !== 'services') continue;
    const sketch = after.get(of) ?? sketchOf(before.get(of));
    after.set(of, sketch);
    carryOut(operation, sketch);
  }
  return [...after].flatMap(
    ([address, { scheduler, weights }]) =>
      unevenWeights(address, before.get(address), { scheduler, weights }, limit) ?? [],
  );
}

/** What a service comes to: enough of it to count its steps. */
interface Sketch {
  scheduler: string;
  readonly weights: Map<string, number>;
}

function sketchOf(service: Snapshot['services'][number] | undefined): Sketch {
  const { scheduler = '', destinations = [] } = service ?? {};
  return { scheduler, weights: new Map(destinations.map(({ address, weight }) => [address, weight])) };
}

function carryOut(operation: Operation, sketch: Sketch): void {
  if (operation.type === 'service.add' || operation.type === 'service.edit')
    sketch.scheduler = operation.service.scheduler;
  else if (operation.type === 'service.delete') sketch.weights.clear();
  else if (operation.type === 'destination.delete') sketch.weights.delete(operation.destination);
  else if (operation.type === 'destination.add' || operation.type === 'destination.edit')
    sketch.weights.set(operation.destination.address, operation.destination.weight);
}

export function describeUneven({ service, steps, limit }: UnevenWeights): string {
  return `${service} takes ${steps}; the limit is ${limit}`;
}
