/** Drains as objects: begun, looked at, cancelled. What carries them on is drain-runner.ts. */
import { IpvsError } from '../errors.ts';
import { oneOf, refuseUnknownKeys, wholeNumber } from '../ipvs/check.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { MOST_WEIGHT_STEPS, weightSteps, weightWithin } from '../ipvs/weight-steps.ts';
import { knownAt } from '../plan/known.ts';
import { type DestinationOf, type Drain, type EndedDrain, keyOf, type Ledger } from '../plan/ledger.ts';
import type { Store } from '../plan/store.ts';
import { appliedTo } from '../plan/transaction.ts';
import { servicesAt } from './context.ts';
import { destinationOf, isAt, subjectOf } from './destination-of.ts';
import {
  type DrainProgress,
  describedAt,
  type Look,
  progressOf,
  type RampProgress,
  rampProgress,
} from './drain-progress.ts';
import { type DrainPass, type DrainRunner, surveyOf } from './drain-runner.ts';
import type { DesiredState } from './state.ts';

export interface DrainOptions {
  /** What is held by then is cut, or goes on all the same. Default: 5 minutes. */
  readonly timeoutMs?: number;
  /** What happens when it is over: the destination is deleted, or stays with weight 0. Default: keep. */
  readonly afterwards?: 'delete' | 'keep';
}

export interface DrainKeeperParts {
  readonly ipvs: Ipvs;
  readonly store: Store;
  readonly ledger: () => Ledger;
  readonly runner: DrainRunner;
  readonly now: () => number;
  /** Under the table's lock, after a pass. */
  readonly locked: <T>(
    purpose: string,
    signal: AbortSignal | undefined,
    work: (pass: DrainPass) => Promise<T>,
  ) => Promise<T>;
}

const DEFAULT_TIMEOUT_MS = 300_000;
const MOST_TIMEOUT_MS = 365 * 86_400_000;

export class DrainKeeper {
  readonly #parts: DrainKeeperParts;

  constructor(parts: DrainKeeperParts) {
    this.#parts = parts;
  }

  /** Takes away its weight. One that drains already gets another deadline. Throws SERVICE_NOT_FOUND, DESTINATION_NOT_FOUND. */
  async begin(service: string, destination: string, options: DrainOptions = {}): Promise<Drain> {
    const place = destinationOf(service, destination);
    const { timeoutMs, afterwards } = checked(options);
    const { ipvs, store, now } = this.#parts;
    return this.#parts.locked('drain', undefined, async () => {
      const { weight } = destinationAt(place, await ipvs.service(place.service), 'drain');
      const ledger = this.#parts.ledger();
      const earlier = ledger.drains.find(isAt(place));
      const nowMs = now();
      const drain: Drain = {
        ...place,
        startedAtMs: earlier && !earlier.ended ? earlier.startedAtMs : nowMs,
        deadlineAtMs: nowMs + timeoutMs,
        afterwards,
        weight: weight > 0 || !earlier ? weight : earlier.weight,
        by: earlier?.by ?? 'verb',
      };
      // Written first: a crash in between leaves a drain whose next pass takes the weight.
      store.writeLedger({ ...ledger, drains: [...without(ledger.drains, place), drain] });
      try {
        if (weight > 0) await ipvs.editDestination(place.service, place.destination, { weight: 0 });
      } catch (error) {
        store.writeLedger(ledger);
        throw error;
      }
      return drain;
    });
  }

  /**
   * Gives it the weight of what was applied, or else that which it had; beside weights that it does not suit any more, the
   * next that takes few enough steps of wrr. Throws NO_SUCH_DRAIN.
   */
  async cancel(service: string, destination: string): Promise<{ readonly drain: Drain; readonly weight: number }> {
    const place = destinationOf(service, destination);
    const { ipvs, store, now } = this.#parts;
    return this.#parts.locked('drain cancel', undefined, async () => {
      const ledger = this.#parts.ledger();
      const drain = ledger.drains.find(isAt(place));
      if (drain === undefined) throw noSuchDrain(place, ledger);
      const applied = await appliedTo<DesiredState>(store, ledger);
      const rest = { ...ledger, drains: without(ledger.drains, place) };
      const key = keyOf(place);
      const described = describedAt(applied, place);
      const whole = described?.weight ?? drain.weight;
      const most = Math.min(
        whole,
        knownAt(rest, applied, now()).weights.get(place.service)?.get(place.destination) ?? whole,
      );
      const holder = await ipvs.service(place.service);
      const present = destinationAt(place, holder, 'drain cancel');
      const weight = suitableWeight(most, place, holder, applied?.limits?.maxWeightSteps);
      if (present.weight !== weight) await ipvs.editDestination(place.service, place.destination, { weight });
      // One that an apply began has left the file; who gives it back wants it.
      const made = drain.by === 'apply' && !described ? [...new Set([...rest.made, key])] : rest.made;
      store.writeLedger({ ...rest, made });
      return { drain, weight };
    });
  }

  /** Those that go on, that are drained and kept, and that ended within the hour; the oldest first. Takes no lock. */
  async list({ details = false }: { readonly details?: boolean } = {}): Promise<DrainProgress[]> {
    const ledger = this.#parts.ledger();
    const all = [...(ledger.ended ?? []), ...ledger.drains];
    if (all.length === 0) return [];
    const look = await this.#look(ledger, details);
    return all.map((drain) => progressOf(drain, look)).sort((a, b) => a.drain.startedAtMs - b.drain.startedAtMs);
  }

  ramps(): RampProgress[] {
    const nowMs = this.#parts.now();
    return this.#parts.ledger().ramps.map((ramp) => rampProgress(ramp, nowMs));
  }

  /** The drain of a place, or the one that ended last. Throws NO_SUCH_DRAIN. */
  latest(place: DestinationOf): Drain {
    const ledger = this.#parts.ledger();
    const drain = ledger.drains.find(isAt(place)) ?? endedAt(place, ledger);
    if (drain === undefined) throw noSuchDrain(place, ledger);
    return drain;
  }

  /** A pass, as every call that takes the lock makes one. */
  pass(purpose: string, signal?: AbortSignal): Promise<DrainPass> {
    return this.#parts.locked(purpose, signal, async (pass) => pass);
  }

  async #look(ledger: Ledger, details: boolean): Promise<Look> {
    const { ipvs, store, runner, now } = this.#parts;
    const common = { quiescentExpire: runner.quiescentExpire(), nowMs: now() };
    if (!details)
      return {
        ...common,
        services: await servicesAt(
          ipvs,
          ledger.drains.map(({ service }) => service),
        ),
      };
    const { services, survey } = await surveyOf(ipvs, ledger.drains);
    return {
      ...common,
      services: new Map(services.map((service) => [service.address, service])),
      details: { survey, applied: await appliedTo<DesiredState>(store, ledger) },
    };
  }
}

