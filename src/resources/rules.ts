/** Rules of iptables, as a resource: those in the chains that are ours. All of a chain is written at once. */
import { IpvsError } from '../base/errors.ts';
import {
  type Change,
  type ChangeResult,
  type Diff,
  type DiffOptions,
  type Known,
  type Resource,
  type Stray,
  UNDONE,
} from '../engine/resource.ts';
import {
  type Chain,
  type ChainPlace,
  chainPlaces,
  isUsed,
  keyOf,
  NO_CHAIN,
  otherStore,
  placeName,
  type Store,
} from '../iptables/chain.ts';
import { type Chains, firstPlaces, sourcePlaces } from '../iptables/masquerade-table.ts';
import { sameLines } from '../iptables/rules/lines.ts';
import {
  changedChain,
  describeRuleOperation,
  isChain,
  nameOfRuleOperation,
  type RuleOperation,
  textsOf,
} from '../iptables/rules/operation.ts';
import { describeRule, linesOfRule, type OwnRule, partsOf, placeOf, rulesIn } from '../iptables/rules/own-rule.ts';
import { isListOf, isNumber, isRecord, isText } from '../record/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { type Context, resultsOf } from './context.ts';
import { chainKey } from './keys.ts';
import { nameOfRuleKey, ruleKey } from './rule-keys.ts';
import { effectsOfRule, type WantedRule, wantedRules } from './wanted-rules.ts';

/** Null where nobody speaks of rules, so that nobody looked; and in memory. */
export type Rules = Chains | null;

/** Without counters. */
type PackedChain = Omit<Chain, 'lines' | 'copy' | 'rulesBeside'> & {
  readonly lines: readonly string[];
  readonly copy?: PackedChain;
};
type Packed = Readonly<Record<string, PackedChain>> | null;

export const rulesResource: Resource<DesiredState, Rules, Rules, Packed, RuleOperation, Context> = {
  name: 'rules',
  read,
  async reread({ masquerade }, before, keys) {
    const meant = new Set([...keys].flatMap((key) => placeOfKey(key) ?? []));
    if (!masquerade || !before || meant.size === 0) return before;
    return { ...before, ...(await masquerade.chains(chainPlaces.filter((place) => meant.has(placeName(place))))) };
  },
  pack: (current) => current && mapped(current, packed),
  isPacked: (value): value is Packed =>
    value === null || (isRecord(value) && Object.values(value).every((chain) => isPackedChain(chain))),
  unpack: (chains) => chains && mapped(chains, unpacked),
  diff: diffRules,
  // A chain is all ours: it is restored whole.
  overlay(onto, over, keys) {
    if (!onto || !over) return onto;
    const meant = new Set([...keys].flatMap((key) => placeOfKey(key) ?? []));
    return { ...onto, ...Object.fromEntries(Object.entries(over).filter(([place]) => meant.has(place))) };
  },
  undo(before, now, keys) {
    // Entries of the history from before there were rules say nothing of them.
    return chainPlaces.map(placeName).flatMap((place) => {
      const [was, is] = [before?.[place], now?.[place]];
      const key = [...keys].find((each) => placeOfKey(each) === place);
      if (key === undefined || was === undefined || is === undefined) return [];
      if (isChainAs(is, was)) return [];
      const { store, copy } = was;
      const restored = { ...contentsOf(was), ...(store && { store }), ...(copy && { copy: contentsOf(copy) }) };
      return [change({ type: 'chain.restore', place, ...restored }, UNDONE, { key })];
    });
  },
  async check({ masquerade }, changes) {
    const refused = (await masquerade?.check(changes.map(({ operation }) => operation))) ?? [];
    return refused.flatMap(({ operation, error }): ChangeResult[] => {
      const change = changes.find((each) => each.operation === operation);
      return change && error ? [{ change, error }] : [];
    });
  },
  async apply({ masquerade }, changes) {
    const results = (await masquerade?.execute(changes.map(({ operation }) => operation))) ?? [];
    return resultsOf(changes, results, () => false);
  },
};

