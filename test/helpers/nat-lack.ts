import { release } from 'node:os';
import { IpvsError } from '../../src/errors.ts';
import { openMasquerade } from '../../src/masquerade/open-rules.ts';
import { makeNamespace } from './namespace.ts';

/** Why the kernel has no NAT for a variant of iptables; undefined where it has. */
export async function lackOfNat(variant: 'auto' | 'legacy'): Promise<string | undefined> {
  const probe = makeNamespace('probe');
  using table = await openMasquerade({ netns: probe.name, variant });
  try {
    await table.add({ source: '10.0.0.0/24' });
    return undefined;
  } catch (error) {
    if (!(error instanceof IpvsError && error.code === 'NAT_UNAVAILABLE')) throw error;
    // Kernels of Debian have NAT for nft; others have what they were built with.
    if (variant === 'auto' && /-(?:amd64|arm64)$/.test(release())) throw error;
    return error.message;
  } finally {
    probe.remove();
  }
}
