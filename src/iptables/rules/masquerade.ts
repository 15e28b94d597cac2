/** A rule of masquerading: whose connections leave under an address, and from ports, of this host. Pure. */

import { at, interfaceName, oneOf, refuseUnknownKeys } from '../../base/check.ts';
import { type ErrorCode, IpvsError } from '../../base/errors.ts';
import { quote } from '../../base/quote.ts';
import { type Family, isUnicast, parseIp } from '../../net/address.ts';
import { overlap, parseNetwork } from '../../net/network.ts';
import { normalizePorts } from '../../net/ports.ts';

export const masqueradeProtocols = ['tcp', 'udp', 'sctp', 'icmp'] as const;
export type MasqueradeProtocol = (typeof masqueradeProtocols)[number];

export interface MasqueradeRule {
  /** The inner network, canonical: `10.0.0.0/24`, `fd00::/64`. */
  readonly source: string;
  /** Only what leaves through this interface. */
  readonly out?: string;
  /** Only this protocol; `icmp` is that of the network's family. */
  readonly protocol?: MasqueradeProtocol;
  /** The ports that outside sees, `61000-65095` or `61000`; without `protocol` of those that have ports. */
  readonly ports?: string;
  /** Each connection takes any of the ports, instead of its own or the nearest to it. */
  readonly randomFully?: true;
  /** The address that outside sees. Without it, that of the interface through which a connection leaves. */
  readonly toSource?: string;
}

export interface MasqueradeInput {
  readonly source: string;
  readonly out?: string | undefined;
  readonly protocol?: MasqueradeProtocol | undefined;
  readonly ports?: string | number | undefined;
  readonly randomFully?: boolean | undefined;
  readonly toSource?: string | undefined;
}

/** Which connections a rule is about. No two rules have the same, so it is what a rule is called. */
export type MasqueradeMatch = Pick<MasqueradeRule, 'source' | 'out' | 'protocol'>;

const properties = ['source', 'out', 'protocol', 'ports', 'randomFully', 'toSource'] as const;

/** Checks a rule, and makes it canonical. Throws INVALID_MASQUERADE, INVALID_ADDRESS, INVALID_PROTOCOL, INVALID_OPTION. */
export function normalizeMasquerade(input: MasqueradeInput): MasqueradeRule {
  refuseUnknownKeys(input, 'masquerade rule', properties);
  const { randomFully, toSource } = input;
  const match = normalizeMatch(input);
  if (randomFully !== undefined && typeof randomFully !== 'boolean')
    throw new IpvsError('INVALID_OPTION', { detail: `randomFully ${quote(randomFully)}`, path: ['randomFully'] });
  const ports = input.ports === undefined ? undefined : normalizePorts(input.ports, 'INVALID_MASQUERADE');
  if (ports !== undefined && match.protocol === 'icmp') throw invalid('icmp has no ports', ['ports']);
  return {
    ...match,
    ...(ports !== undefined && { ports }),
    ...(randomFully && { randomFully }),
    ...(toSource !== undefined && { toSource: at(['toSource'], normalizeToSource, toSource, match.source) }),
  };
}

/** Throws INVALID_MASQUERADE, INVALID_ADDRESS, INVALID_PROTOCOL. */
export function normalizeMatch({ source, out, protocol }: Partial<MasqueradeInput>): MasqueradeMatch {
  if (source === undefined)
    throw new IpvsError('INVALID_MASQUERADE', {
      detail: 'it names no inner network',
      path: ['source'],
      hint: 'say which: 10.0.0.0/24',
    });
  return {
    source: at(['source'], normalizeSource, source),
    ...(out !== undefined && { out: ruleInterface(out, 'INVALID_MASQUERADE', ['out']) }),
    ...(protocol !== undefined && { protocol: oneOf(protocol, masqueradeProtocols, 'INVALID_PROTOCOL', ['protocol']) }),
  };
}

function normalizeSource(text: string): string {
  const { family, text: source, bytes, prefixLength } = parseNetwork(text);
  const isMulticast =
    prefixLength > 0 && (family === 'inet' ? bytes[0] === 224 && prefixLength >= 4 : bytes[0] === 255);
  // ::/80 holds nothing but IPv4 addresses in two notations, which no host has.
  const isMapped = family === 'inet6' && prefixLength >= 80 && bytes.slice(0, 10).every((byte) => byte === 0);
  if (isMulticast || isMapped) throw invalid(`no host has an address of ${source}`, []);
  return source;
}

