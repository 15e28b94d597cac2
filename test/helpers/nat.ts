/** Whether a kernel has NAT for iptables, for the tests that need it. */
import { release } from 'node:os';
import { IpvsError } from '../../src/base/errors.ts';
import { openMasquerade } from '../../src/iptables/open.ts';
import type { IptablesVariant } from '../../src/iptables/programs.ts';
import { makeNamespace } from './namespace.ts';

/** Why it has none for a variant of iptables; undefined where it has. Kernels of Debian have NAT for nft. */
export async function natAbsence(variant: IptablesVariant): Promise<string | undefined> {
  const probe = makeNamespace('probe');
  const table = await openMasquerade({ netns: probe.name, variant });
  try {
    await table.add({ source: '10.0.0.0/24' });
    return undefined;
  } catch (error) {
    const isLack = error instanceof IpvsError && error.code === 'NAT_UNAVAILABLE';
    if (!isLack || (variant === 'auto' && /-(?:amd64|arm64)$/.test(release()))) throw error;
    return error.message;
  } finally {
    table.close();
    probe.remove();
  }
}
