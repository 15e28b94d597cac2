/** Reads what masqueraded services need of a host, and says what it cannot read. It loads no module, and makes no table. */
import { existsSync } from 'node:fs';
import type { AddressTable } from '../addresses/address-table.ts';
import { type ErrorCode, errno, IpvsError } from '../base/errors.ts';
import { Iptables, type Program } from '../iptables/programs.ts';
import type { Native } from '../kernel/native.ts';
import type { Family } from '../net/address.ts';
import { linesOf } from '../proc/lines.ts';
import { CONNTRACK, FORWARDING } from '../state/needed-settings.ts';
import type { SysctlHost } from '../sysctl/sysctls.ts';
import { ADDRESSES, filterOf, type HostFacts, INTERFACES, rpFilterName } from './prerequisites.ts';

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
  const unread: Record<string, string> = {};
  const interfaces = (await known(INTERFACES, unread, async () => sysctls.interfaces())) ?? [];
  const names = [...Object.values(FORWARDING), CONNTRACK, ...['all', ...interfaces].map(rpFilterName)];
  const values = await Promise.all(
    names.map(async (name) => [name, await known(name, unread, async () => sysctls.read(name))] as const),
  );
  const filters = await Promise.all((['inet', 'inet6'] as const).map((family) => filtersOf(parts, family, unread)));
  return {
    sysctls: Object.fromEntries(values.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    addresses: (await known(ADDRESSES, unread, () => addresses.list())) ?? [],
    filters: filters.flat(),
    ...(Object.keys(unread).length > 0 && { unread }),
  };
}

async function filtersOf(
  { native, namespacePath }: HostParts,
  family: Family,
  unread: Record<string, string>,
): Promise<HostFacts['filters']> {
  const iptables = new Iptables({ namespacePath });
  const what = filterOf(family);
  const hasLegacy = await known(what, unread, () => hasLegacyFilter(native, namespacePath, family));
  const stores: Program[] = [
    ...(hasLegacy ? (['legacy'] as const) : []),
    ...(existsSync(NFT_MODULE) ? (['nft'] as const) : []),
  ];
  const saved = await Promise.all(
    stores.map((store) =>
      known(what, unread, () => iptables.save(store, family, 'filter'), store === 'nft' ? withoutProgram : absent),
    ),
  );
  return saved.flatMap((text) => (text === undefined ? [] : [{ family, saved: text }]));
}

async function hasLegacyFilter(native: Native, namespacePath: string, family: Family): Promise<boolean> {
  for await (const lines of linesOf(native, namespacePath, LEGACY_TABLES[family]))
    if (lines.includes('filter')) return true;
  return false;
}

/** The kernel does not have it. */
const absent: readonly ErrorCode[] = ['SYSCTL_NOT_FOUND', 'NAT_UNAVAILABLE', 'EXTENSION_UNAVAILABLE'];
/** On a host without iptables of nft, nobody has rules in its tables. */
const withoutProgram: readonly ErrorCode[] = [...absent, 'IPTABLES_MISSING'];

/** Undefined for what is absent, and for what cannot be read: that goes to `unread`. */
async function known<T>(
  what: string,
  unread: Record<string, string>,
  read: () => Promise<T>,
  absence: readonly ErrorCode[] = absent,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof IpvsError)) throw error;
    // A file of /proc/net comes with its module.
    const isAbsent = absence.includes(error.code) || (error.code === 'PROC_UNREADABLE' && error.errno === errno.ENOENT);
    if (!isAbsent) unread[what] = error.message;
    return undefined;
  }
}
