/** Why a plan is not carried out. Pure. */
import { IpvsError } from '../base/errors.ts';
import type { Conflict } from '../engine/resource.ts';
import { describeExcess, type Excess } from './limits.ts';
import { describeUneven, type UnevenWeights } from './uneven-weights.ts';

interface Objections {
  readonly conflicts: readonly Conflict[];
  readonly excess: readonly Excess[];
  /** What goes beyond what the plan is about, in words. */
  readonly wider?: readonly string[];
  readonly uneven?: readonly UnevenWeights[];
}

/** NOT_OURS, or unless `force` LIMIT_EXCEEDED, WIDER_EFFECTS or WEIGHTS_TOO_UNEVEN; undefined if nothing stands against it. */
export function planRefusal(
  { conflicts, excess, wider = [], uneven = [] }: Objections,
  force: boolean,
): IpvsError | undefined {
  if (conflicts.length > 0)
    return new IpvsError('NOT_OURS', { subject: some(conflicts.map(({ subject }) => subject)) });
  if (excess.length > 0 && !force) return new IpvsError('LIMIT_EXCEEDED', { detail: some(excess.map(describeExcess)) });
  if (wider.length > 0 && !force) return new IpvsError('WIDER_EFFECTS', { detail: some(wider) });
  if (uneven.length > 0 && !force)
    return new IpvsError('WEIGHTS_TOO_UNEVEN', { detail: some(uneven.map(describeUneven)), hint: ALLOWED_IN_FILE });
  return undefined;
}

const ALLOWED_IN_FILE =
  'use smaller weights, or weights with a common divisor; "limits: { maxWeightSteps }" of the file or --force allows it';

/** The first few, and how many more. */
function some(texts: readonly string[]): string {
  const most = 5;
  return texts.length <= most ? texts.join(', ') : `${texts.slice(0, most).join(', ')} and ${texts.length - most} more`;
}
