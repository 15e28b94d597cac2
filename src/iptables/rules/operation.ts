/** What can be done to rules, as data, and what becomes of the lines of their chain. Pure. */
import type { IpvsError } from '../../base/errors.ts';
import {
  type Chain,
  type ChainLine,
  type ChainPlace,
  chainPlaces,
  groupsOf,
  keyOf,
  placeName,
  type Store,
  withGroups,
} from '../chain.ts';
import { sameLines } from './lines.ts';
import { inOrder, linesOfRule, nameOf, type OwnRule, partsOf, placeOf } from './own-rule.ts';

/** `place` is the name of a chain: "IPVSD-POSTROUTING of IPv4". */
export type RuleOperation =
  | { readonly type: 'rule.add'; readonly rule: OwnRule }
  /** Whatever stands there under its name. */
  | { readonly type: 'rule.edit'; readonly rule: OwnRule }
  /** By what it is called: "10.0.0.0/24 out eth0". */
  | { readonly type: 'rule.delete'; readonly place: string; readonly name: string }
  /** Deletes what the other store holds under this name. */
  | { readonly type: 'copy.delete'; readonly place: string; readonly name: string }
  /** Rules in their order, and asked once. */
  | { readonly type: 'chain.mend'; readonly place: string }
  /** The whole chain as it was, in the store where it was; `copy`: what the other store held of it. */
  | {
      readonly type: 'chain.restore';
      readonly place: string;
      readonly lines: readonly string[];
      readonly jumps: number;
      readonly jumpAt?: number;
      readonly store?: Store;
      readonly copy?: WantedChain;
    };

/** One for each operation, in order. */
export interface RuleResult {
  readonly operation: RuleOperation;
  /** Absent if it was done. */
  readonly error?: IpvsError;
}

/** The name of its chain. */
export function placeOfOperation(operation: RuleOperation): string {
  return 'rule' in operation ? placeName(placeOf(nameOf(operation.rule))) : operation.place;
}

/** The name of its rule; undefined for an operation on a whole chain. */
export function nameOfRuleOperation(operation: RuleOperation): string | undefined {
  if ('rule' in operation) return nameOf(operation.rule);
  return 'name' in operation ? operation.name : undefined;
}

/** By chain. */
export function byPlace(operations: readonly RuleOperation[]): [ChainPlace, RuleOperation[]][] {
  return chainPlaces
    .map((place): [ChainPlace, RuleOperation[]] => [
      place,
      operations.filter((operation) => placeOfOperation(operation) === placeName(place)),
    ])
    .filter(([, own]) => own.length > 0);
}

/** "add masquerade" and "10.0.0.0/24 out eth0": the words of errors, plans and logs. */
export function describeRuleOperation(operation: RuleOperation): { verb: string; subject: string } {
  if (operation.type === 'chain.mend' || operation.type === 'chain.restore')
    return { verb: 'set chain', subject: operation.place };
  const { words, subject } = partsOf(nameOfRuleOperation(operation) ?? '');
  if (operation.type === 'copy.delete') return { verb: `set ${words}`, subject };
  return { verb: `${operation.type.slice('rule.'.length)} ${words}`, subject };
}

export interface WantedChain {
  readonly lines: readonly string[];
  readonly jumps: number;
  /** The rule number at which a jump is inserted, if that many rules are there. Default: 1. */
  readonly jumpAt?: number;
}

const NOTHING: WantedChain = { lines: [], jumps: 0 };

/** The same chain in one of the two stores. */
export interface StoredChain {
  readonly store: Store;
  readonly chain: Chain;
}

/**
 * What operations make of the chain in both stores; `main` is the one that gets the rules. The first of the result is to
 * be written first: it gains what the other loses.
 */
export function changedStores<Stored extends StoredChain>(
  main: Stored,
  other: Stored,
  operations: readonly RuleOperation[],
): [Stored, WantedChain][] {
  const restored = operations.find((operation) => operation.type === 'chain.restore');
  if (restored === undefined)
    return [
      [main, changedChain(main.chain, operations)],
      [other, changedCopy(other.chain, operations)],
    ];
  const [first, second] = restored.store === other.store ? [other, main] : [main, other];
  return [
    [first, restored],
    [second, restored.copy ?? NOTHING],
  ];
}

/** The other store keeps only rules that no operation names. */
function changedCopy({ lines, jumps }: Chain, operations: readonly RuleOperation[]): WantedChain {
  const named = new Set(operations.map(nameOfRuleOperation));
  const left = textsOf(lines).filter((text) => {
    const name = keyOf(text);
    return name === undefined || !named.has(name);
  });
  return left.length === 0 ? NOTHING : { lines: left, jumps };
}

/** What a chain becomes by its operations, but for `chain.restore`. */
export function changedChain({ lines }: Chain, operations: readonly RuleOperation[]): WantedChain {
  const groups = new Map<string, readonly string[]>(groupsOf(lines));
  for (const operation of operations) {
    if ('rule' in operation) groups.set(nameOf(operation.rule), linesOfRule(operation.rule));
    else if (operation.type === 'rule.delete') groups.delete(operation.name);
  }
  return { lines: withGroups(lines, inOrder(groups)), jumps: 1 };
}

/** Whether it is already as it should be; a chain without lines leaves nothing behind. */
export function isChain({ lines, jumps, exists }: Chain, wanted: WantedChain): boolean {
  if (wanted.lines.length === 0) return !exists && jumps === 0;
  return jumps === wanted.jumps && sameLines(textsOf(lines), wanted.lines);
}

export function textsOf(lines: readonly Pick<ChainLine, 'text'>[]): string[] {
  return lines.map(({ text }) => text);
}
