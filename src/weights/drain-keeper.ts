/** Drains as objects: begun, looked at, cancelled. What carries them on is drain-runner.ts. */

import { oneOf, refuseUnknownKeys, wholeNumber } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { IpvsError, isOutcomeUnknown } from '../base/errors.ts';
import { knownAt } from '../engine/known.ts';
import { appliedTo } from '../engine/transaction.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { MOST_WEIGHT_STEPS, weightSteps, weightWithin } from '../ipvs/weight-steps.ts';
import { type DestinationOf, type Drain, type EndedDrain, keyOf, type Ledger } from '../record/ledger.ts';
import type { Store } from '../record/store.ts';
import { servicesAt } from '../resources/context.ts';
import { destinationOf, isAt, subjectOf } from '../resources/destination-of.ts';
import { desiredShape } from '../state/state.ts';
import type { DirectOptions } from './direct-options.ts';
import {
  type DrainProgress,
  describedAt,
  type Look,
  progressOf,
  type RampProgress,
  rampProgress,
} from './drain-progress.ts';
import { heldCount } from './drain-rule.ts';
import { type DrainPass, type DrainRunner, surveyOf } from './drain-runner.ts';
import { endedLately, pinsClients } from './drain-step.ts';

export interface DrainOptions extends DirectOptions {
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
  readonly now: Clock;
  /** Looks at a place that a command is about to change; what it returns adds the command's entry and writes the ledger. */
  readonly beginEntry: (
    command: string,
    place: DestinationOf,
    before: Ledger,
  ) => Promise<(after: Ledger) => Promise<void>>;
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
    return this.#parts.locked('drain', undefined, async (pass) => {
      options.onPass?.(pass);
      const holder = await ipvs.service(place.service);
      const found = destinationAt(place, holder, 'drain');
      const { weight } = found;
      const ledger = this.#parts.ledger();
      const earlier = ledger.drains.find(isAt(place));
      const goesOn = earlier !== undefined && !earlier.ended;
      const pins = pinsClients(holder, this.#parts.runner.quiescentExpire([holder]));
      const nowMs = now().bootMs;
      const drain: Drain = {
        ...place,
        startedBootMs: goesOn ? earlier.startedBootMs : nowMs,
        deadlineBootMs: nowMs + timeoutMs,
        afterwards,
        weight: weight > 0 || !earlier ? weight : earlier.weight,
        by: earlier?.by ?? 'verb',
        heldFirst: (goesOn ? earlier.heldFirst : undefined) ?? heldCount(found, place.service, pins),
      };
      const addEntry = await this.#parts.beginEntry('drain', place, ledger);
      const after = { ...ledger, drains: [...without(ledger.drains, place), drain] };
      // Written first: a crash in between leaves a drain whose next pass takes the weight.
      store.writeLedger(after);
      try {
        if (weight > 0) await ipvs.editDestination(place.service, place.destination, { weight: 0 });
      } catch (error) {
        if (isOutcomeUnknown(error)) await unlessUnrecorded(addEntry(after), options);
        else store.writeLedger(ledger);
        throw error;
      }
      await unlessUnrecorded(addEntry(after), options);
      return drain;
    });
  }

  /**
   * Restores the weight of what was applied, or else that which it had; beside weights that it does not suit any more, the
   * next that takes few enough steps of wrr. One write decides: it records the cancellation with the weight, and a pass
   * does the rest, this one or after a crash the next. Throws NO_SUCH_DRAIN.
   */
  async cancel(
    service: string,
    destination: string,
    options: DirectOptions = {},
  ): Promise<{ readonly drain: Drain; readonly weight: number }> {
    const place = destinationOf(service, destination);
    const { ipvs, store, now } = this.#parts;
    return this.#parts.locked('drain cancel', undefined, async (pass) => {
      options.onPass?.(pass);
      const ledger = this.#parts.ledger();
      const drain = ledger.drains.find(isAt(place));
      if (drain === undefined) throw noSuchDrain(place, ledger);
      const applied = await appliedTo({ store, desired: desiredShape }, ledger);
      const rest = { ...ledger, drains: without(ledger.drains, place) };
      const key = keyOf(place);
      const described = describedAt(applied, place);
      const whole = described?.weight ?? drain.weight;
      const most = Math.min(
        whole,
        knownAt(rest, applied, now().bootMs).weights.get(place.service)?.get(place.destination) ?? whole,
      );
      const holder = await ipvs.service(place.service);
      destinationAt(place, holder, 'drain cancel');
      const weight = suitableWeight(most, place, holder, applied?.limits?.maxWeightSteps);
      // One that an apply began has left the file; who gives it back wants it.
      const made = drain.by === 'apply' && !described ? [...new Set([...rest.made, key])] : rest.made;
      const addEntry = await this.#parts.beginEntry('drain cancel', place, ledger);
      store.writeLedger({ ...rest, made, drains: [...rest.drains, { ...drain, restoreWeight: weight }] });
      const error = await this.#restore(place, weight);
      await unlessUnrecorded(addEntry(this.#parts.ledger()), options);
      if (error) throw error;
      return { drain, weight };
    });
  }

  /** Makes the pass that restores it; returns what that was refused with. */
  async #restore(place: DestinationOf, weight: number): Promise<IpvsError | undefined> {
    try {
      const { moves } = await this.#parts.runner.pass();
      return moves.find(isAt(place))?.error;
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      // The disk is full after the weight was restored: the record says so, and a later pass tidies it.
      const isRestored = error.code === 'FILE_UNWRITABLE' && (await this.#weightAt(place)) === weight;
      return isRestored ? undefined : error;
    }
  }

  async #weightAt({ service, destination }: DestinationOf): Promise<number | undefined> {
    const { destinations } = await this.#parts.ipvs.service(service);
    return destinations.find(({ address }) => address === destination)?.weight;
  }

  /** Those that go on, that are drained and kept, and that ended within the hour; the oldest first. Takes no lock. */
  async list({ details = false }: { readonly details?: boolean } = {}): Promise<DrainProgress[]> {
    const ledger = this.#parts.ledger();
    const all = [...endedLately(ledger, this.#parts.now().bootMs), ...ledger.drains];
    if (all.length === 0) return [];
    const look = await this.#look(ledger, details);
    return all.map((drain) => progressOf(drain, look)).sort((a, b) => a.drain.startedBootMs - b.drain.startedBootMs);
  }

  async ramps(): Promise<RampProgress[]> {
    const { ramps } = this.#parts.ledger();
    const services = await servicesAt(
      this.#parts.ipvs,
      ramps.map(({ service }) => service),
    );
    const look = { services, now: this.#parts.now() };
    return ramps.map((ramp) => rampProgress(ramp, look));
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
    const draining = ledger.drains.map(({ service }) => service);
    const lookAt = (services: Look['services']) => ({
      services,
      quiescentExpire: runner.quiescentExpire(draining.map((address) => services.get(address))),
      now: now(),
    });
    if (!details) return lookAt(await servicesAt(ipvs, draining));
    const { services, survey } = await surveyOf(ipvs, ledger.drains);
    return {
      ...lookAt(new Map(services.map((service) => [service.address, service]))),
      details: { survey, applied: await appliedTo({ store, desired: desiredShape }, ledger) },
    };
  }
}

/** A drain that is begun or cancelled stays so, whether or not its entry can be written. */
async function unlessUnrecorded(entry: Promise<void>, { onUnrecorded }: DirectOptions): Promise<void> {
  try {
    await entry;
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    onUnrecorded?.(error);
  }
}

function checked(options: DrainOptions): Required<Pick<DrainOptions, 'timeoutMs' | 'afterwards'>> {
  refuseUnknownKeys(options, 'drain', ['timeoutMs', 'afterwards', 'onPass', 'onUnrecorded']);
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
