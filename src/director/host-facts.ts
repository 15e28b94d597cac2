/** Reads what masqueraded services need of a host. It loads no module, makes no table, and leaves out what it may not read. */
import { existsSync } from 'node:fs';
import type { AddressTable } from '../addresses/address-table.ts';
import { IpvsError } from '../errors.ts';
import type { Family } from '../ipvs/address.ts';
import { Iptables, type Program } from '../masquerade/iptables.ts';
import type { Native } from '../native.ts';
import { linesOf } from '../proc/lines.ts';
import type { SysctlHost } from '../sysctl/sysctls.ts';
import { CONNTRACK, FORWARDING } from './needed-settings.ts';
import { type HostFacts, rpFilterName } from './prerequisites.ts';

export interface HostParts {
  readonly native: Native;
  readonly namespacePath: string;
  readonly addresses: AddressTable;
  readonly sysctls: SysctlHost;
}

/** Where the kernel lists the tables of the legacy store; those of nft are there if its module is. */
const LEGACY_TABLES = { inet: 'ip_tables_names', inet6: 'ip6_tables_names' } as const;
const NFT_MODULE = '/sys/module/nf_tables';

export async function readHostFacts(parts: HostParts): Promise<HostFacts> {
  const { addresses, sysctls } = parts;
  const interfaces = (await orElse([], async () => sysctls.interfaces())) ?? [];
  const names = [...Object.values(FORWARDING), CONNTRACK, ...['all', ...interfaces].map(rpFilterName)];
  const values = await Promise.all(
    names.map(async (name) => [name, await orElse(undefined, async () => sysctls.read(name))] as const),
  );
  const filters = await Promise.all((['inet', 'inet6'] as const).map((family) => filtersOf(parts, family)));
  return {
    sysctls: Object.fromEntries(values.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    addresses: await orElse([], () => addresses.list()),
    filters: filters.flat(),
  };
}

async function filtersOf({ native, namespacePath }: HostParts, family: Family): Promise<HostFacts['filters']> {
  const iptables = new Iptables({ namespacePath });
  const stores: Program[] = [
    ...((await orElse(false, () => hasLegacyFilter(native, namespacePath, family))) ? (['legacy'] as const) : []),
    ...(existsSync(NFT_MODULE) ? (['nft'] as const) : []),
  ];
  const saved = await Promise.all(
    stores.map((store) => orElse(undefined, () => iptables.save(store, family, 'filter'))),
  );
  return saved.flatMap((text) => (text === undefined ? [] : [{ family, saved: text }]));
}

async function hasLegacyFilter(native: Native, namespacePath: string, family: Family): Promise<boolean> {
  for await (const lines of linesOf(native, namespacePath, LEGACY_TABLES[family]))
    if (lines.includes('filter')) return true;
  return false;
}

/** What is not there, or may not be read, gives no answer. */
async function orElse<T, Otherwise>(otherwise: Otherwise, read: () => Promise<T>): Promise<T | Otherwise> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof IpvsError) return otherwise;
    throw error;
  }
}
