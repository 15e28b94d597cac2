/** One pass over drains and ramps: what is to do now, and what the ledger is afterwards. Pure. */
import type { IpvsError } from '../base/errors.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { weightWithin } from '../ipvs/weight-steps.ts';
import {
  type DestinationOf,
  type Drain,
  type DrainEnd,
  type EndedDrain,
  keyOf,
  type Ledger,
  type Ramp,
} from '../record/ledger.ts';
import { rampedWeight } from '../record/ramp.ts';
import { weightEdit } from '../resources/services/change.ts';
import { drainState, maySendForever } from './drain-rule.ts';

export type DrainMove = (DrainStep | RampStep) &
  DestinationOf & {
    readonly operation?: Operation;
    /** Why the operation was not done: all stays as it was, until the next pass. */
    readonly error?: IpvsError;
  };

interface DrainStep {
  readonly type: 'drain';
  readonly drain: Drain;
  /** Absent where only the weight changes: 0 where it is something else, or restored. */
  readonly ended?: DrainEnd;
  /** The weight after a cancelled drain, which ends with this. */
  readonly restored?: number;
}

interface RampStep {
  readonly type: 'ramp';
  readonly ramp: Ramp;
  readonly weight: number;
  /** `changed`: somebody gave it another weight, which stays. */
  readonly ended?: 'full' | 'changed' | 'gone';
}

export interface StepInput {
  readonly ledger: Pick<Ledger, 'drains' | 'ramps'>;
  /** Those of the ledger that are there. */
  readonly services: ReadonlyMap<string, VirtualServiceWithDestinations>;
  /** net.ipv4.vs.expire_quiescent_template: templates let go of a destination with weight 0. */
  readonly quiescentExpire: boolean;
  /** By key, how many connections both sides have closed; of those at their deadline. */
  readonly closed?: ReadonlyMap<string, number>;
  /** Boot time. */
  readonly nowMs: number;
}

/** Only what changes something. */
export function movesOf(input: StepInput): DrainMove[] {
  const { ledger, nowMs } = input;
  const drained = new Set(ledger.drains.map(keyOf));
  const raised = new Map<string, number>();
  return [
    ...ledger.drains.flatMap((drain) => drainMove(drain, input)),
    ...ledger.ramps.flatMap((ramp) => {
      if (drained.has(keyOf(ramp))) return [];
      const { holder, found } = find(input, ramp);
      const moves = rampMove(ramp, found, (weight) => besideOthers(weight, ramp, holder, ledger.ramps, raised), nowMs);
      for (const move of moves) if (move.type === 'ramp') raised.set(keyOf(ramp), move.weight);
      return moves;
    }),
  ];
}

/** Of a weight on the way, the one that takes few enough steps of wrr: beside the other weights, and those to come. */
function besideOthers(
  weight: number,
  { service, destination }: Ramp,
  holder: Found['holder'],
  ramps: readonly Ramp[],
  raised: ReadonlyMap<string, number>,
): number {
  if (holder?.scheduler !== 'wrr') return weight;
  const now = holder.destinations
    .filter(({ address }) => address !== destination)
    .map(({ address, weight }) => raised.get(keyOf({ service, destination: address })) ?? weight);
  const toCome = ramps.filter((ramp) => ramp.service === service).map(({ weight }) => weight);
  return weightWithin(weight, [...now, ...toCome]);
}

/** Drains at their deadline with connections of which it matters whether they are closed. */
export function lateDrains({ ledger, services, nowMs }: StepInput): Drain[] {
  return ledger.drains.filter(({ ended, restoreWeight, deadlineBootMs, ...place }) => {
    const inactive = find({ services }, place).found?.inactiveConnections ?? 0;
    const counts = ended === undefined && restoreWeight === undefined;
    return counts && nowMs >= deadlineBootMs && inactive > 0 && !place.service.startsWith('udp:');
  });
}

function find({ services }: Pick<StepInput, 'services'>, { service, destination }: DestinationOf): Found {
  const holder = services.get(service);
  return { holder, found: holder?.destinations.find(({ address }) => address === destination) };
}

interface Found {
  readonly holder: VirtualServiceWithDestinations | undefined;
  readonly found: VirtualServiceWithDestinations['destinations'][number] | undefined;
}

