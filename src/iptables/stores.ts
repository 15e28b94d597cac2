/** The two stores of iptables: which one the host writes to, and what both hold of a chain. Looking loads no module. */
import { IpvsError } from '../base/errors.ts';
import type { Family } from '../net/address.ts';
import { type Chain, type ChainPlace, hasRules, isUsed, NO_CHAIN, otherStore, readChain, type Store } from './chain.ts';
import type { RuleHost } from './host.ts';
import type { IptablesVariant, Program } from './programs.ts';
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
  readonly host: RuleHost;
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
   * where that alone has rules. A variant that is named takes its own store always. With `whole` the rules of others are
   * counted in both. Throws IPTABLES_INCOMPLETE,
   * IPTABLES_MISSING, IPTABLES_REFUSED, NAT_UNAVAILABLE, EXTENSION_UNAVAILABLE, PERMISSION_DENIED.
   */
  async read(place: ChainPlace, { whole = false }: { readonly whole?: boolean } = {}): Promise<Reading> {
    const { variant } = this.#options;
    const own = await this.#ownStore(place.family);
    const programOf = (store: Store): Program => (store === own && variant === 'auto' ? 'host' : store);
    const [nft, legacy] = await Promise.all([
      this.#readNft(place, programOf('nft'), whole || own === 'nft'),
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
    const { variant, host } = this.#options;
    const known = this.#host.get(family);
    if (known !== undefined) return known;
    const asked = host.store(variant === 'auto' ? 'host' : variant, family);
    this.#host.set(family, asked);
    return asked;
  }

  /** Of the other store only a chain of ours counts: without one, what else is hidden there is no matter. */
  async #readNft(place: ChainPlace, program: Program, isOwn: boolean): Promise<Look> {
    const { host } = this.#options;
    if (!host.mayHaveNft()) return NOTHING;
    return isOwn || host.hasNftChain(place) ? this.#save(place, program) : NOTHING;
  }

  /** Listing a table of legacy makes it, so only one that is there is listed. */
  async #readLegacy(place: ChainPlace, program: Program, isOwn: boolean): Promise<Look> {
    if (!this.#options.host.hasLegacyTable(place)) return NOTHING;
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
    const saved = await this.#options.host.save(program, family, chain.table);
    return { chain: readChain(saved, chain), isInUse: hasRules(saved) };
  }
}

function mainStore(host: Store, nft: Look, legacy: Look): Store {
  const [isInNft, isInLegacy] = [isUsed(nft.chain), isUsed(legacy.chain)];
  if (isInNft !== isInLegacy) return isInNft ? 'nft' : 'legacy';
  return !isInNft && legacy.isInUse && !nft.isInUse ? 'legacy' : host;
}
