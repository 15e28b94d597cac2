/** What a ledger tells a plan, at a moment. Pure. */
import type { Ledger } from './ledger.ts';
import { rampedWeight } from './ramp.ts';
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
  { made, drains, ramps }: Pick<Ledger, 'made' | 'drains' | 'ramps'>,
  applied: Desired | undefined,
  nowMs: number,
): Known<Desired> {
  const key = ({ service, destination }: { service: string; destination: string }) => `${service} ${destination}`;
  return {
    applied,
    made: new Set(made),
    leaving: new Set(drains.filter(({ by }) => by === 'apply').map(key)),
    weights: new Map([
      ...ramps.map((ramp) => [key(ramp), rampedWeight(ramp, nowMs)] as const),
      ...drains.map((drain) => [key(drain), 0] as const),
    ]),
  };
}