function drainMove(drain: Drain, input: StepInput): DrainMove[] {
  const { service, destination, afterwards } = drain;
  const { quiescentExpire, closed, nowMs } = input;
  const { holder, found } = find(input, drain);
  if (drain.restoreWeight !== undefined && found !== undefined) return [restoreMove(drain, found, drain.restoreWeight)];
  // One that is over holds its weight through plans alone: whoever changed it since has meant it.
  if (drain.ended !== undefined && found !== undefined) return [];
  const pins = pinsClients(holder, quiescentExpire);
  const { held, reason } = drainState({
    drain,
    destination: found,
    pins,
    closed: closed?.get(keyOf(drain)) ?? 0,
    nowMs,
  });
  const move = { type: 'drain', service, destination, drain } as const;
  if (found === undefined || reason === 'gone') return [{ ...move, ended: { bootMs: nowMs, how: 'gone', held } }];
  const quiet = found.weight > 0 && { operation: weightEdit(service, found, 0) };
  if (reason === 'held') return quiet ? [{ ...move, ...quiet }] : [];
  const ended = { bootMs: nowMs, how: reason, held } as const;
  if (afterwards === 'keep') return [{ ...move, ...quiet, ended }];
  return [{ ...move, operation: { type: 'destination.delete', service, destination }, ended }];
}

function restoreMove(drain: Drain, found: NonNullable<Found['found']>, restored: number): DrainMove {
  const { service, destination } = drain;
  const operation = found.weight !== restored && { operation: weightEdit(service, found, restored) };
  return { type: 'drain', service, destination, drain, restored, ...operation };
}

export function pinsClients(
  service: Pick<VirtualServiceWithDestinations, 'persistence'> | undefined,
  quiescentExpire: boolean,
): boolean {
  return service !== undefined && service.persistence !== null && !quiescentExpire;
}

function rampMove(ramp: Ramp, found: Found['found'], suitable: (weight: number) => number, nowMs: number): DrainMove[] {
  const { service, destination } = ramp;
  const move = { type: 'ramp', service, destination, ramp } as const;
  if (found === undefined) return [{ ...move, weight: 0, ended: 'gone' }];
  // Neither did the ramp set: who did means it.
  if (found.weight > ramp.weight || (found.weight === 0 && ramp.weight > 0))
    return [{ ...move, weight: found.weight, ended: 'changed' }];
  // The weight of a ramp never falls.
  const weight = Math.max(found.weight, suitable(rampedWeight(ramp, nowMs)));
  const operation = weight > found.weight && { operation: weightEdit(service, found, weight) };
  if (weight === ramp.weight) return [{ ...move, ...operation, weight, ended: 'full' }];
  return operation ? [{ ...move, ...operation, weight }] : [];
}

/** Whether it takes away a destination that something may send to forever. */
export function cutsSenders(move: DrainMove): boolean {
  const { operation, error } = move;
  if (move.type !== 'drain' || error !== undefined || operation?.type !== 'destination.delete') return false;
  return move.ended?.how === 'deadline' && maySendForever(move.service, move.ended.held);
}

/** How long it is told how a drain ended, and of how many. */
const TOLD_MS = 3_600_000;
const MOST_TOLD = 1000;

/** What the moves leave; those with an error were not made. */
export function ledgerAfter<L extends Ledger>(ledger: L, moves: readonly DrainMove[], nowMs: number): L {
  const ends = new Map<string, DrainEnd>();
  const rampsOver = new Set<string>();
  const gone = new Set<string>();
  const cancelled = new Set<string>();
  for (const move of moves) {
    if (move.error !== undefined) continue;
    if (move.type === 'drain' && move.restored !== undefined) cancelled.add(keyOf(move));
    if (move.ended === undefined) continue;
    if (move.type === 'ramp') rampsOver.add(keyOf(move));
    else ends.set(keyOf(move), move.ended);
    if (move.type === 'drain' && !staysDrained(move.drain, move.ended)) gone.add(keyOf(move));
  }
  const drains = ledger.drains.map((drain) => {
    const ended = ends.get(keyOf(drain));
    return ended ? { ...drain, ended } : drain;
  });
  const told = endedLately(ledger, nowMs);
  return {
    ...ledger,
    made: ledger.made.filter((key) => !gone.has(key)),
    drains: drains.filter((drain) => !gone.has(keyOf(drain)) && !cancelled.has(keyOf(drain))),
    ended: [...told, ...drains.filter((drain): drain is EndedDrain => gone.has(keyOf(drain)))].slice(-MOST_TOLD),
    ramps: ledger.ramps.filter((ramp) => !rampsOver.has(keyOf(ramp)) && !gone.has(keyOf(ramp))),
  };
}

/** Those that ended within the hour. */
export function endedLately({ ended = [] }: Pick<Ledger, 'ended'>, nowMs: number): EndedDrain[] {
  return ended.filter(({ ended: { bootMs } }) => nowMs - bootMs < TOLD_MS);
}

/** It keeps its weight of 0 until it is cancelled. */
function staysDrained({ afterwards }: Drain, { how }: DrainEnd): boolean {
  return afterwards === 'keep' && how !== 'gone';
}
