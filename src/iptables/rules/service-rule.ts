/** What services of IPVS want of iptables: rules ↔ lines of their chains, as iptables-save prints them. Pure. */
import { parseServiceAddress } from '../../net/address.ts';
import { portMatch } from '../../net/ports.ts';
import { commentOf } from '../chain.ts';
import { describeMatch, type MarkMatch, normalizeMarkMatch, portProtocols } from './mark-match.ts';
import { familyOfNetwork } from './masquerade.ts';

/** The connections of a service come to its real servers from an address of this host. */
export interface SourceNatRule {
  readonly kind: 'sourceNat';
  /** Its address. */
  readonly service: string;
}

/** What is balanced by a firewall mark gets it. */
export interface MarksRule {
  readonly kind: 'marks';
  readonly service: string;
  /** Those of its family. */
  readonly matches: readonly MarkMatch[];
}

/** Ports, `80` or `8000-8010`, in order; or all that there are. */
export type GuardedPorts = readonly string[] | 'all';

/** What is new to a virtual address, and for no service, is refused. */
export interface GuardRule {
  readonly kind: 'guard';
  readonly address: string;
  /** What is served. */
  readonly tcp: GuardedPorts;
  readonly udp: GuardedPorts;
  readonly sctp: GuardedPorts;
  /** Marks of services of its family, in order: they may be about any address. */
  readonly marks: readonly number[];
}

export type ServiceRule = SourceNatRule | MarksRule | GuardRule;

const words = { sourceNat: 'source NAT', marks: 'marks', guard: 'guard' } as const;
export type ServiceRuleKind = keyof typeof words;

/** "source NAT tcp://192.0.2.10:80": what its lines say in their comment. */
export function nameOfServiceRule(rule: ServiceRule): string {
  return `${words[rule.kind]} ${rule.kind === 'guard' ? rule.address : rule.service}`;
}

export interface ServiceRuleName {
  readonly kind: ServiceRuleKind;
  readonly words: string;
  /** "tcp://192.0.2.10:80", "192.0.2.10" */
  readonly subject: string;
}

/** The parts of such a name; undefined for that of something else. */
export function parseServiceRuleName(name: string): ServiceRuleName | undefined {
  const [kind, word] = Object.entries(words).find(([, word]) => name.startsWith(`${word} `)) ?? [];
  if (kind === undefined || word === undefined) return undefined;
  return { kind: kind as ServiceRuleKind, words: word, subject: name.slice(word.length + 1) };
}

export function linesOfServiceRule(rule: ServiceRule): string[] {
  const comment = commentOf(nameOfServiceRule(rule));
  switch (rule.kind) {
    case 'sourceNat':
      return [`${connectionsOf(rule.service)} ${comment} -j MASQUERADE`];
    case 'marks': {
      const mark = `-j MARK --set-xmark ${hex(markOf(rule.service))}/0xffffffff`;
      return rule.matches.map((match) => [...matchWords(match), comment, mark].join(' '));
    }
    case 'guard':
      return guardLines(rule).map(([match, target]) => `${match} ${comment} ${target}`);
  }
}

/**
 * Beyond `--ipvs` xt_ipvs looks the connection up. Of a service by mark the connection has the address that the client
 * meant, so its mark tells it; of one on port 0 it has the client's port, but is controlled by a template without one.
 */
function connectionsOf(service: string): string {
  const address = parseServiceAddress(service);
  if ('fwmark' in address) return `-m mark --mark ${hex(address.fwmark)} -m ipvs --vmethod MASQ`;
  const { protocol, ip, port } = address;
  const [vport, control] = port === 0 ? ['', ' --vportctl 0'] : [` --vport ${port}`, ''];
  return `-p ${protocol} -m ipvs --vaddr ${ip}${vport} --vmethod MASQ${control}`;
}

function matchWords({ address, in: device, protocol, ports }: MarkMatch): string[] {
  return [
    ...(address === undefined ? [] : [`-d ${address}`]),
    ...(device === undefined ? [] : [`-i ${device}`]),
    ...(protocol === undefined ? [] : [portMatch(protocol, ports)]),
  ];
}