function checked(options: DrainOptions): Required<DrainOptions> {
  refuseUnknownKeys(options, 'drain', ['timeoutMs', 'afterwards']);
  const { timeoutMs = DEFAULT_TIMEOUT_MS, afterwards = 'keep' } = options;
  return {
    timeoutMs: wholeNumber(timeoutMs, 0, MOST_TIMEOUT_MS, 'INVALID_DURATION', ['timeoutMs']),
    afterwards: oneOf(afterwards, ['delete', 'keep'] as const, 'INVALID_OPTION', ['afterwards']),
  };
}

function destinationAt(place: DestinationOf, { destinations }: VirtualServiceWithDestinations, operation: string) {
  const present = destinations.find(({ address }) => address === place.destination);
  if (present === undefined) throw new IpvsError('DESTINATION_NOT_FOUND', { operation, subject: subjectOf(place) });
  return present;
}

/** Weights that changed during the drain may suit this one no more. */
function suitableWeight(
  weight: number,
  { destination }: DestinationOf,
  { scheduler, destinations }: VirtualServiceWithDestinations,
  limit: number | undefined,
): number {
  if (scheduler !== 'wrr') return weight;
  const others = destinations.filter(({ address }) => address !== destination).map((other) => other.weight);
  if (weightSteps([weight, ...others]) <= (limit ?? MOST_WEIGHT_STEPS)) return weight;
  return weightWithin(weight, others, limit);
}

function without(drains: readonly Drain[], place: DestinationOf): Drain[] {
  const isThere = isAt(place);
  return drains.filter((drain) => !isThere(drain));
}

function endedAt(place: DestinationOf, { ended = [] }: Ledger): EndedDrain | undefined {
  return ended.findLast(isAt(place));
}

function noSuchDrain(place: DestinationOf, ledger: Ledger): IpvsError {
  const last = endedAt(place, ledger)?.ended.how;
  const detail = last && `any more: ${last === 'gone' ? 'somebody took it away' : 'it was deleted'}`;
  return new IpvsError('NO_SUCH_DRAIN', { subject: subjectOf(place), ...(detail && { detail }) });
}