/** In rules a name that ends with "+" stands for several interfaces; quotes and blanks could end it early. */
export function ruleInterface(value: unknown, code: ErrorCode, path: readonly string[]): string {
  const name = interfaceName(value, code, path);
  if (/^[A-Za-z0-9_.@][A-Za-z0-9_.@-]*$/.test(name)) return name;
  const hint = 'one interface, by a name of letters, digits, dots, hyphens, underscores and "@"';
  throw new IpvsError(code, { detail: `interface ${quote(value)}`, path, hint });
}

function normalizeToSource(toSource: string, source: string): string {
  const { family, text } = parseIp(toSource);
  if (!isUnicast({ family, ip: text })) throw invalid(`${quote(toSource)} is no address of a host`, []);
  if (family !== familyOf({ source }))
    throw invalid(`${source} and ${text} are of different address families`, [], 'write a rule for each family');
  return text;
}

export function familyOf({ source }: Pick<MasqueradeRule, 'source'>): Family {
  return familyOfNetwork(source);
}

/** Of canonical text; of an address too. */
export function familyOfNetwork(text: string): Family {
  return text.includes(':') ? 'inet6' : 'inet';
}

/** "10.0.0.0/24 out eth0 protocol tcp" */
export function formatMatch({ source, out, protocol }: MasqueradeMatch): string {
  return [
    source,
    ...(out === undefined ? [] : [`out ${out}`]),
    ...(protocol === undefined ? [] : [`protocol ${protocol}`]),
  ].join(' ');
}

/** Its inverse. Throws INVALID_MASQUERADE, INVALID_ADDRESS, INVALID_PROTOCOL. */
export function parseMatch(text: string): MasqueradeMatch {
  const [, source, out, protocol] =
    /^(\S+?)(?: out (\S+))?(?: protocol (\S+))?$/.exec(text.trim().replace(/\s+/g, ' ')) ?? [];
  if (source === undefined)
    throw invalid(quote(text), [], 'a rule is called by its network, interface and protocol: 10.0.0.0/24 out eth0');
  return normalizeMatch({
    source,
    ...(out !== undefined && { out }),
    ...(protocol !== undefined && { protocol: protocol as MasqueradeProtocol }),
  });
}

/** What it does, in words: "ports 61000-65095, at random, from 192.0.2.1" */
export function describeAction({ ports, randomFully, toSource }: MasqueradeRule): string {
  const words = [
    ...(ports === undefined ? [] : [`ports ${ports}`]),
    ...(randomFully ? ['at random'] : []),
    ...(toSource === undefined ? [] : [`from ${toSource}`]),
  ];
  return words.join(', ') || 'any port';
}

/** How special: rules are asked in this order, so that one for a protocol comes before that for all of them. */
export function rankOf({ out, protocol }: MasqueradeMatch): number {
  return (protocol === undefined ? 0 : 2) + (out === undefined ? 0 : 1);
}

/**
 * Why not both: a connection could be of either, and it does not follow which. It does for the same network, where one of
 * them says more: an interface, a protocol. Undefined where they can stand together.
 */
export function conflictOf(a: MasqueradeMatch, b: MasqueradeMatch): IpvsError | undefined {
  const meet = (x: string | undefined, y: string | undefined) => x === undefined || y === undefined || x === y;
  if (!overlap(parseNetwork(a.source), parseNetwork(b.source)) || !meet(a.out, b.out) || !meet(a.protocol, b.protocol))
    return undefined;
  const [first, second] = [formatMatch(a), formatMatch(b)];
  if (first === second) return invalid(`there are two rules for ${first}`, ['source']);
  const hint = 'networks of rules are apart, unless interface or protocol are; of one network one rule says more';
  if (a.source !== b.source) return invalid(`${first} overlaps ${second}`, ['source'], hint);
  const refines = (x: MasqueradeMatch, y: MasqueradeMatch) =>
    (y.out === undefined || x.out === y.out) && (y.protocol === undefined || x.protocol === y.protocol);
  return refines(a, b) || refines(b, a) ? undefined : invalid(`${first} overlaps ${second}`, ['source'], hint);
}

function invalid(detail: string, path: readonly string[], hint?: string): IpvsError {
  return new IpvsError('INVALID_MASQUERADE', { detail, path, ...(hint !== undefined && { hint }) });
}
