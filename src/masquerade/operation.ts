/** What can be done to masquerade rules, as data, and what becomes of the lines of their chain. Pure. */
import type { IpvsError } from '../errors.ts';
import type { Family } from '../ipvs/address.ts';
import { type Chain, type ChainLine, groupsOf, SOURCE_CHAIN, withGroups } from './chain.ts';
import { familyOf, formatMatch, type MasqueradeRule } from './rule.ts';
import { inOrder, linesOf, sameLines } from './rule-lines.ts';

export type MasqueradeOperation =
  | { readonly type: 'masquerade.add'; readonly rule: MasqueradeRule }
  /** Whatever stands there under its name. */
  | { readonly type: 'masquerade.edit'; readonly rule: MasqueradeRule }
  /** By what it is called: "10.0.0.0/24 out eth0". */
  | { readonly type: 'masquerade.delete'; readonly key: string }
  /** Rules in their order, and asked once. */
  | { readonly type: 'masquerade.mend'; readonly family: Family }
  /** The whole chain as it was. */
  | {
      readonly type: 'masquerade.restore';
      readonly family: Family;
      readonly lines: readonly string[];
      readonly jumps: number;
    };

/** One for each operation, in order. */
export interface MasqueradeResult {
  readonly operation: MasqueradeOperation;
  /** Absent if it was done. */
  readonly error?: IpvsError;
}

export const families: readonly Family[] = ['inet', 'inet6'];

export function familyOfOperation(operation: MasqueradeOperation): Family {
  if ('family' in operation) return operation.family;
  return 'rule' in operation ? familyOf(operation.rule) : familyOf({ source: operation.key });
}

/** "add masquerade" and "10.0.0.0/24 out eth0": the words of errors, plans and logs. */
export function describeMasqueradeOperation(operation: MasqueradeOperation): { verb: string; subject: string } {
  switch (operation.type) {
    case 'masquerade.add':
      return { verb: 'add masquerade', subject: formatMatch(operation.rule) };
    case 'masquerade.edit':
      return { verb: 'edit masquerade', subject: formatMatch(operation.rule) };
    case 'masquerade.delete':
      return { verb: 'delete masquerade', subject: operation.key };
    case 'masquerade.mend':
    case 'masquerade.restore':
      return { verb: 'set chain', subject: chainName(operation.family) };
  }
}

export function chainName(family: Family): string {
  return `${SOURCE_CHAIN.name} of ${family === 'inet' ? 'IPv4' : 'IPv6'}`;
}

export interface WantedChain {
  readonly lines: readonly string[];
  readonly jumps: number;
}

/** What a chain becomes by operations of its family. */
export function changedChain({ lines }: Chain, operations: readonly MasqueradeOperation[]): WantedChain {
  const restored = operations.find(({ type }) => type === 'masquerade.restore');
  if (restored?.type === 'masquerade.restore') return restored;
  const groups = new Map<string, readonly string[]>(groupsOf(lines));
  for (const operation of operations) {
    if ('rule' in operation) groups.set(formatMatch(operation.rule), linesOf(operation.rule));
    else if ('key' in operation) groups.delete(operation.key);
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