/** Only what is new: what a helper expects, data connections of FTP, is RELATED, and answers to this host are neither. */
function guardLines({ address, marks, ...ports }: GuardRule): [match: string, target: string][] {
  const isIpv4 = familyOfNetwork(address) === 'inet';
  const to = `-d ${address}/${isIpv4 ? 32 : 128}`;
  const unreachable = isIpv4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
  const served = (protocol: (typeof portProtocols)[number]) =>
    ports[protocol] === 'all' ? [undefined] : [...ports[protocol]];
  return [
    ...marks.map((mark): [string, string] => [`${to} -m mark --mark ${hex(mark)}`, '-j RETURN']),
    ...portProtocols.flatMap((protocol) =>
      served(protocol).map((each): [string, string] => [`${to} ${portMatch(protocol, each)}`, '-j RETURN']),
    ),
    ...portProtocols
      .filter((protocol) => ports[protocol] !== 'all')
      .map((protocol): [string, string] => [
        `${to} -p ${protocol} -m conntrack --ctstate NEW`,
        `-j REJECT --reject-with ${protocol === 'tcp' ? 'tcp-reset' : unreachable}`,
      ]),
  ];
}

/** The rule of that name whose lines these are; undefined where somebody altered them. */
export function readServiceRule(name: string, lines: readonly string[]): ServiceRule | undefined {
  const parsed = parseServiceRuleName(name);
  if (parsed === undefined) return undefined;
  try {
    const rule = ruleFrom(parsed, lines);
    const own = linesOfServiceRule(rule);
    return own.length === lines.length && own.every((line, i) => line === lines[i]) ? rule : undefined;
  } catch {
    return undefined;
  }
}

function ruleFrom({ kind, subject }: ServiceRuleName, lines: readonly string[]): ServiceRule {
  switch (kind) {
    case 'sourceNat':
      return { kind, service: subject };
    case 'marks':
      return { kind, service: subject, matches: lines.map(matchFrom) };
    case 'guard': {
      const ports = (protocol: string): GuardedPorts => {
        const own = lines.filter((line) => line.includes(` -p ${protocol} `) && line.endsWith('-j RETURN'));
        const found = own.map((line) => / --dport (\S+)/.exec(line)?.[1]?.replace(':', '-'));
        return found.length === 1 && found[0] === undefined ? 'all' : found.map(String);
      };
      const marks = lines.flatMap((line) => / --mark (0x[0-9a-f]+) /.exec(line)?.[1] ?? []).map(Number);
      return { kind, address: subject, tcp: ports('tcp'), udp: ports('udp'), sctp: ports('sctp'), marks };
    }
  }
}

function matchFrom(line: string): MarkMatch {
  const said = (option: string) => new RegExp(`(?:^| )${option} (\\S+)`).exec(line)?.[1];
  return normalizeMarkMatch({
    address: said('-d'),
    in: said('-i'),
    protocol: said('-p') as MarkMatch['protocol'],
    ports: said('--dport')?.replace(':', '-'),
  });
}

/** What it does, in words. */
export function describeServiceRule(rule: ServiceRule): string {
  switch (rule.kind) {
    case 'sourceNat':
      return 'from an address of this host';
    case 'marks':
      return some(rule.matches.map(describeMatch), ', ');
    case 'guard': {
      const ports = portProtocols.flatMap((protocol) => {
        const served = rule[protocol];
        if (served === 'all') return [`all of ${protocol}`];
        return served.length === 0 ? [] : [`${protocol} ${some(served, ' ')}`];
      });
      const served = [...ports, ...rule.marks.map((mark) => `fwmark ${mark}`)];
      return served.length === 0 ? 'refuses everything' : `refuses all but ${some(served, ', ')}`;
    }
  }
}

/** The first few, and how many more. */
function some(texts: readonly string[], between: string): string {
  const most = 8;
  return texts.length <= most
    ? texts.join(between)
    : `${texts.slice(0, most).join(between)} and ${texts.length - most} more`;
}

function markOf(service: string): number {
  const address = parseServiceAddress(service);
  return 'fwmark' in address ? address.fwmark : 0;
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}
