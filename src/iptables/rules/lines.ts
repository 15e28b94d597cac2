/** Rules ↔ lines of their chain, in the form that iptables-save prints. Pure. */
import { commentOf } from '../chain.ts';
import { portProtocols } from './mark-match.ts';
import {
  familyOf,
  formatMatch,
  type MasqueradeMatch,
  type MasqueradeRule,
  normalizeMasquerade,
  parseMatch,
} from './masquerade.ts';

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

/** Undefined for the key of something else. */
export function matchOf(key: string): MasqueradeMatch | undefined {
  try {
    return parseMatch(key);
  } catch {
    return undefined;
  }
}
