/** What a host lacks for the answers of masqueraded servers: forwarding, an open FORWARD chain, the right rp_filter. Pure. */
import type { InterfaceAddress } from '../addresses/interface-address.ts';
import { type Family, parseDestinationAddress, parseServiceAddress } from '../net/address.ts';
import { type Network, overlap, parseNetwork } from '../net/network.ts';
import { CONNTRACK, FORWARDING, withNeeded } from '../state/needed-settings.ts';
import type { DesiredState } from '../state/state.ts';

/** What was read of a host. */
export interface HostFacts {
  /** Settings of the kernel by name. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly addresses: readonly InterfaceAddress[];
  /** What iptables-save prints of the table filter, for each store that has one. */
  readonly filters: readonly { readonly family: Family; readonly saved: string }[];
  /** What could not be read, and why: settings by name, and what the functions below name. */
  readonly unread?: Readonly<Record<string, string>>;
}

export const ADDRESSES = 'addresses';
export const INTERFACES = 'interfaces';
export function filterOf(family: Family): string {
  return `filter ${family}`;
}

export const NO_FACTS: HostFacts = { sysctls: {}, addresses: [], filters: [] };

export interface MissingPrerequisite {
  /** `UNKNOWN`: whether it is missing, as something could not be read. */
  readonly code: 'FORWARDING_OFF' | 'FORWARD_DROPS' | 'RP_FILTER_DROPS' | 'UNKNOWN';
  readonly family: Family;
  /** The first service that needs it. */
  readonly service: string;
  readonly message: string;
}

/** A real server whose answers come back through this host. */
interface Server {
  readonly service: string;
  readonly family: Family;
  readonly ip: string;
  readonly protocol: string | undefined;
}

export function missingPrerequisites(desired: DesiredState, facts: HostFacts): MissingPrerequisite[] {
  const servers = serversOf(desired, facts);
  const settings = { ...facts.sysctls, ...withNeeded(desired.sysctls, desired) };
  const { [ADDRESSES]: reason } = facts.unread ?? {};
  // Any of them may be this host.
  if (reason !== undefined)
    return servers.slice(0, 1).map((server) => unknown(server, 'can reach their clients', reason));
  return [
    ...(['inet', 'inet6'] as const).flatMap((family) => {
      const own = servers.filter((server) => server.family === family);
      return [...forwardingOff(own, facts, settings), ...forwardDrops(own, facts, settings)];
    }),
    ...rpFilterDrops(servers, facts, settings),
  ];
}

/** Real servers reached by masquerade, but for addresses of this host; each once, as many services share them. */
function serversOf({ services }: DesiredState, { addresses }: HostFacts): Server[] {
  const here = new Set(addresses.map(({ address }) => address));
  const servers = new Map<string, Server>();
  for (const { service, destinations } of services) {
    const of = parseServiceAddress(service.address);
    const protocol = 'protocol' in of ? of.protocol : undefined;
    for (const { address, forward } of destinations) {
      if (forward !== 'masquerade') continue;
      const { ip, family } = parseDestinationAddress(address, 0);
      const key = `${protocol} ${ip}`;
      if (here.has(ip) || ip.startsWith('127.') || ip === '::1' || servers.has(key)) continue;
      servers.set(key, { service: service.address, family, ip, protocol });
    }
  }
  return [...servers.values()];
}

type Settings = Readonly<Record<string, string>>;

function unknown({ service, family }: Server, what: string, reason: string): MissingPrerequisite {
  const message = `whether the answers of masqueraded servers ${what} is unknown: ${reason}`;
  return { code: 'UNKNOWN', family, service, message };
}

/** Why a setting is unknown; undefined if it is known, or the kernel does not have it. */
function unreadSetting(name: string, { unread = {} }: HostFacts, settings: Settings): string | undefined {
  return settings[name] === undefined ? unread[name] : undefined;
}

function forwardingOff([first]: readonly Server[], facts: HostFacts, settings: Settings): MissingPrerequisite[] {
  if (first === undefined) return [];
  const { service, family } = first;
  const name = FORWARDING[family];
  const reason = unreadSetting(name, facts, settings);
  if (reason !== undefined) return [unknown(first, 'are forwarded', reason)];
  if (settings[name] !== '0') return [];
  const message = `${name} is 0, so this host does not forward what masqueraded servers answer: set it to 1, here or in "sysctls" of the file`;
  return [{ code: 'FORWARDING_OFF', family, service, message }];
}

function forwardDrops(servers: readonly Server[], facts: HostFacts, settings: Settings): MissingPrerequisite[] {
  const filters = facts.filters
    .filter(({ family }) => family === servers[0]?.family)
    .map(({ saved }) => chainsOf(saved));
  const droppedIf = (tracked: boolean) =>
    servers.find((server) =>
      filters.some((chains) => chains.forwardPolicy === 'DROP' && !accepts(chains, 'FORWARD', server, tracked)),
    );
  const unreadTracking = unreadSetting(CONNTRACK, facts, settings);
  const dropped = droppedIf(settings[CONNTRACK] === '1' || unreadTracking !== undefined);
  if (dropped === undefined) {
    const [first] = servers;
    const doubtful = unreadTracking === undefined ? undefined : droppedIf(false);
    const reason = first && facts.unread?.[filterOf(first.family)];
    if (first && reason !== undefined) return [unknown(first, 'pass the chain FORWARD', reason)];
    return doubtful && unreadTracking ? [unknown(doubtful, 'pass the chain FORWARD', unreadTracking)] : [];
  }
  const { family, service, ip } = dropped;
  const program = family === 'inet' ? 'iptables' : 'ip6tables';
  const message = `the policy of FORWARD is DROP, and no rule of ${program} accepts what ${ip} answers: add one, such as "${program} -A FORWARD -s ${ip} -j ACCEPT"`;
  return [{ code: 'FORWARD_DROPS', family, service, message }];
}

