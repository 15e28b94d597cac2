/** How far drains are. Pure. */
import { type Moment, wallTime } from '../base/clock.ts';
import type { DestinationState } from '../ipvs/destination.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { type DestinationOf, type Drain, type Held, keyOf, type Ramp } from '../record/ledger.ts';
import { rampedWeight } from '../record/ramp.ts';
import type { DesiredDestination, DesiredState } from '../state/state.ts';
import { drainState, maySendForever } from './drain-rule.ts';
import { pinsClients } from './drain-step.ts';
import type { Holders, Survey } from './survey.ts';

export interface DrainProgress {
  /** With `ended`, if it is over. */
  readonly drain: Drain;
  readonly held: Held;
  /** Nothing is held, or the deadline has passed: the next pass ends it. */
  readonly over: boolean;
  /** Until the deadline; 0 after it. */
  readonly leftMs: number;
  /** When it began, and is over at the latest or was over: ISO 8601, by the wall clock as it stands now. */
  readonly startedAt: string;
  readonly deadlineAt: string;
  readonly endedAt?: string;
  /** As the kernel has it; absent where the destination is gone. */
  readonly kernelWeight?: number;
  /** Of one that goes on, if they were asked for. */
  readonly details?: DrainDetails;
}

export interface DrainDetails {
  readonly holders: Holders;
  /** What was applied last describes the destination: deleted, it comes back with the next apply. */
  readonly described: boolean;
  /**
   * Services whose connections to destinations that are gone would be ended at its deadline as well, because of
   * net.ipv4.vs.expire_nodest_conn; absent where that is not needed.
   */
  readonly alsoEnds?: readonly string[];
}

export interface RampProgress {
  readonly ramp: Ramp;
  /** What it should have by now. */
  readonly weight: number;
  /** As the kernel has it: the last pass set it. Absent where the destination is gone. */
  readonly kernelWeight?: number;
  readonly leftMs: number;
}

/** What was looked at. */
export interface Look {
  /** At least those that drain. */
  readonly services: ReadonlyMap<string, VirtualServiceWithDestinations>;
  readonly quiescentExpire: boolean;
  readonly now: Moment;
  readonly details?: { readonly survey: Survey; readonly applied: DesiredState | undefined };
}

export function progressOf(drain: Drain, look: Look): DrainProgress {
  const { ended, service, deadlineBootMs } = drain;
  const { services, quiescentExpire, now } = look;
  const holder = services.get(service);
  const found = destinationIn(services, drain);
  const common = {
    drain,
    startedAt: wallTime(drain.startedBootMs, now),
    deadlineAt: wallTime(deadlineBootMs, now),
    ...(found && { kernelWeight: found.weight }),
  };
  if (ended) return { ...common, held: ended.held, over: true, leftMs: 0, endedAt: wallTime(ended.bootMs, now) };
  const { held, over } = drainState({
    drain,
    destination: found,
    pins: pinsClients(holder, quiescentExpire),
    nowMs: now.bootMs,
  });
  const details = detailsOf(drain, held, look);
  return { ...common, held, over, leftMs: Math.max(0, deadlineBootMs - now.bootMs), ...(details && { details }) };
}

function detailsOf(drain: Drain, held: Held, { details }: Look): DrainDetails | undefined {
  const holders = details?.survey.holders.get(keyOf(drain));
  if (details === undefined || holders === undefined) return undefined;
  const described = describedAt(details.applied, drain) !== undefined;
  const cuts = drain.afterwards === 'delete' && maySendForever(drain.service, held);
  return { holders, described, ...(cuts && { alsoEnds: details.survey.stranded }) };
}

export function rampProgress(ramp: Ramp, { services, now }: Pick<Look, 'services' | 'now'>): RampProgress {
  const overAtMs = ramp.startedBootMs + ramp.durationSeconds * 1000;
  const kernelWeight = destinationIn(services, ramp)?.weight;
  return {
    ramp,
    weight: rampedWeight(ramp, now.bootMs),
    ...(kernelWeight !== undefined && { kernelWeight }),
    leftMs: Math.max(0, overAtMs - now.bootMs),
  };
}

export function destinationIn(
  services: Look['services'],
  { service, destination }: DestinationOf,
): DestinationState | undefined {
  return services.get(service)?.destinations.find(({ address }) => address === destination);
}

export function describedAt(state: DesiredState | undefined, place: DestinationOf): DesiredDestination | undefined {
  const entry = state?.services.find(({ service }) => service.address === place.service);
  return entry?.destinations.find(({ address }) => address === place.destination);
}
