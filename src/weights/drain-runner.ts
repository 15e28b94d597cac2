/** Carries drains and ramps on, one pass at a time: looks, decides (drain-step.ts), does it, and writes down what is left. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { IpvsError } from '../base/errors.ts';
import { requireEach } from '../engine/resource.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import type { VirtualService, VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { type DestinationOf, type DrainEnd, hasProgress, isInProgress, type Ledger } from '../record/ledger.ts';
import type { Store } from '../record/store.ts';
import { isGone, servicesAt, unlessNotLoaded } from '../resources/context.ts';
import { closedAmong } from './drain-rule.ts';
import { cutsSenders, type DrainMove, lateDrains, ledgerAfter, movesOf } from './drain-step.ts';
import { type Survey, surveyed } from './survey.ts';
import type { SysctlLoans } from './sysctl-loans.ts';

export interface DrainPass {
  /** What was done, or tried. */
  readonly moves: readonly DrainMove[];
  /** What else went wrong: settings of the kernel that could not be given back. */
  readonly problems: readonly IpvsError[];
  /** What goes on. */
  readonly left: { readonly drains: number; readonly ramps: number };
}

interface Parts {
  readonly ipvs: Ipvs;
  readonly store: Store;
  readonly ledger: () => Ledger;
  readonly loans: SysctlLoans;
  readonly now: Clock;
}

/**
 * With it, the kernel ends connections whose destination was deleted, instead of dropping their packets while the sender
 * keeps the entry alive (ip_vs_core.c, ip_vs_in_hook; all at once since Linux 5.9, ip_vs_expire_nodest_conn_flush).
 */
export const EXPIRE_NODEST = 'net.ipv4.vs.expire_nodest_conn';
/** With it, templates let go of a destination with weight 0 (ip_vs_conn.c, ip_vs_check_template). */
export const EXPIRE_QUIESCENT = 'net.ipv4.vs.expire_quiescent_template';

/** The kernel ends them a tick after the deletion; a second is ample. */
const LOOKS = 20;
const BETWEEN_LOOKS_MS = 50;