/** Chains of which no rule is spoken are not read: iptables need not be installed. */
async function read({ masquerade }: Context, about?: readonly DesiredState[]): Promise<Rules> {
  if (masquerade === undefined) return null;
  if (about !== undefined) {
    const spoken = new Set(
      about.flatMap((state) => [...wantedRules(state).keys()].map((name) => placeName(placeOf(name)))),
    );
    const others = about.some((state) => state.masquerade) ? sourcePlaces : [];
    if (spoken.size + others.length === 0) return null;
    return masquerade.chains(
      chainPlaces.filter((place) => spoken.has(placeName(place))),
      others,
    );
  }
  try {
    return await masquerade.chains(firstPlaces, chainPlaces);
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'IPTABLES_MISSING') return null;
    throw error;
  }
}

function mapped<A, B>(values: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
}

function packed({ lines, copy, rulesBeside: _, ...rest }: Chain): PackedChain {
  return { ...rest, lines: textsOf(lines), ...(copy && { copy: packed(copy) }) };
}

function isPackedChain(value: unknown, isCopy = false): boolean {
  if (!isRecord(value)) return false;
  const { exists, lines, jumps, store, copy } = value;
  return (
    typeof exists === 'boolean' &&
    isListOf(lines, isLine) &&
    isNumber(jumps) &&
    (store === undefined || store === 'nft' || store === 'legacy') &&
    (copy === undefined || (!isCopy && isPackedChain(copy, true)))
  );
}

/** What is restored goes to iptables-restore, for which another line is another command. */
function isLine(value: unknown): boolean {
  return isText(value) && !value.includes('\n');
}

function unpacked({ lines, copy, ...rest }: PackedChain): Chain {
  return {
    ...rest,
    lines: lines.map((text) => ({ text, packets: 0n, bytes: 0n })),
    ...(copy && { copy: unpacked(copy) }),
  };
}

function contentsOf({ lines, jumps, jumpAt }: Chain) {
  return { lines: textsOf(lines), jumps, ...(jumpAt !== undefined && { jumpAt }) };
}

/** Whether both stores hold of a chain what they held. What was kept before there were two of them does not say which. */
function isChainAs(is: Chain, was: Chain): boolean {
  const isInPlace = was.store === undefined || is.store === undefined || was.store === is.store;
  return isInPlace && isChain(is, contentsOf(was)) && isChain(is.copy ?? NO_CHAIN, contentsOf(was.copy ?? NO_CHAIN));
}

/** The chains that hold what a state wants, and nothing else. */
export function chainsOf(state: DesiredState): Chains {
  const rules = [...wantedRules(state).values()];
  const chain = (place: string): Chain => {
    const own = rules.filter(({ name }) => placeName(placeOf(name)) === place);
    const { lines, jumps } = changedChain(
      NO_CHAIN,
      own.map(({ rule }) => ({ type: 'rule.add', rule })),
    );
    return own.length === 0 ? NO_CHAIN : unpacked({ exists: true, lines, jumps });
  };
  return Object.fromEntries(chainPlaces.map(placeName).map((place) => [place, chain(place)]));
}

/** What chains hold, as far as nobody altered it. */
export function rulesOf(chains: Chains): OwnRule[] {
  return Object.values(chains).flatMap(({ lines, copy }) => {
    const held = new Map([...rulesIn(copy?.lines ?? []), ...rulesIn(lines)]);
    return [...held.values()].flatMap(({ rule }) => rule ?? []);
  });
}

