/** Rules ↔ lines of their chain, in the form that iptables-save prints. Pure. */
import type { ChainLine } from './chain.ts';
import { commentOf, groupsOf } from './chain.ts';
import {
  familyOf,
  formatMatch,
  type MasqueradeMatch,
  type MasqueradeRule,
  normalizeMasquerade,
  parseMatch,
  rankOf,
} from './rule.ts';

const portProtocols = ['tcp', 'udp', 'sctp'] as const;

/**
 * One line; of ports without a protocol one for each that has ports, and one without ports for everything else: nobody who
 * says which ports to use wants to lose ICMP.
 */
export function linesOf(rule: MasqueradeRule): string[] {
  const { protocol, ports } = rule;
  if (ports === undefined) return [lineOf(rule, protocol, undefined)];
  if (protocol !== undefined) return [lineOf(rule, protocol, ports)];
  return [...portProtocols.map((each) => lineOf(rule, each, ports)), lineOf(rule, undefined, undefined)];
}

function lineOf(rule: MasqueradeRule, protocol: MasqueradeRule['protocol'], ports: string | undefined): string {
  const { source, out, randomFully, toSource } = rule;
  const [family, prefixLength] = [familyOf(rule), source.slice(source.indexOf('/') + 1)];
  const name = protocol === 'icmp' && family === 'inet6' ? 'ipv6-icmp' : protocol;
  const host = family === 'inet6' && ports !== undefined ? `[${toSource}]` : toSource;
  return [
    ...(prefixLength === '0' ? [] : [`-s ${source}`]),
    ...(out === undefined ? [] : [`-o ${out}`]),
    ...(name === undefined ? [] : [`-p ${name}`]),
    commentOf(formatMatch(rule)),
    toSource === undefined
      ? `-j MASQUERADE${ports === undefined ? '' : ` --to-ports ${ports}`}`
      : `-j SNAT --to-source ${ports === undefined ? host : `${host}:${ports}`}`,
    ...(randomFully ? ['--random-fully'] : []),
  ].join(' ');
}

/** The rule whose lines these are; undefined where somebody altered them. */
export function ruleOf(key: string, lines: readonly string[]): MasqueradeRule | undefined {
  const match = matchOf(key);
  const [, toPorts, toSource, random] =
    / -j (?:MASQUERADE(?: --to-ports (\S+))?|SNAT --to-source (\S+))( --random-fully)?$/.exec(lines[0] ?? '') ?? [];
  if (match === undefined) return undefined;
  const [address, addressPorts] = toSource === undefined ? [] : splitSource(toSource);
  const ports = toPorts ?? addressPorts;
  try {
    const rule = normalizeMasquerade({
      ...match,
      ...(ports !== undefined && { ports }),
      ...(random !== undefined && { randomFully: true }),
      ...(address !== undefined && { toSource: address }),
    });
    return sameLines(linesOf(rule), lines) ? rule : undefined;
  } catch {
    return undefined;
  }
}

/** `192.0.2.1:61000-65095`, `[2001:db8::1]:61000-65095`, and both without ports; then IPv6 has no brackets. */
function splitSource(text: string): [address: string, ports: string | undefined] {
  const [, ipv4, ipv6, ports] = /^(?:([\d.]+)|\[(.+)\]):([\d-]+)$/.exec(text) ?? [];
  return [ipv4 ?? ipv6 ?? text, ports];
}

export function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i]);
}

export interface HeldRule {
  /** What it is called: "10.0.0.0/24 out eth0". */
  readonly key: string;
  readonly lines: readonly string[];
  /** Undefined where somebody altered its lines. */
  readonly rule: MasqueradeRule | undefined;
}

/** Those of a chain, by their keys. */
export function rulesIn(lines: readonly Pick<ChainLine, 'text'>[]): Map<string, HeldRule> {
  return new Map([...groupsOf(lines)].map(([key, own]) => [key, { key, lines: own, rule: ruleOf(key, own) }]));
}

/** Lines by key, in the order in which rules are asked: it follows from which there are. */
export function inOrder(groups: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const rank = (key: string) => {
    const match = matchOf(key);
    return match === undefined ? -1 : rankOf(match);
  };
  const first = (a: string, b: string) => rank(b) - rank(a) || (a < b ? -1 : 1);
  return new Map([...groups].sort(([a], [b]) => first(a, b)));
}

/** Undefined for the key of something else. */
export function matchOf(key: string): MasqueradeMatch | undefined {
  try {
    return parseMatch(key);
  } catch {
    return undefined;
  }
}
