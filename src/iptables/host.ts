/** The iptables of a host, as rules need it: its programs, and a look at the tables that loads no module. */
import { readFileSync } from 'node:fs';
import { errno, IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';
import type { Family } from '../net/address.ts';
import { NetlinkConnection } from '../netlink/connection.ts';
import { NETLINK_NETFILTER } from '../netlink/conntrack.ts';
import { getChainRequest } from '../netlink/nftables.ts';
import { interfaceNames } from '../proc/interfaces.ts';
import { mayHaveModule } from '../proc/modules.ts';
import type { ChainPlace, Store } from './chain.ts';
import { Iptables, type IptablesOptions, type Program } from './programs.ts';

export interface RuleHost {
  /** The store that a program writes to. */
  store(program: Program, family: Family): Promise<Store>;
  /** A whole table, with counters, as iptables-save prints it. */
  save(program: Program, family: Family, table: string): Promise<string>;
  /** Makes one commit of a text for iptables-restore. */
  restore(program: Program, family: Family, text: string): Promise<void>;
  /** False where the kernel has no nf_tables. */
  mayHaveNft(): boolean;
  hasNftChain(place: ChainPlace): boolean;
  hasLegacyTable(place: ChainPlace): boolean;
  /** The names of the network interfaces. */
  interfaces(): readonly string[];
}

export interface KernelRuleHostOptions extends IptablesOptions {
  readonly native: Native;
}

export class KernelRuleHost extends Iptables implements RuleHost {
  readonly #at: { readonly native: Native; readonly namespacePath: string };

  constructor({ native, ...options }: KernelRuleHostOptions) {
    super(options);
    this.#at = { native, namespacePath: options.namespacePath ?? '' };
  }

  interfaces(): string[] {
    return interfaceNames(this.#at.native, this.#at.namespacePath);
  }

  mayHaveNft(): boolean {
    return mayHaveModule('nf_tables');
  }

  hasLegacyTable({ chain: { table }, family }: ChainPlace): boolean {
    const { native, namespacePath } = this.#at;
    const name = family === 'inet' ? 'ip_tables_names' : 'ip6_tables_names';
    const fd = native.openProcNet(namespacePath, name);
    // The file comes with the module.
    if (fd === -errno.ENOENT) return false;
    if (fd < 0) throw unreadable(`/proc/net/${name}`, -fd);
    try {
      return readFileSync(fd, 'latin1').split('\n').includes(table);
    } finally {
      native.close(fd);
    }
  }

  hasNftChain({ chain: { table, name }, family }: ChainPlace): boolean {
    const { native, namespacePath } = this.#at;
    const connection = NetlinkConnection.open({ native, namespacePath, protocol: NETLINK_NETFILTER });
    try {
      const { outcome } = connection.request(getChainRequest(family, table, name), () => undefined);
      if (lacksChain.has(outcome.errno)) return false;
      if (outcome.errno !== 0) throw unreadable(`table ${table} of nft`, outcome.errno);
      return true;
    } finally {
      connection.close();
    }
  }
}

/** No such chain or table; no such family; no nf_tables. */
const lacksChain: ReadonlySet<number> = new Set([errno.ENOENT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL]);

function unreadable(subject: string, code: number): IpvsError {
  const about = { operation: 'read', subject, errno: code };
  if (code !== errno.EPERM && code !== errno.EACCES) return new IpvsError('PROC_UNREADABLE', about);
  const hint = 'it needs CAP_NET_ADMIN in the network namespace: run it as root';
  return new IpvsError('PERMISSION_DENIED', { ...about, hint });
}