interface Chains {
  readonly forwardPolicy: string | undefined;
  readonly rules: ReadonlyMap<string, readonly (readonly string[])[]>;
}

function chainsOf(saved: string): Chains {
  const rules = new Map<string, string[][]>();
  let [inFilter, forwardPolicy]: [boolean, string | undefined] = [false, undefined];
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) inFilter = line === '*filter';
    if (!inFilter) continue;
    forwardPolicy = /^:FORWARD (\S+)/.exec(line)?.[1] ?? forwardPolicy;
    const [, chain, text] = /^(?:\[\d+:\d+\] )?-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain !== undefined && text !== undefined) rules.set(chain, [...(rules.get(chain) ?? []), text.split(' ')]);
  }
  return { forwardPolicy, rules };
}

/** Whether a rule may accept the answers of a server; one that is not understood counts as one that does. */
function accepts(
  chains: Chains,
  chain: string,
  server: Server,
  tracked: boolean,
  above: readonly string[] = [],
): boolean {
  if (above.includes(chain)) return false;
  return (chains.rules.get(chain) ?? []).some((words) => {
    const target = wordAfter(words, '-j') ?? wordAfter(words, '-g');
    if (target === undefined || !mayMatch(words, server, tracked)) return false;
    return target === 'ACCEPT' || accepts(chains, target, server, tracked, [...above, chain]);
  });
}

function mayMatch(words: readonly string[], { ip, protocol }: Server, tracked: boolean): boolean {
  const source = wordAfter(words, '-s');
  if (source !== undefined && networkOf(source) && !contains(source, ip)) return false;
  const wanted = wordAfter(words, '-p');
  if (wanted !== undefined && protocol !== undefined && wanted !== protocol && wanted !== 'all') return false;
  // IPVS keeps its connections out of conntrack, unless net.ipv4.vs.conntrack is 1: the answers are new or invalid to it.
  const states = (wordAfter(words, '--ctstate') ?? wordAfter(words, '--state'))?.split(',');
  return tracked || states === undefined || states.some((state) => ['NEW', 'INVALID', 'UNTRACKED'].includes(state));
}

/** The word after an option; undefined where that is absent, or negated. */
function wordAfter(words: readonly string[], option: string): string | undefined {
  const at = words.indexOf(option);
  return at < 0 || words[at - 1] === '!' ? undefined : words[at + 1];
}

/** A strict filter drops what comes in by another interface than the one that leads back; two in one network are such. */
function rpFilterDrops(servers: readonly Server[], facts: HostFacts, settings: Settings): MissingPrerequisite[] {
  const { addresses, unread = {} } = facts;
  const networks = addresses.flatMap(({ interface: name, address, prefixLength }) => {
    const network = prefixLength < 32 && address.includes('.') && networkOf(`${address}/${prefixLength}`);
    return network ? [{ name, network }] : [];
  });
  for (const server of networks.length < 2 ? [] : servers) {
    const { service, family, ip } = server;
    if (family !== 'inet') continue;
    const near = networks.filter(({ network }) => overlap(network, parseNetwork(ip)));
    const longest = Math.max(...near.map(({ network }) => network.prefixLength));
    const names = [...new Set(near.filter(({ network }) => network.prefixLength === longest).map(({ name }) => name))];
    if (names.length < 2) continue;
    const strict = names.filter((name) => rpFilterOf(name, settings) === 1);
    const filters = ['all', ...names].map(rpFilterName).filter((name) => settings[name] === undefined);
    const [reason] = filters.flatMap((name) => unread[name] ?? unread[INTERFACES] ?? []);
    if (strict.length === 0 && reason !== undefined) return [unknown(server, 'pass the reverse path filter', reason)];
    if (strict.length === 0) continue;
    const message = `${ip} is in the network of ${names.join(' and ')}, and rp_filter of ${strict.join(' and ')} is 1: answers that come in by another interface than the one that leads to it are dropped; set it to 2`;
    return [{ code: 'RP_FILTER_DROPS', family, service, message }];
  }
  return [];
}

/** The higher of "all" and the interface counts. */
function rpFilterOf(name: string, settings: Settings): number {
  return Math.max(...['all', name].map((each) => Number(settings[rpFilterName(each)] ?? 0)));
}

export function rpFilterName(interfaceName: string): string {
  return `net.ipv4.conf.${interfaceName.replaceAll('.', '/')}.rp_filter`;
}

function contains(source: string, ip: string): boolean {
  const network = networkOf(source);
  return network !== undefined && overlap(network, parseNetwork(ip));
}

/** Of an address with a prefix length, whatever its bits behind that; undefined where it is neither. */
function networkOf(text: string): Network | undefined {
  const [address = '', length] = text.split('/');
  try {
    const host = parseNetwork(address);
    return { ...host, prefixLength: length === undefined ? host.prefixLength : Number(length) };
  } catch {
    return undefined;
  }
}
