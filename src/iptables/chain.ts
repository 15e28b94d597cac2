/**
 * Chains of iptables that are ours: what iptables-save prints of one, and the text by which iptables-restore replaces it
 * in one commit. Every line of ours says in its comment what it belongs to. Pure.
 */
import type { Family } from '../net/address.ts';

export interface OwnChain {
  readonly table: 'nat' | 'mangle' | 'filter';
  /** The kernel's chain that leads to it. */
  readonly from: 'POSTROUTING' | 'PREROUTING' | 'INPUT';
  /** At most 28 characters. */
  readonly name: string;
}

/** Source addresses: of inner networks, and of connections of services. */
export const SOURCE_CHAIN: OwnChain = { table: 'nat', from: 'POSTROUTING', name: 'IPVSD-POSTROUTING' };
/** Firewall marks. */
export const MARK_CHAIN: OwnChain = { table: 'mangle', from: 'PREROUTING', name: 'IPVSD-PREROUTING' };
/** What no service serves. */
export const GUARD_CHAIN: OwnChain = { table: 'filter', from: 'INPUT', name: 'IPVSD-INPUT' };

export const families: readonly Family[] = ['inet', 'inet6'];

/** Such a chain, of a family. */
export interface ChainPlace {
  readonly chain: OwnChain;
  readonly family: Family;
}

/** All of them. */
export const chainPlaces: readonly ChainPlace[] = [SOURCE_CHAIN, MARK_CHAIN, GUARD_CHAIN].flatMap((chain) =>
  families.map((family) => ({ chain, family })),
);

/** "IPVSD-POSTROUTING of IPv4" */
export function placeName({ chain, family }: ChainPlace): string {
  return `${chain.name} of ${family === 'inet' ? 'IPv4' : 'IPv6'}`;
}

export interface ChainLine {
  /** As iptables-save prints it, without the chain: "-s 10.0.0.0/24 -j MASQUERADE". */
  readonly text: string;
  /** Of rules of NAT only the first packet of each connection counts. */
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Where iptables keeps tables: in nf_tables, or in the older tables of legacy. A kernel can have both at once. */
export type Store = 'nft' | 'legacy';

export function otherStore(store: Store): Store {
  return store === 'nft' ? 'legacy' : 'nft';
}

export interface Chain {
  readonly exists: boolean;
  readonly lines: readonly ChainLine[];
  /** How often its table leads to it: once is right. */
  readonly jumps: number;
  /** The rule number of the first of these jumps, from 1; absent without one. */
  readonly jumpAt?: number;
  /** How many rules the kernel's chain has. */
  readonly rulesBeside?: number;
  /** The store that holds it; absent where there is no such chain, and in what a file describes. */
  readonly store?: Store;
  /** A second chain of this name, in the other store: drift, because packets pass both. */
  readonly copy?: Chain;
}

export const NO_CHAIN: Chain = { exists: false, lines: [], jumps: 0 };

/** Whether a table holds anything of the chain. */
export function isUsed({ exists, jumps }: Chain): boolean {
  return exists || jumps > 0;
}

/** Reads a chain from what `iptables-save -c` prints. */
export function readChain(saved: string, { table, from, name }: OwnChain): Chain {
  let [inTable, exists, jumps, jumpAt, rulesBeside] = [false, false, 0, 0, 0];
  const lines: ChainLine[] = [];
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) inTable = line === `*${table}`;
    if (!inTable) continue;
    if (line.startsWith(`:${name} `)) exists = true;
    const [, packets = '0', bytes = '0', chain, text = ''] =
      /^(?:\[(\d+):(\d+)\] )?-A (\S+) (.*?)\s*$/.exec(line) ?? [];
    if (chain === name) lines.push({ text, packets: BigInt(packets), bytes: BigInt(bytes) });
    if (chain !== from) continue;
    rulesBeside++;
    if (text !== `-j ${name}`) continue;
    jumps++;
    jumpAt ||= rulesBeside;
  }
  return { exists, lines, jumps, ...(jumpAt > 0 && { jumpAt }), rulesBeside };
}

