/** What an edit comes to: what it names is new, the rest stays as the kernel holds it. */

import { given } from '../base/check.ts';
import { IpvsError } from '../base/errors.ts';
import {
  type Destination,
  type DestinationInput,
  type DestinationState,
  type Forward,
  isTunnel,
  normalizeDestination,
  normalizeLimits,
  type TunnelInput,
} from './destination.ts';
import type { VirtualServiceInput, VirtualServiceState } from './service.ts';

export function editedService(
  service: VirtualServiceState,
  changes: Omit<VirtualServiceInput, 'address'>,
): VirtualServiceInput {
  const { address, scheduler, schedulerFlags, persistence, onePacket } = service;
  // Another scheduler gives the flags another meaning.
  const keptFlags = changes.scheduler === undefined || changes.scheduler === scheduler ? schedulerFlags : [];
  const current = { scheduler, schedulerFlags: keptFlags, persistence, onePacket };
  const merged = { ...current, ...given(changes), address };
  const wanted = changes.persistence;
  if (persistence && typeof wanted === 'object' && wanted !== null) {
    return { ...merged, persistence: { ...persistence, ...given(wanted) } };
  }
  return merged;
}

export function editedDestination(
  { address, forward, weight, upperThreshold, lowerThreshold }: DestinationState,
  changes: Omit<DestinationInput, 'address'>,
  service: string,
): Destination {
  const limits = { weight, upperThreshold, lowerThreshold, ...given(changes) };
  const wanted = changes.forward;
  if (wanted !== undefined) {
    const merged = typeof wanted === 'object' && wanted !== null ? editedTunnel(forward, given(wanted)) : wanted;
    return normalizeDestination({ ...limits, forward: merged, address }, service);
  }
  // What another program made stays as it is, even what could not be made here.
  return { address, forward, ...normalizeLimits(limits) };
}

/** Another type of tunnel begins anew; of the same, what is not named stays. */
function editedTunnel(before: Forward, wanted: TunnelInput): TunnelInput {
  const { tunnel, port, checksum } =
    typeof before === 'object' ? before : { tunnel: 'ipip', port: 0, checksum: 'nocsum' };
  if (!isTunnel(before) && wanted.tunnel === undefined) {
    const hint = 'say by which: ipip, gue, gre';
    throw new IpvsError('INVALID_FORWARD', {
      detail: 'it is not reached by tunnel',
      path: ['forward', 'tunnel'],
      hint,
    });
  }
  if (!isTunnel(before) || (wanted.tunnel !== undefined && wanted.tunnel !== tunnel)) return wanted;
  return { tunnel, port, checksum, ...wanted };
}
