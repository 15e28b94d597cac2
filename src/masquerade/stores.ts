/** The two stores of iptables: which one the host writes to, and what both hold of a chain. Looking loads no module. */
import { readFileSync } from 'node:fs';
import { errno, IpvsError } from '../errors.ts';
import type { Family } from '../ipvs/address.ts';
import type { Native } from '../native.ts';
import { NetlinkConnection } from '../netlink/connection.ts';
import { NETLINK_NETFILTER } from '../netlink/conntrack.ts';
import { getChainRequest } from '../netlink/nftables.ts';
import { mayHaveModule } from '../proc/modules.ts';
import { type Chain, type ChainPlace, hasRules, isUsed, NO_CHAIN, otherStore, readChain, type Store } from './chain.ts';
import type { Iptables, IptablesVariant, Program } from './iptables.ts';
import { incomplete } from './saved.ts';

/** A chain in one store, and whose programs write to it. */
export interface ProgramChain {
  readonly store: Store;
  readonly program: Program;
  readonly chain: Chain;
}

/** `main`: where rules go. */
export interface Reading {
  readonly main: ProgramChain;
  readonly other: ProgramChain;
}

interface Look {
  readonly chain: Chain;
  /** Whether the table has rules, of any program. */
  readonly isInUse: boolean;
}

const NOTHING: Look = { chain: NO_CHAIN, isInUse: false };

export interface StoresOptions {
  readonly native: Native;
  readonly namespacePath: string;
  readonly iptables: Iptables;
  readonly variant: IptablesVariant;
}

/** Of one call: which store is the host's is asked once for each family. */
export class Stores {
  readonly #options: StoresOptions;
  readonly #host = new Map<Family, Promise<Store>>();

  constructor(options: StoresOptions) {
    this.#options = options;
  }

  /**
   * Rules stay where our chain is. With no chain yet, or one in each store, they go to the host's store; but to legacy
   * where that alone has rules. A variant that is named takes its own store always. Throws IPTABLES_INCOMPLETE,
   * IPTABLES_MISSING, IPTABLES_REFUSED, NAT_UNAVAILABLE, EXTENSION_UNAVAILABLE, PERMISSION_DENIED.
   */
  async read(place: ChainPlace): Promise<Reading> {
    const { variant } = this.#options;
    const own = await this.#ownStore(place.family);
    const programOf = (store: Store): Program => (store === own && variant === 'auto' ? 'host' : store);
    const [nft, legacy] = await Promise.all([
      this.#readNft(place, programOf('nft'), own === 'nft'),
      this.#readLegacy(place, programOf('legacy'), own === 'legacy'),
    ]);
    const stored = (store: Store): ProgramChain => ({
      store,
      program: programOf(store),
      chain: (store === 'nft' ? nft : legacy).chain,
    });
    const main = variant === 'auto' ? mainStore(own, nft, legacy) : own;
    return { main: stored(main), other: stored(otherStore(main)) };
  }

  /** The one of the variant; of `auto` the host's. */
  #ownStore(family: Family): Promise<Store> {
    const { variant, iptables } = this.#options;
    const known = this.#host.get(family);
    if (known !== undefined) return known;
    const asked = iptables.store(variant === 'auto' ? 'host' : variant, family);
    this.#host.set(family, asked);
    return asked;
  }

  /** Of the other store only a chain of ours counts: without one, what else is hidden there is no matter. */
  async #readNft(place: ChainPlace, program: Program, isOwn: boolean): Promise<Look> {
    if (!mayHaveModule('nf_tables')) return NOTHING;
    return isOwn || this.#hasNftChain(place) ? this.#save(place, program) : NOTHING;
  }

  /** Listing a table of legacy makes it, so only one that is there is listed. */
  async #readLegacy(place: ChainPlace, program: Program, isOwn: boolean): Promise<Look> {
    if (!this.#hasLegacyTable(place)) return NOTHING;
    try {
      return await this.#save(place, program);
    } catch (error) {
      if (isOwn || !(error instanceof IpvsError) || error.code !== 'IPTABLES_MISSING') throw error;
      // Whoever names the variant says that nothing of ours is in the other store.
      if (this.#options.variant !== 'auto') return NOTHING;
      const detail = `the kernel has this table for iptables-legacy too, and ${error.detail}`;
      const hint = 'install iptables-legacy; or say that our rules are in tables of nft: IPVS_DIRECTOR_IPTABLES=nft';
      throw incomplete(place.family, place.chain.table, detail, hint);
    }
  }

  async #save({ chain, family }: ChainPlace, program: Program): Promise<Look> {
    const saved = await this.#options.iptables.save(program, family, chain.table);
    return { chain: readChain(saved, chain), isInUse: hasRules(saved) };
  }

  #hasLegacyTable({ chain: { table }, family }: ChainPlace): boolean {
    const { native, namespacePath } = this.#options;
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

  #hasNftChain({ chain: { table, name }, family }: ChainPlace): boolean {
    const { native, namespacePath } = this.#options;
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

function mainStore(host: Store, nft: Look, legacy: Look): Store {
  const [isInNft, isInLegacy] = [isUsed(nft.chain), isUsed(legacy.chain)];
  if (isInNft !== isInLegacy) return isInNft ? 'nft' : 'legacy';
  return !isInNft && legacy.isInUse && !nft.isInUse ? 'legacy' : host;
}

function unreadable(subject: string, code: number): IpvsError {
  const about = { operation: 'read', subject, errno: code };
  if (code !== errno.EPERM && code !== errno.EACCES) return new IpvsError('PROC_UNREADABLE', about);
  const hint = 'it needs CAP_NET_ADMIN in the network namespace: run it as root';
  return new IpvsError('PERMISSION_DENIED', { ...about, hint });
}
