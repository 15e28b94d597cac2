/** Single commands check that the weights of a service suit the scheduler wrr. */

import { type ErrorCode, IpvsError } from '../base/errors.ts';
import { unevenWeights } from '../director/uneven-weights.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { printWarning } from './terminal/exit.ts';

export const forceOption = {
  force: { describe: 'Also where wrr would take too many steps between the weights' },
} as const;

/** What a command sets; the rest stays as the kernel holds it. */
interface Setting {
  readonly service: string;
  readonly scheduler?: string | undefined;
  readonly destination?: { readonly address: string; readonly weight: number | undefined; readonly isNew: boolean };
}

/** What the command meets too, and says itself. */
const leftToCommand: ReadonlySet<ErrorCode> = new Set(['SERVICE_NOT_FOUND', 'IPVS_NOT_LOADED', 'PERMISSION_DENIED']);

/** Throws WEIGHTS_TOO_UNEVEN. A service that cannot be read is left to the command itself, with a warning. */
export async function refuseUneven(
  ipvs: Ipvs,
  { service, scheduler, destination }: Setting,
  about: { readonly operation: string; readonly subject: string },
): Promise<void> {
  // Neither another scheduler nor less weight adds steps.
  if (scheduler !== 'wrr' && !destination?.weight) return;
  const before = await ipvs.service(service).catch((error: unknown) => {
    if (!(error instanceof IpvsError)) throw error;
    if (!leftToCommand.has(error.code)) printWarning(`whether wrr suits these weights is unknown: ${error.message}`);
    return undefined;
  });
  if (before === undefined) return;
  const weights = new Map(before.destinations.map(({ address, weight }) => [address, weight]));
  if (destination?.weight !== undefined) {
    if (weights.has(destination.address) === destination.isNew) return;
    weights.set(destination.address, destination.weight);
  }
  const uneven = unevenWeights(service, before, { scheduler: scheduler ?? before.scheduler, weights });
  if (uneven === undefined) return;
  throw new IpvsError('WEIGHTS_TOO_UNEVEN', { ...about, detail: `${uneven.steps}; the limit is ${uneven.limit}` });
}
