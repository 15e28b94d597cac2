/** The rules of a network namespace that are ours: those in our chains. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import {
  type Chain,
  type ChainPlace,
  chainPlaces,
  groupsOf,
  isUsed,
  NO_CHAIN,
  placeName,
  probeText,
  restoreText,
  SOURCE_CHAIN,
} from './chain.ts';
import type { RuleHost } from './host.ts';
import { type IptablesVariant, iptablesVariants } from './programs.ts';
import { matchOf } from './rules/lines.ts';
import {
  conflictOf,
  formatMatch,
  type MasqueradeInput,
  type MasqueradeMatch,
  type MasqueradeRule,
  normalizeMasquerade,
  normalizeMatch,
  parseMatch,
} from './rules/masquerade.ts';
import {
  byPlace,
  changedStores,
  describeRuleOperation,
  isChain,
  placeOfOperation,
  type RuleOperation,
  type RuleResult,
  textsOf,
} from './rules/operation.ts';
import { linesOfRule, masquerade, nameOf, type OwnRule, partsOf, placeOf, rulesIn } from './rules/own-rule.ts';
import { type ProgramChain, type Reading, Stores } from './stores.ts';

/** By name, "IPVSD-POSTROUTING of IPv4"; one that was not looked at, or cannot be, is absent. */
export type Chains = Readonly<Record<string, Chain>>;

/** A rule that is there. */
export interface MasqueradeState {
  /** What it is called: "10.0.0.0/24 out eth0". */
  readonly key: string;
  /** Null where somebody altered it. */
  readonly rule: MasqueradeRule | null;
  /** Connections that began by it since it was made. */
  readonly flows: bigint;
}

export interface MasqueradeTableOptions {
  readonly host: RuleHost;
  /**
   * Whose tables: `auto` stays where our chain is; without one it takes legacy where that alone has rules, else what the
   * host calls iptables. Default: what IPVS_DIRECTOR_IPTABLES says, else `auto`.
   */
  readonly variant?: IptablesVariant;
  /** Called once, at the end. */
  readonly release?: () => void;
}

/** The kernel has no such table, so nothing is in it. */
const ABSENT: readonly string[] = ['NAT_UNAVAILABLE', 'EXTENSION_UNAVAILABLE'];

/** Where masquerade rules stand. */
export const sourcePlaces: readonly ChainPlace[] = chainPlaces.filter(({ chain }) => chain === SOURCE_CHAIN);
/** Whoever has iptables has this one. */
export const firstPlaces: readonly ChainPlace[] = sourcePlaces.filter(({ family }) => family === 'inet');

export class MasqueradeTable implements Disposable {
  readonly #host: RuleHost;
  readonly #variant: string;
  readonly #release: () => void;
  #closed = false;

  constructor({ host, variant, release = () => undefined }: MasqueradeTableOptions) {
    this.#variant = variant ?? process.env['IPVS_DIRECTOR_IPTABLES'] ?? 'auto';
    this.#host = host;
    this.#release = release;
  }

  /**
   * Those of inner networks, in the order in which they are asked. Throws IPTABLES_MISSING, IPTABLES_INCOMPLETE,
   * IPTABLES_REFUSED, PERMISSION_DENIED.
   */
  async list(): Promise<MasqueradeState[]> {
    const chains = await this.chains(firstPlaces, sourcePlaces);
    return Object.values(chains).flatMap(({ lines, copy }) => {
      const all = [...lines, ...(copy?.lines ?? [])];
      const held = new Map([...rulesIn(copy?.lines ?? []), ...rulesIn(lines)]);
      return [...held.values()].flatMap(({ name, rule, lines: own }) => {
        if (partsOf(name).kind !== 'masquerade') return [];
        const flows = all.filter(({ text }) => own.includes(text)).reduce((sum, { packets }) => sum + packets, 0n);
        return [{ key: name, rule: rule?.kind === 'masquerade' ? rule.rule : null, flows }];
      });
    });
  }

