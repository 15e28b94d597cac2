/** The settings of a network namespace for programs. */
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { SysctlTable } from './sysctl-table.ts';
import { KernelSysctls } from './sysctls.ts';

export interface OpenSysctlsOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
}

/** Throws NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
export async function openSysctls({ netns }: OpenSysctlsOptions = {}): Promise<SysctlTable> {
  return inNamespace(netns, ({ path, release }) => new SysctlTable(new KernelSysctls(native(), path), release));
}