function diffRules(
  desired: DesiredState,
  { applied, made }: Known<DesiredState>,
  current: Rules,
  options: DiffOptions,
): Diff<RuleOperation> {
  const [wanted, before] = [
    wantedRules(desired, options.targets),
    applied ? wantedRules(applied, options.targets) : new Map<string, never>(),
  ];
  const isManaged = (name: string) => partsOf(name).kind !== 'masquerade' || desired.masquerade !== undefined;
  const diffs = chainPlaces.flatMap((place) => {
    const chain = current?.[placeName(place)];
    const of = (rules: ReadonlyMap<string, WantedRule>) =>
      new Map([...rules].filter(([name]) => isManaged(name) && isSame(placeOf(name), place)));
    return chain ? [diffChain(place, chain, { wanted: of(wanted), before: of(before), made, isManaged }, options)] : [];
  });
  return {
    changes: diffs.flatMap(({ changes }) => changes),
    unchanged: diffs.reduce((sum, { unchanged }) => sum + unchanged, 0),
    conflicts: diffs.flatMap(({ conflicts }) => conflicts),
    strays: diffs.flatMap(({ strays }) => strays),
  };
}

function isSame(a: ChainPlace, b: ChainPlace): boolean {
  return a.chain === b.chain && a.family === b.family;
}

interface ChainRules {
  readonly wanted: ReadonlyMap<string, WantedRule>;
  readonly before: ReadonlyMap<string, WantedRule>;
  readonly made: ReadonlySet<string>;
  /** Whether what is called so is of a kind that the state speaks of. */
  readonly isManaged: (name: string) => boolean;
}

function diffChain(
  place: ChainPlace,
  chain: Chain,
  { wanted, before, made, isManaged }: ChainRules,
  { adopt = false, prune = false }: DiffOptions,
): Diff<RuleOperation> {
  const changes: Change<RuleOperation>[] = [];
  const conflicts: Diff['conflicts'][number][] = [];
  const strays: Stray[] = [];
  let unchanged = 0;
  const heldIn = (lines: Chain['lines']) => new Map([...rulesIn(lines)].filter(([name]) => isManaged(name)));
  const copy = chain.copy ?? NO_CHAIN;
  const [held, copied] = [heldIn(chain.lines), heldIn(copy.lines)];
  const isOurs = (name: string) => before.has(name) || made.has(ruleKey(name));
  const hadOurs = [...held.keys(), ...copied.keys()].some(isOurs) || before.size > 0;
  for (const { rule, name, of } of wanted.values()) {
    const lines = linesOfRule(rule);
    const [there, second, was] = [held.get(name), copied.get(name), before.get(name)];
    const cause = was && sameLines(linesOfRule(was.rule), lines) ? 'drift' : 'file';
    held.delete(name);
    copied.delete(name);
    const is = there ?? second;
    const isSame = is !== undefined && sameLines(is.lines, lines);
    const details = [
      ...(is === undefined || isSame ? [] : [`${is.rule ? describeRule(is.rule) : 'altered'} → ${describeRule(rule)}`]),
      ...(second === undefined ? [] : [storeWords(chain, there !== undefined)]),
    ];
    if (is === undefined) changes.push(change({ type: 'rule.add', rule }, describeRule(rule), { of, cause }));
    else if (details.length === 0) unchanged++;
    else if (!isOurs(name) && !adopt) conflicts.push({ resource: 'rules', subject: ruleKey(name), of });
    else if (there && isSame) changes.push(change(copyDeletion(place, name), details.join(), { of, cause: 'drift' }));
    else changes.push(change({ type: 'rule.edit', rule }, details.join(', '), { of, cause }));
  }
  for (const name of new Set([...held.keys(), ...copied.keys()])) {
    const was = before.get(name);
    const key = ruleKey(name);
    const operation: RuleOperation = { type: 'rule.delete', place: placeName(place), name };
    if (was || prune)
      changes.push(change(operation, was ? 'left the file' : 'not in the file', { of: was?.of ?? key }));
    else if (made.has(key) && held.has(name) && copied.has(name))
      changes.push(change(copyDeletion(place, name), storeWords(chain, true), { cause: 'drift' }));
    else strays.push(stray(key, made.has(key) ? 'verb' : 'foreign'));
  }
  for (const { text } of chain.lines)
    if (keyOf(text) === undefined) strays.push(stray(chainKey(`${placeName(place)}: ${text}`), 'foreign'));
  for (const { text } of copy.lines)
    if (keyOf(text) === undefined) {
      const where = `${placeName(place)} in the tables of ${storeName(copy.store)}`;
      strays.push(stray(chainKey(`${where}: ${text}`), 'foreign'));
    }
  const isNeeded = chain.lines.length === 0 ? before.size > 0 && wanted.size === 0 : hadOurs || unchanged > 0;
  const isEmptyCopy = isUsed(copy) && copy.lines.length === 0 && (hadOurs || unchanged > 0);
  if ((isNeeded && !isChain(chain, changedChain(chain, []))) || isEmptyCopy)
    changes.push(change({ type: 'chain.mend', place: placeName(place) }, mendWords(place, chain), { cause: 'drift' }));
  return { changes, unchanged, conflicts, strays };
}

