/** A rule of ours of whatever kind: where it stands, what it is called, its lines. Pure. */
import { type ChainLine, type ChainPlace, GUARD_CHAIN, groupsOf, MARK_CHAIN, SOURCE_CHAIN } from '../chain.ts';
import { linesOf, matchOf, ruleOf } from './lines.ts';
import { describeAction, formatMatch, type MasqueradeRule, rankOf } from './masquerade.ts';
import {
  describeServiceRule,
  linesOfServiceRule,
  nameOfServiceRule,
  parseServiceRuleName,
  readServiceRule,
  type ServiceRule,
} from './service-rule.ts';

export type OwnRule = { readonly kind: 'masquerade'; readonly rule: MasqueradeRule } | ServiceRule;

export function masquerade(rule: MasqueradeRule): OwnRule {
  return { kind: 'masquerade', rule };
}

const chainOfKind = { masquerade: SOURCE_CHAIN, sourceNat: SOURCE_CHAIN, marks: MARK_CHAIN, guard: GUARD_CHAIN };

/** What its lines say in their comment: "10.0.0.0/24 out eth0", "source NAT tcp://192.0.2.10:80". */
export function nameOf(rule: OwnRule): string {
  return rule.kind === 'masquerade' ? formatMatch(rule.rule) : nameOfServiceRule(rule);
}

/** What it is and what it is about: "masquerade" and "10.0.0.0/24", "guard" and "192.0.2.10". */
export function partsOf(name: string): {
  readonly kind: OwnRule['kind'];
  readonly words: string;
  readonly subject: string;
} {
  return parseServiceRuleName(name) ?? { kind: 'masquerade', words: 'masquerade', subject: name };
}

/** The chain in which a rule of that name stands; of what is no name of ours any one. */
export function placeOf(name: string): ChainPlace {
  const { kind, subject } = partsOf(name);
  const isIpv6 = kind === 'sourceNat' || kind === 'marks' ? /\[|\/inet6$/.test(subject) : subject.includes(':');
  return { chain: chainOfKind[kind], family: isIpv6 ? 'inet6' : 'inet' };
}

export function linesOfRule(rule: OwnRule): string[] {
  return rule.kind === 'masquerade' ? linesOf(rule.rule) : linesOfServiceRule(rule);
}

export function describeRule(rule: OwnRule): string {
  return rule.kind === 'masquerade' ? describeAction(rule.rule) : describeServiceRule(rule);
}

export interface HeldRule {
  readonly name: string;
  readonly lines: readonly string[];
  /** Undefined where somebody altered its lines. */
  readonly rule: OwnRule | undefined;
}

/** Those of a chain, by name. */
export function rulesIn(lines: readonly Pick<ChainLine, 'text'>[]): Map<string, HeldRule> {
  return new Map([...groupsOf(lines)].map(([name, own]) => [name, { name, lines: own, rule: readRule(name, own) }]));
}

function readRule(name: string, lines: readonly string[]): OwnRule | undefined {
  if (partsOf(name).kind !== 'masquerade') return readServiceRule(name, lines);
  const rule = ruleOf(name, lines);
  return rule && masquerade(rule);
}

/** Lines by name, in the order in which rules are asked: it follows from which there are. Services say most of all. */
export function inOrder(groups: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const rank = (name: string) => {
    if (partsOf(name).kind !== 'masquerade') return 9;
    const match = matchOf(name);
    return match === undefined ? -1 : rankOf(match);
  };
  const first = (a: string, b: string) => rank(b) - rank(a) || (a < b ? -1 : 1);
  return new Map([...groups].sort(([a], [b]) => first(a, b)));
}