/** Whether rules of anybody are in a table. */
export function hasRules(saved: string): boolean {
  return /^(?:\[\d+:\d+\] )?-A /m.test(saved);
}

const OURS = 'ipvsd: ';

/** The match that says what a line belongs to. */
export function commentOf(key: string): string {
  return `-m comment --comment "${OURS}${key}"`;
}

/** What a line belongs to; undefined for one that is not ours. */
export function keyOf(text: string): string | undefined {
  const [, comment] = / --comment "((?:[^"\\]|\\.)*)"/.exec(` ${text}`) ?? [];
  return comment?.startsWith(OURS) ? comment.slice(OURS.length) : undefined;
}

/** The lines of ours, by what they belong to. */
export function groupsOf(lines: readonly Pick<ChainLine, 'text'>[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { text } of lines) {
    const key = keyOf(text);
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), text]);
  }
  return groups;
}

/**
 * The lines with those of ours replaced, in the order of the groups. What others put in stays: in front of ours, where it
 * stood before all of them, else behind.
 */
export function withGroups(
  lines: readonly Pick<ChainLine, 'text'>[],
  groups: ReadonlyMap<string, readonly string[]>,
): string[] {
  const texts = lines.map(({ text }) => text);
  const isForeign = (text: string) => keyOf(text) === undefined;
  const firstOfOurs = texts.findIndex((text) => !isForeign(text));
  const front = firstOfOurs < 0 ? [] : texts.slice(0, firstOfOurs);
  const back = texts.slice(front.length).filter(isForeign);
  return [...front, ...[...groups.values()].flat(), ...back];
}

/**
 * One commit, after which the chain holds these lines, and the kernel's chain leads to it so often; without lines nothing
 * is left of either. Counters of lines that stay are kept. Naming a chain empties just that one.
 */
export function restoreText(
  { table, from, name }: OwnChain,
  now: Chain,
  { lines, jumps, jumpAt = 1 }: { readonly lines: readonly string[]; readonly jumps: number; readonly jumpAt?: number },
): string {
  const wantedJumps = lines.length === 0 ? 0 : jumps;
  // In front, unless it stood elsewhere: our rules are special to their networks, and those of others often are not.
  const at = Math.min(jumpAt, (now.rulesBeside ?? 0) + 1);
  const place = at > 1 ? `${from} ${at}` : from;
  const jump = wantedJumps > now.jumps ? `-I ${place} -j ${name}` : `-D ${from} -j ${name}`;
  const jumpCommands = Array<string>(Math.abs(wantedJumps - now.jumps)).fill(jump);
  if (lines.length > 0) {
    const own = counted(now.lines, lines).map(([counters, line]) => `${counters} -A ${name} ${line}`);
    return commit(table, [`:${name} - [0:0]`, ...own, ...jumpCommands]);
  }
  return commit(table, [...jumpCommands, ...(now.exists ? [`-F ${name}`, `-X ${name}`] : [])]);
}

/** Adds the lines to a chain of their own and takes that away again, in one commit: whether the kernel takes them. */
export function probeText({ table }: OwnChain, lines: readonly string[]): string {
  return commit(table, [
    ':IPVSD-PROBE - [0:0]',
    ...lines.map((line) => `-A IPVSD-PROBE ${line}`),
    '-F IPVSD-PROBE',
    '-X IPVSD-PROBE',
  ]);
}

function commit(table: string, commands: readonly string[]): string {
  return [`*${table}`, ...commands, 'COMMIT', ''].join('\n');
}

/** Lines with the counters that the same line had: "[5:300]". */
function counted(before: readonly ChainLine[], lines: readonly string[]): [counters: string, line: string][] {
  const rest = [...before];
  return lines.map((text) => {
    const index = rest.findIndex((line) => line.text === text);
    const [line] = index < 0 ? [] : rest.splice(index, 1);
    return [`[${line?.packets ?? 0}:${line?.bytes ?? 0}]`, text];
  });
}