  /**
   * Throws MASQUERADE_EXISTS, INTERFACE_NOT_FOUND, INVALID_MASQUERADE and all else that `normalizeMasquerade` does,
   * NAT_UNAVAILABLE, IPTABLES_MISSING, IPTABLES_TOO_OLD, IPTABLES_REFUSED, PERMISSION_DENIED: then nothing changed.
   */
  async add(input: MasqueradeInput): Promise<MasqueradeRule> {
    const rule = normalizeMasquerade(input);
    await this.#do({ type: 'rule.add', rule: masquerade(rule) });
    return rule;
  }

  /** By its network, interface and protocol, or by what it is called. Throws MASQUERADE_NOT_FOUND, and as `add`. */
  async delete(match: string | MasqueradeMatch): Promise<void> {
    const key = formatMatch(typeof match === 'string' ? parseMatch(match) : normalizeMatch(match));
    await this.#do({ type: 'rule.delete', place: placeName(placeOf(key)), name: key });
  }

  /**
   * What chains hold, in both stores. Throws as `list` does; but of `others` a host may lack the program (then they are
   * left out), and the kernel the table.
   */
  async chains(needed: readonly ChainPlace[], others: readonly ChainPlace[] = []): Promise<Chains> {
    const stores = this.#stores();
    const places = chainPlaces.filter((place) => needed.includes(place) || others.includes(place));
    const read = await Promise.all(
      places.map(async (place): Promise<[string, Chain][]> => {
        try {
          return [[placeName(place), heldIn(await stores.read(place))]];
        } catch (error) {
          if (needed.includes(place) || !(error instanceof IpvsError)) throw error;
          if (error.code === 'IPTABLES_MISSING') return [];
          if (!ABSENT.includes(error.code)) throw error;
          return [[placeName(place), NO_CHAIN]];
        }
      }),
    );
    return Object.fromEntries(read.flat());
  }

  /** Those of the operations that are known to be refused. Nothing stays changed by it. */
  async check(operations: readonly RuleOperation[]): Promise<RuleResult[]> {
    const names = this.#host.interfaces();
    const refused: RuleResult[] = [];
    for (const [place, own] of byPlace(operations)) {
      const errors = await this.#foreseen(place, own, names).catch((error: unknown) => own.map(() => ours(error)));
      refused.push(
        ...own.flatMap((operation, i) => {
          const error = errors[i];
          return error ? [told(operation, error)] : [];
        }),
      );
    }
    return refused;
  }

  /** Those of a chain together: all are done, or none. */
  async execute(operations: readonly RuleOperation[]): Promise<RuleResult[]> {
    const errors = new Map<string, IpvsError>();
    for (const [place, own] of byPlace(operations)) {
      try {
        await this.#write(place, own);
      } catch (error) {
        errors.set(placeName(place), ours(error));
      }
    }
    return operations.map((operation) => {
      const error = errors.get(placeOfOperation(operation));
      return error ? told(operation, error) : { operation };
    });
  }

  close(): void {
    this.#release();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #do(operation: RuleOperation): Promise<void> {
    const [refused] = await this.check([operation]);
    const [result] = refused ? [refused] : await this.execute([operation]);
    if (result?.error) throw result.error;
  }

