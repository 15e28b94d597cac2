/** The rules of iptables that a state comes to: those of its section, and those of its services. Pure. */

import { isOfFamily } from '../iptables/rules/mark-match.ts';
import { formatMatch } from '../iptables/rules/masquerade.ts';
import { masquerade, nameOf, type OwnRule, partsOf } from '../iptables/rules/own-rule.ts';
import type { GuardedPorts, GuardRule } from '../iptables/rules/service-rule.ts';
import { type Family, parseServiceAddress } from '../net/address.ts';
import { rangesOf } from '../net/ports.ts';
import type { DesiredService, DesiredState } from '../state/state.ts';
import { masqueradeKey } from './keys.ts';

export interface WantedRule {
  readonly rule: OwnRule;
  /** What it is called in its chain. */
  readonly name: string;
  /** What it belongs to: a service, or itself. */
  readonly of: string;
}

/** By name. With `targets` a guard belongs to one of them, if it is theirs too. */
export function wantedRules(
  { services, masquerade: rules = [] }: DesiredState,
  targets?: ReadonlySet<string>,
): ReadonlyMap<string, WantedRule> {
  const wanted: WantedRule[] = [
    // Most services want none.
    ...services.filter(({ sourceNat, match }) => sourceNat || match).flatMap(ofService),
    ...guardsOf(services, targets),
    ...rules.map((rule) => ({ rule: masquerade(rule), name: formatMatch(rule), of: masqueradeKey(formatMatch(rule)) })),
  ];
  return new Map(wanted.map((each) => [each.name, each]));
}

function ofService({ service: { address }, sourceNat, match }: DesiredService): WantedRule[] {
  const rules: OwnRule[] = sourceNat ? [{ kind: 'sourceNat', service: address }] : [];
  if (match !== undefined) {
    const { family } = parseServiceAddress(address);
    rules.push({ kind: 'marks', service: address, matches: match.filter((each) => isOfFamily(each, family)) });
  }
  return rules.map((rule) => ({ rule, name: nameOf(rule), of: address }));
}

/** One for each address of which a service says so; what any service serves there is let through. */
function guardsOf(services: readonly DesiredService[], targets?: ReadonlySet<string>): WantedRule[] {
  const first = new Map<string, string>();
  for (const { service, rejectUnserved } of services) {
    const address = rejectUnserved ? ipOf(service.address) : undefined;
    if (address !== undefined && !first.has(address)) first.set(address, service.address);
  }
  if (first.size === 0) return [];
  const served = servedOn(new Set(first.keys()), services);
  const marks = marksOf(services);
  return [...first].map(([address, of]) => {
    const family = familyOf(address);
    const { services: own, ports } = served.get(address) ?? { services: [], ports: NO_PORTS };
    const rule: GuardRule = { kind: 'guard', address, ...ports, marks: marks[family].map(({ fwmark }) => fwmark) };
    const all = [...own, ...marks[family].map(({ service }) => service)];
    return { rule, name: nameOf(rule), of: all.find((service) => targets?.has(service)) ?? of };
  });
}

type Ports = Pick<GuardRule, 'tcp' | 'udp' | 'sctp'>;
const NO_PORTS: Ports = { tcp: [], udp: [], sctp: [] };

function servedOn(
  addresses: ReadonlySet<string>,
  services: readonly DesiredService[],
): Map<string, { services: string[]; ports: Ports }> {
  const found = new Map<string, { services: string[]; ports: Map<string, number[]> }>();
  for (const { service } of services) {
    const parsed = parseServiceAddress(service.address);
    if ('fwmark' in parsed || !addresses.has(parsed.ip)) continue;
    const { services, ports } = found.get(parsed.ip) ?? { services: [], ports: new Map<string, number[]>() };
    found.set(parsed.ip, { services, ports });
    services.push(service.address);
    const own = ports.get(parsed.protocol);
    if (own) own.push(parsed.port);
    else ports.set(parsed.protocol, [parsed.port]);
  }
  return new Map(
    [...found].map(([address, { services, ports }]) => {
      const of = (protocol: string): GuardedPorts => {
        const own = ports.get(protocol) ?? [];
        // Port 0 is every port.
        return own.includes(0) ? 'all' : rangesOf(own);
      };
      return [address, { services, ports: { tcp: of('tcp'), udp: of('udp'), sctp: of('sctp') } }];
    }),
  );
}

function marksOf(services: readonly DesiredService[]) {
  const marks: Record<Family, { fwmark: number; service: string }[]> = { inet: [], inet6: [] };
  for (const { service } of services) {
    const parsed = parseServiceAddress(service.address);
    if ('fwmark' in parsed) marks[parsed.family].push({ fwmark: parsed.fwmark, service: service.address });
  }
  for (const of of Object.values(marks)) of.sort((a, b) => a.fwmark - b.fwmark);
  return marks;
}

function ipOf(service: string): string | undefined {
  const parsed = parseServiceAddress(service);
  return 'ip' in parsed ? parsed.ip : undefined;
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'inet6' : 'inet';
}

/** What its plan says: what it does, and what that costs. */
export function effectsOfRule(type: 'add' | 'edit' | 'delete', name: string): readonly string[] {
  return effects[partsOf(name).kind][type];
}

const effects: Readonly<Record<OwnRule['kind'], Readonly<Record<'add' | 'edit' | 'delete', readonly string[]>>>> = {
  masquerade: {
    add: [],
    edit: ['connections that are there keep their ports'],
    delete: ['connections that are there go on, new ones are not masqueraded'],
  },
  sourceNat: {
    add: ['real servers see an address of this host instead of the client, from new connections on'],
    edit: [],
    delete: ['real servers see the client again, from new connections on'],
  },
  marks: {
    add: ['what matches has this mark, whatever mark it came with'],
    edit: [],
    delete: ['what matched goes on without the mark'],
  },
  guard: {
    add: ['new connections to other ports of the address are refused, those to daemons of this host too'],
    edit: [],
    delete: ['what is not served is answered by whoever listens on this host, or not'],
  },
};
