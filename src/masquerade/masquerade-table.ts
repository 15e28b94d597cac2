/** The masquerade rules of a network namespace: those in the chains that are ours. */
import { readFileSync } from 'node:fs';
import { IpvsError } from '../errors.ts';
import type { Family } from '../ipvs/address.ts';
import { quote } from '../ipvs/quote.ts';
import type { Native } from '../native.ts';
import { interfaceNames } from '../proc/interfaces.ts';
import { type Chain, groupsOf, hasRules, NO_CHAIN, probeText, readChain, restoreText, SOURCE_CHAIN } from './chain.ts';
import { Iptables, type IptablesOptions, type IptablesVariant, iptablesVariants, type Program } from './iptables.ts';
import {
  changedChain,
  describeMasqueradeOperation,
  families,
  familyOfOperation,
  isChain,
  type MasqueradeOperation,
  type MasqueradeResult,
} from './operation.ts';
import {
  conflictOf,
  formatMatch,
  type MasqueradeInput,
  type MasqueradeMatch,
  type MasqueradeRule,
  normalizeMasquerade,
  normalizeMatch,
  parseMatch,
} from './rule.ts';
import { linesOf, matchOf, rulesIn } from './rule-lines.ts';

export type Chains = Readonly<Record<Family, Chain>>;

/** A rule that is there. */
export interface MasqueradeState {
  /** What it is called: "10.0.0.0/24 out eth0". */
  readonly key: string;
  /** Null where somebody altered it. */
  readonly rule: MasqueradeRule | null;
  /** Connections that began by it since it was made. */
  readonly flows: bigint;
}

export interface MasqueradeTableOptions extends IptablesOptions {
  readonly native: Native;
  /**
   * Whose tables: `auto` takes those of legacy where it alone has rules, else what the host calls iptables. Default: what
   * IPVS_DIRECTOR_IPTABLES says, else `auto`.
   */
  readonly variant?: IptablesVariant;
  /** Called once, at the end. */
  readonly release?: () => void;
}

/** Of a family that nobody asked for: this host may lack it. */
const ABSENT: readonly string[] = ['IPTABLES_MISSING', 'IPTABLES_REFUSED', 'NAT_UNAVAILABLE'];

export class MasqueradeTable implements Disposable {
  readonly #iptables: Iptables;
  readonly #native: Native;
  readonly #namespacePath: string;
  readonly #variant: string;
  readonly #release: () => void;
  #closed = false;

  constructor({ native, variant, release = () => undefined, ...options }: MasqueradeTableOptions) {
    this.#variant = variant ?? process.env['IPVS_DIRECTOR_IPTABLES'] ?? 'auto';
    this.#iptables = new Iptables(options);
    this.#native = native;
    this.#namespacePath = options.namespacePath ?? '';
    this.#release = release;
  }

  /** In the order in which they are asked. Throws IPTABLES_MISSING, IPTABLES_REFUSED, PERMISSION_DENIED. */
  async list(): Promise<MasqueradeState[]> {
    const chains = await this.chains(['inet']);
    return families.flatMap((family) => {
      const { lines } = chains[family];
      return [...rulesIn(lines).values()].map(({ key, rule, lines: own }) => {
        const flows = lines.filter(({ text }) => own.includes(text)).reduce((sum, { packets }) => sum + packets, 0n);
        return { key, rule: rule ?? null, flows };
      });
    });
  }

  /**
   * Throws MASQUERADE_EXISTS, INTERFACE_NOT_FOUND, INVALID_MASQUERADE and all else that `normalizeMasquerade` does,
   * NAT_UNAVAILABLE, IPTABLES_MISSING, IPTABLES_TOO_OLD, IPTABLES_REFUSED, PERMISSION_DENIED: then nothing changed.
   */
  async add(input: MasqueradeInput): Promise<MasqueradeRule> {
    const rule = normalizeMasquerade(input);
    await this.#do({ type: 'masquerade.add', rule });
    return rule;
  }

  /** By its network, interface and protocol, or by what it is called. Throws MASQUERADE_NOT_FOUND, and as `add`. */
  async delete(match: string | MasqueradeMatch): Promise<void> {
    const key = formatMatch(typeof match === 'string' ? parseMatch(match) : normalizeMatch(match));
    await this.#do({ type: 'masquerade.delete', key });
  }

