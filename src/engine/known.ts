/** What a ledger tells a plan, at a moment. Pure. */
import { type DestinationOf, keyOf, type Ledger } from '../record/ledger.ts';
import { rampedWeight } from '../record/ramp.ts';
import type { Known } from './resource.ts';

/** Of a table of which nothing is remembered. */
export const NOTHING_KNOWN: Known<never> = {
  applied: undefined,
  made: new Set(),
  leaving: new Set(),
  weights: new Map(),
};

/** `applied` is the desired state that the ledger names; `ledger` must be of this table. */
export function knownAt<Desired>(
  { made, adopted = [], drains, ramps }: Pick<Ledger, 'made' | 'adopted' | 'drains' | 'ramps'>,
  applied: Desired | undefined,
  nowBootMs: number,
): Known<Desired> {
  const weights = new Map<string, Map<string, number>>();
  const hold = ({ service, destination }: DestinationOf, weight: number) => {
    const ofService = weights.get(service) ?? new Map<string, number>();
    weights.set(service, ofService.set(destination, weight));
  };
  for (const ramp of ramps) hold(ramp, rampedWeight(ramp, nowBootMs));
  const holding = drains.filter(({ restoreWeight }) => restoreWeight === undefined);
  for (const drain of holding) hold(drain, 0);
  const leaving = new Set(holding.filter(({ by }) => by === 'apply').map(keyOf));
  return { applied, made: new Set(made), adopted: new Set(adopted), leaving, weights };
}
