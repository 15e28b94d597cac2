/** Why a plan is not carried out. Pure. */
import { IpvsError } from '../errors.ts';
import type { Conflict } from '../plan/resource.ts';
import { describeExcess, type Excess } from './limits.ts';

/** NOT_OURS, or LIMIT_EXCEEDED unless `force`; undefined if nothing stands against it. */
export function planRefusal(
  { conflicts, excess }: { readonly conflicts: readonly Conflict[]; readonly excess: readonly Excess[] },
  force: boolean,
): IpvsError | undefined {
  if (conflicts.length > 0)
    return new IpvsError('NOT_OURS', { subject: some(conflicts.map(({ subject }) => subject)) });
  if (excess.length > 0 && !force) return new IpvsError('LIMIT_EXCEEDED', { detail: some(excess.map(describeExcess)) });
  return undefined;
}

/** The first few, and how many more. */
function some(texts: readonly string[]): string {
  const most = 5;
  return texts.length <= most ? texts.join(', ') : `${texts.slice(0, most).join(', ')} and ${texts.length - most} more`;
}