  /** What the chains hold; of the families that are needed, or it throws as `list` does. */
  async chains(needed: readonly Family[]): Promise<Chains> {
    const [inet, inet6] = await Promise.all(
      (['inet', 'inet6'] as const).map(async (family) => {
        try {
          return (await this.#read(family)).chain;
        } catch (error) {
          if (!needed.includes(family) && error instanceof IpvsError && ABSENT.includes(error.code)) return NO_CHAIN;
          throw error;
        }
      }),
    );
    return { inet: inet ?? NO_CHAIN, inet6: inet6 ?? NO_CHAIN };
  }

  /** Those of the operations that are known to be refused. Nothing stays changed by it. */
  async check(operations: readonly MasqueradeOperation[]): Promise<MasqueradeResult[]> {
    const names = interfaceNames(this.#native, this.#namespacePath);
    const refused: MasqueradeResult[] = [];
    for (const [family, own] of byFamily(operations)) {
      const errors = await this.#foreseen(family, own, names).catch((error: unknown) => own.map(() => ours(error)));
      refused.push(
        ...own.flatMap((operation, i) => {
          const error = errors[i];
          return error ? [told(operation, error)] : [];
        }),
      );
    }
    return refused;
  }

  /** Those of a family together: all are done, or none. */
  async execute(operations: readonly MasqueradeOperation[]): Promise<MasqueradeResult[]> {
    const errors = new Map<Family, IpvsError>();
    for (const [family, own] of byFamily(operations)) {
      try {
        await this.#write(family, own);
      } catch (error) {
        errors.set(family, ours(error));
      }
    }
    return operations.map((operation) => {
      const error = errors.get(familyOfOperation(operation));
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

  async #do(operation: MasqueradeOperation): Promise<void> {
    const [refused] = await this.check([operation]);
    const [result] = refused ? [refused] : await this.execute([operation]);
    if (result?.error) throw result.error;
  }

  /** One for each operation: why it would be refused. */
  async #foreseen(
    family: Family,
    operations: readonly MasqueradeOperation[],
    interfaces: readonly string[],
  ): Promise<(IpvsError | undefined)[]> {
    const { program, chain } = await this.#read(family);
    const held = groupsOf(chain.lines);
    const after = [...groupsOf(changedChain(chain, operations).lines.map((text) => ({ text }))).keys()];
    const errors = operations.map((operation) => foreseen(operation, { held, after, interfaces }));
    const added = operations.flatMap((operation, i) =>
      'rule' in operation && errors[i] === undefined ? linesOf(operation.rule) : [],
    );
    // A listing would not tell: without NAT in the kernel, iptables of nft shows an empty table.
    if (added.length > 0) await this.#iptables.restore(program, family, probeText(SOURCE_CHAIN, added));
    return errors;
  }

  async #write(family: Family, operations: readonly MasqueradeOperation[]): Promise<void> {
    const { program, chain } = await this.#read(family);
    const wanted = changedChain(chain, operations);
    if (isChain(chain, wanted)) return;
    await this.#iptables.restore(program, family, restoreText(SOURCE_CHAIN, chain, wanted));
  }

  async #read(family: Family): Promise<{ readonly program: Program; readonly chain: Chain }> {
    if (this.#closed) throw new IpvsError('CLOSED');
    const { table } = SOURCE_CHAIN;
    const variant = variantOf(this.#variant);
    const first = variant === 'auto' ? 'host' : variant;
    const saved = await this.#iptables.save(first, family, table);
    const chain = readChain(saved, SOURCE_CHAIN);
    if (first !== 'host' || chain.exists || !this.#hasLegacyTable(family, table)) return { program: first, chain };
    const legacy = await this.#iptables.save('legacy', family, table).catch(() => '');
    const legacyChain = readChain(legacy, SOURCE_CHAIN);
    const isLegacy = legacyChain.exists || (hasRules(legacy) && !hasRules(saved));
    return isLegacy ? { program: 'legacy', chain: legacyChain } : { program: first, chain };
  }

  /** Whether somebody used it: listing it would make it. */
  #hasLegacyTable(family: Family, table: string): boolean {
    const fd = this.#native.openProcNet(
      this.#namespacePath,
      family === 'inet' ? 'ip_tables_names' : 'ip6_tables_names',
    );
    if (fd < 0) return false;
    try {
      return readFileSync(fd, 'latin1').split('\n').includes(table);
    } finally {
      this.#native.close(fd);
    }
  }
}

function foreseen(
  operation: MasqueradeOperation,
  { held, after, interfaces }: { held: ReadonlyMap<string, unknown>; after: string[]; interfaces: readonly string[] },
): IpvsError | undefined {
  if (operation.type === 'masquerade.delete' && !held.has(operation.key)) return new IpvsError('MASQUERADE_NOT_FOUND');
  if (!('rule' in operation)) return undefined;
  const { rule } = operation;
  const key = formatMatch(rule);
  if (operation.type === 'masquerade.add' && held.has(key)) return new IpvsError('MASQUERADE_EXISTS');
  if (rule.out !== undefined && !interfaces.includes(rule.out))
    return new IpvsError('INTERFACE_NOT_FOUND', { detail: quote(rule.out) });
  return after.flatMap((other) => {
    const match = other === key ? undefined : matchOf(other);
    return (match && conflictOf(rule, match)) ?? [];
  })[0];
}

function byFamily(operations: readonly MasqueradeOperation[]): [Family, MasqueradeOperation[]][] {
  return families
    .map((family): [Family, MasqueradeOperation[]] => [
      family,
      operations.filter((operation) => familyOfOperation(operation) === family),
    ])
    .filter(([, own]) => own.length > 0);
}

function told(operation: MasqueradeOperation, error: IpvsError): MasqueradeResult {
  const { verb, subject } = describeMasqueradeOperation(operation);
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
