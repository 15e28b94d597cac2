/** Why a plan is not carried out. Pure. */
import { IpvsError } from '../errors.ts';
import type { Conflict } from '../plan/resource.ts';
import { describeExcess, type Excess } from './limits.ts';

interface Judged {
  readonly conflicts: readonly Conflict[];
  readonly excess: readonly Excess[];
  /** What goes beyond what the plan is about, in words. */
  readonly wider?: readonly string[];
}

/** NOT_OURS, or LIMIT_EXCEEDED or WIDER_EFFECTS unless `force`; undefined if nothing stands against it. */
export function planRefusal({ conflicts, excess, wider = [] }: Judged, force: boolean): IpvsError | undefined {
  if (conflicts.length > 0)
    return new IpvsError('NOT_OURS', { subject: some(conflicts.map(({ subject }) => subject)) });
  if (excess.length > 0 && !force) return new IpvsError('LIMIT_EXCEEDED', { detail: some(excess.map(describeExcess)) });
  if (wider.length > 0 && !force) return new IpvsError('WIDER_EFFECTS', { detail: some(wider) });
  return undefined;
}

/** The first few, and how many more. */
function some(texts: readonly string[]): string {
  const most = 5;
  return texts.length <= most ? texts.join(', ') : `${texts.slice(0, most).join(', ')} and ${texts.length - most} more`;
}
