/** What can be done to rules, as data, and what becomes of the lines of their chain. Pure. */
import type { IpvsError } from '../errors.ts';
import { type Chain, type ChainLine, type ChainPlace, chainPlaces, groupsOf, placeName, withGroups } from './chain.ts';
import { inOrder, linesOfRule, nameOf, type OwnRule, partsOf, placeOf } from './own-rule.ts';
import { sameLines } from './rule-lines.ts';

/** `place` is the name of a chain: "IPVSD-POSTROUTING of IPv4". */
export type RuleOperation =
  | { readonly type: 'rule.add'; readonly rule: OwnRule }
  /** Whatever stands there under its name. */
  | { readonly type: 'rule.edit'; readonly rule: OwnRule }
  /** By what it is called: "10.0.0.0/24 out eth0". */
  | { readonly type: 'rule.delete'; readonly place: string; readonly name: string }
  /** Rules in their order, and asked once. */
  | { readonly type: 'chain.mend'; readonly place: string }
  /** The whole chain as it was. */
  | {
      readonly type: 'chain.restore';
      readonly place: string;
      readonly lines: readonly string[];
      readonly jumps: number;
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
  const { words, subject } = partsOf('rule' in operation ? nameOf(operation.rule) : operation.name);
  return { verb: `${operation.type.slice('rule.'.length)} ${words}`, subject };
}

export interface WantedChain {
  readonly lines: readonly string[];
  readonly jumps: number;
}

/** What a chain becomes by its operations. */
export function changedChain({ lines }: Chain, operations: readonly RuleOperation[]): WantedChain {
  const restored = operations.find(({ type }) => type === 'chain.restore');
  if (restored?.type === 'chain.restore') return restored;
  const groups = new Map<string, readonly string[]>(groupsOf(lines));
  for (const operation of operations) {
    if ('rule' in operation) groups.set(nameOf(operation.rule), linesOfRule(operation.rule));
    else if ('name' in operation) groups.delete(operation.name);
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
