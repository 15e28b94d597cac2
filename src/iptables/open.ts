/** The masquerade rules of a network namespace for programs. */
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { KernelRuleHost } from './host.ts';
import { MasqueradeTable } from './masquerade-table.ts';
import type { IptablesVariant } from './programs.ts';

export interface OpenMasqueradeOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
  /** Default: what IPVS_DIRECTOR_IPTABLES says, else `auto`. */
  readonly variant?: IptablesVariant;
}

/** Throws NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
export async function openMasquerade({ netns, variant }: OpenMasqueradeOptions = {}): Promise<MasqueradeTable> {
  return inNamespace(
    netns,
    ({ path, release }) =>
      new MasqueradeTable({
        host: new KernelRuleHost({ native: native(), namespacePath: path }),
        release,
        ...(variant && { variant }),
      }),
  );
}
