/** The mappings of a network namespace for programs. */
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { MappingTable } from './mapping-table.ts';

export interface OpenMappingsOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
}

/** Throws NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
export async function openMappings({ netns }: OpenMappingsOptions = {}): Promise<MappingTable> {
  return inNamespace(
    netns,
    ({ path, release }) => new MappingTable({ native: native(), namespacePath: path, release }),
  );
}