  /** One for each operation: why it would be refused. */
  async #foreseen(
    place: ChainPlace,
    operations: readonly RuleOperation[],
    interfaces: readonly string[],
  ): Promise<(IpvsError | undefined)[]> {
    const { main, other } = await this.#stores().read(place);
    const held = groupsOf([...main.chain.lines, ...other.chain.lines]);
    const texts = changedStores(main, other, operations).flatMap(([, { lines }]) => lines);
    const after = [...groupsOf(texts.map((text) => ({ text }))).keys()];
    const errors = operations.map((operation) => foreseen(operation, { held, after, interfaces }));
    const added = operations.flatMap((operation, i) =>
      'rule' in operation && errors[i] === undefined ? linesOfRule(operation.rule) : [],
    );
    // A listing would not tell: without NAT in the kernel, iptables of nft shows an empty table.
    if (added.length > 0) await this.#host.restore(main.program, place.family, probeText(place.chain, added));
    return errors;
  }

  /** What was written to one store is taken back if the other refuses. */
  async #write(place: ChainPlace, operations: readonly RuleOperation[]): Promise<void> {
    const isPlaced = operations.some((each) => each.type === 'chain.restore' && (each.jumpAt ?? 1) > 1);
    const { main, other } = await this.#stores().read(place, { whole: isPlaced });
    const written: ProgramChain[] = [];
    try {
      for (const [stored, wanted] of changedStores(main, other, operations)) {
        if (isChain(stored.chain, wanted)) continue;
        await this.#host.restore(stored.program, place.family, restoreText(place.chain, stored.chain, wanted));
        written.push(stored);
      }
    } catch (error) {
      for (const stored of written) await this.#putBack(place, stored);
      throw error;
    }
  }

  /** As far as that goes: the error before it is the one to report. */
  async #putBack(place: ChainPlace, { store, chain }: ProgramChain): Promise<void> {
    try {
      const { main, other } = await this.#stores().read(place);
      const now = main.store === store ? main : other;
      const { lines, jumps, jumpAt } = chain;
      const before = { lines: textsOf(lines), jumps, ...(jumpAt !== undefined && { jumpAt }) };
      await this.#host.restore(now.program, place.family, restoreText(place.chain, now.chain, before));
    } catch (error) {
      ours(error);
    }
  }

  #stores(): Stores {
    if (this.#closed) throw new IpvsError('CLOSED');
    return new Stores({ host: this.#host, variant: variantOf(this.#variant) });
  }
}

/** The chain in its store, and what the other store has of it. */
function heldIn({ main, other }: Reading): Chain {
  return {
    ...main.chain,
    ...(isUsed(main.chain) && { store: main.store }),
    ...(isUsed(other.chain) && { copy: { ...other.chain, store: other.store } }),
  };
}

function foreseen(
  operation: RuleOperation,
  { held, after, interfaces }: { held: ReadonlyMap<string, unknown>; after: string[]; interfaces: readonly string[] },
): IpvsError | undefined {
  if (operation.type === 'rule.delete' && !held.has(operation.name)) return new IpvsError('MASQUERADE_NOT_FOUND');
  if (!('rule' in operation)) return undefined;
  const { rule } = operation;
  const name = nameOf(rule);
  if (operation.type === 'rule.add' && held.has(name)) return new IpvsError('MASQUERADE_EXISTS');
  const missing = interfacesOf(rule).find((device) => !interfaces.includes(device));
  if (missing !== undefined) return new IpvsError('INTERFACE_NOT_FOUND', { detail: quote(missing) });
  if (rule.kind !== 'masquerade') return undefined;
  return after.flatMap((other) => {
    const match = other === name ? undefined : matchOf(other);
    return (match && conflictOf(rule.rule, match)) ?? [];
  })[0];
}

function interfacesOf(rule: OwnRule): string[] {
  const said =
    rule.kind === 'masquerade' ? [rule.rule.out] : rule.kind === 'marks' ? rule.matches.map((m) => m.in) : [];
  return said.filter((device) => device !== undefined);
}

function told(operation: RuleOperation, error: IpvsError): RuleResult {
  const { verb, subject } = describeRuleOperation(operation);
  return { operation, error: error.with({ operation: verb, subject }) };
}

/** Of refusals; a fault of ours is none. */
function ours(error: unknown): IpvsError {
  if (error instanceof IpvsError) return error;
  throw error;
}

function variantOf(text: string): IptablesVariant {
  const variant = iptablesVariants.find((each) => each === text);
  if (variant !== undefined) return variant;
  const hint = `one of ${iptablesVariants.join(', ')}`;
  throw new IpvsError('INVALID_OPTION', { detail: `variant of iptables ${quote(text)}`, hint });
}