export class DrainRunner {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Under the table's lock. Refusals are in the moves; it costs nothing where nothing drains. */
  async pass(): Promise<DrainPass> {
    const { store, loans } = this.#parts;
    const { ledger, problems } = loans.giveBack(this.#parts.ledger());
    // Of an earlier release: its drains count from here.
    if (store.hasEarlierTimes) store.writeLedger(ledger);
    // A marker of an earlier boot goes.
    store.markProgress(hasProgress(ledger));
    const moves = await this.foreseen(ledger);
    if (moves.length === 0) return { moves, problems, left: leftIn(ledger) };
    const made = await (moves.some(cutsSenders) ? this.#cutting(ledger, moves) : this.#carriedOut(ledger, moves));
    const after = ledgerAfter(made.ledger, made.moves, this.#parts.now().bootMs);
    store.writeLedger(after);
    return { moves: made.moves, problems: [...problems, ...made.problems], left: leftIn(after) };
  }

  /** Services with connections whose destination is gone: they go with the next destination that is cut. */
  async stranded(): Promise<readonly string[]> {
    return (await surveyOf(this.#parts.ipvs, [])).survey.stranded;
  }

  /** What a pass would do now. Changes nothing. */
  async foreseen(ledger: Ledger): Promise<DrainMove[]> {
    const { drains, ramps } = ledger;
    if (drains.length + ramps.length === 0) return [];
    const { ipvs, now } = this.#parts;
    const services = await servicesAt(
      ipvs,
      [...drains, ...ramps].map(({ service }) => service),
    );
    const quiescentExpire = this.quiescentExpire(drains.map(({ service }) => services.get(service)));
    const input = { ledger, services, quiescentExpire, nowMs: now().bootMs };
    const late = lateDrains(input);
    if (late.length === 0) return movesOf(input);
    const { holders } = (await surveyOf(ipvs, late)).survey;
    return movesOf({ ...input, closed: new Map([...holders].map(([key, each]) => [key, closedAmong(each)])) });
  }

  /** Of services that drain. Only persistent ones depend on the setting, so only for these is it read. Throws SYSCTL_FAILED. */
  quiescentExpire(services: readonly (Pick<VirtualService, 'persistence'> | undefined)[]): boolean {
    return services.some((service) => service?.persistence) && (this.#parts.loans.read(EXPIRE_QUIESCENT) ?? 0) !== 0;
  }

  async #carriedOut(ledger: Ledger, moves: readonly DrainMove[]): Promise<Made> {
    const operations = moves.flatMap(({ operation }) => operation ?? []);
    const results = operations.length === 0 ? [] : await this.#parts.ipvs.execute(operations);
    requireEach(results, operations.length);
    let next = 0;
    const made = moves.map((move): DrainMove => {
      if (move.operation === undefined) return move;
      const error = results[next++]?.error;
      return error && !isGone(move.operation, error) ? { ...move, error } : move;
    });
    return { ledger, moves: made, problems: [] };
  }

  /** With the setting that ends the connections of destinations to which something sends on. */
  async #cutting(ledger: Ledger, moves: readonly DrainMove[]): Promise<Made> {
    const { loans } = this.#parts;
    let lent: Ledger;
    let alsoEnded: readonly string[];
    try {
      alsoEnded = await this.stranded();
      lent = loans.borrow(ledger, EXPIRE_NODEST, 1);
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      const made = await this.#carriedOut(ledger, moves);
      return { ledger, moves: told(made.moves, { problem: error.message }), problems: [error] };
    }
    let made: Made | undefined;
    let left = 0;
    let back: ReturnType<SysctlLoans['giveBack']>;
    try {
      made = await this.#carriedOut(lent, moves);
      left = await this.#untilForgotten(made.moves.filter(cutsSenders));
    } finally {
      back = loans.giveBack(lent);
    }
    const problem = left > 0 && { problem: `${left} entries are still there, until their timeout` };
    return { ...back, moves: told(made.moves, { alsoEnded, ...problem }) };
  }

  /** How many connections are left in the end. */
  async #untilForgotten(cut: readonly DrainMove[]): Promise<number> {
    const { ipvs } = this.#parts;
    const { services } = await ipvs.snapshot();
    for (let look = 1; ; look++) {
      await wait(BETWEEN_LOOKS_MS);
      const { holders } = await surveyed(ipvs.connections(), services, cut);
      const left = [...holders.values()].reduce((sum, { connections }) => sum + connections, 0);
      if (left === 0 || look === LOOKS) return left;
    }
  }
}

interface Made {
  readonly ledger: Ledger;
  readonly moves: readonly DrainMove[];
  readonly problems: readonly IpvsError[];
}

/** More of how those ended that were cut. */
function told(moves: readonly DrainMove[], more: Pick<DrainEnd, 'alsoEnded' | 'problem'>): DrainMove[] {
  return moves.map((move) =>
    move.type === 'drain' && move.ended && cutsSenders(move) ? { ...move, ended: { ...move.ended, ...more } } : move,
  );
}

export function leftIn({ drains, ramps }: Ledger): DrainPass['left'] {
  return { drains: drains.filter(isInProgress).length, ramps: ramps.length };
}

/** The whole table, and what the connection table says of some of its places. */
export async function surveyOf(
  ipvs: Ipvs,
  places: readonly DestinationOf[],
): Promise<{ readonly services: readonly VirtualServiceWithDestinations[]; readonly survey: Survey }> {
  const snapshot = await unlessNotLoaded(ipvs.snapshot(), undefined);
  if (snapshot === undefined) return { services: [], survey: { holders: new Map(), stranded: [] } };
  const { services } = snapshot;
  return { services, survey: await surveyed(ipvs.connections(), services, places) };
}