function copyDeletion(place: ChainPlace, name: string): RuleOperation {
  return { type: 'copy.delete', place: placeName(place), name };
}

function storeName(store: Store | undefined): string {
  return `iptables-${store ?? 'nft'}`;
}

/** What becomes of a rule that the other store holds too, or alone. */
function storeWords({ copy }: Chain, isInBoth: boolean): string {
  const store = copy?.store ?? 'legacy';
  return isInBoth
    ? `also in the tables of ${storeName(store)} → removed there`
    : `in the tables of ${storeName(store)} → in those of ${storeName(otherStore(store))}`;
}

function mendWords({ chain: { from } }: ChainPlace, chain: Chain): string {
  const { lines, jumps, copy } = chain;
  if (isChain(chain, changedChain(chain, [])))
    return `also in the tables of ${storeName(copy?.store)}, empty → removed`;
  if (lines.length === 0) return 'empty → removed';
  if (jumps === 0) return `nothing leads to it → ${from} does`;
  return jumps > 1 ? `${from} leads to it ${jumps} times → once` : 'another order → that of its rules';
}

/** The name of the chain that a key is about; undefined for the key of something else. */
function placeOfKey(key: string): string | undefined {
  const name = nameOfRuleKey(key);
  if (name !== undefined) return placeName(placeOf(name));
  return chainPlaces.map(placeName).find((place) => key === chainKey(place));
}

interface Belonging {
  readonly key?: string;
  readonly of?: string;
  readonly cause?: Change['cause'];
}

function change(
  operation: RuleOperation,
  detail: string,
  { key = keyOfOperation(operation), of = key, cause = 'file' }: Belonging = {},
): Change<RuleOperation> {
  const names = { ...describeRuleOperation(operation), key, of };
  return {
    resource: 'rules',
    phase: phaseOf(operation),
    operation,
    ...names,
    detail,
    cause,
    effects: effectsOf(operation),
  };
}

function keyOfOperation(operation: RuleOperation): string {
  const name = nameOfRuleOperation(operation);
  if (name !== undefined) return ruleKey(name);
  return chainKey('place' in operation ? operation.place : '');
}

/**
 * A service has its source addresses before its first connection; what packets are led to, or let through for, is there
 * before they are.
 */
function phaseOf(operation: RuleOperation): Change['phase'] {
  const name = nameOfRuleOperation(operation);
  const kind = name === undefined ? undefined : partsOf(name).kind;
  switch (operation.type) {
    case 'rule.add':
      return kind === 'marks' || kind === 'guard' ? 'publish' : 'prepare';
    case 'rule.edit':
      return kind === 'guard' ? 'prepare' : 'edit';
    case 'chain.mend':
    case 'copy.delete':
      return 'prepare';
    case 'chain.restore':
      return 'edit';
    case 'rule.delete':
      return 'withdraw';
  }
}

function effectsOf(operation: RuleOperation): readonly string[] {
  const name = nameOfRuleOperation(operation);
  if (name === undefined || operation.type === 'copy.delete') return [];
  return effectsOfRule(operation.type.slice('rule.'.length) as 'add' | 'edit' | 'delete', name);
}

function stray(key: string, owner: Stray['owner']): Stray {
  return { resource: 'rules', subject: key, key, of: key, owner };
}
