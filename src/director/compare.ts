/** Two states of a table compared, each as somebody wants it, or as a kernel holds or held it. Pure. */
import type { InterfaceAddress } from '../addresses/interface-address.ts';
import type { DefensePolicy } from '../defense/policy.ts';
import { NOTHING_KNOWN } from '../engine/known.ts';
import type { PastChange } from '../engine/packed-changes.ts';
import { type Plan, planOf, type Tables } from '../engine/plan.ts';
import { type ChainPlace, placeName, SOURCE_CHAIN } from '../iptables/chain.ts';
import type { OwnRule } from '../iptables/rules/own-rule.ts';
import type { SyncDaemon } from '../ipvs/sync-daemon.ts';
import { type Timeouts, timeoutNames } from '../ipvs/timeouts.ts';
import { parseServiceAddress } from '../net/address.ts';
import { addressesOf } from '../resources/addresses.ts';
import { resources } from '../resources/all.ts';
import { chainsOf, type Rules, rulesOf } from '../resources/rules.ts';
import type { ConfiguredService } from '../resources/services/configuration.ts';
import type { SysctlValues } from '../resources/sysctls.ts';
import { type DesiredService, type DesiredState, servicesByAddress } from '../state/state.ts';

/** `tables`: as `Director.tables` gives them. */
export type Side = { readonly desired: DesiredState } | { readonly tables: Tables };

export interface Comparison {
  /** What leads from the first to the second: what the second has and the first has not is added. */
  readonly changes: readonly PastChange[];
  /** How many objects are the same. */
  readonly unchanged: number;
}

/** A section of which one side says nothing is not compared; nor is in which order destinations stand. */
export function compared(a: Side, b: Side): Comparison {
  const [from, to] = [stateOf(a), stateOf(b)];
  const [first, second] = [seenBy(to, b, from), seenBy(from, a, to)];
  const { changes, unchanged } = leading(first, second);
  const added = changes.filter(isAddition);
  const changed = changes.filter(({ phase, verb }) => phase === 'edit' || /^(?:edit|set) /.test(verb));
  // What goes is best told as what would come on the way back.
  const removed = leading(second, first).changes.filter(isAddition).reverse().map(taken);
  return { changes: [...added, ...changed, ...removed].map(bare), unchanged };
}

function leading(from: DesiredState, to: DesiredState): Plan {
  return planOf(resources, to, NOTHING_KNOWN, tablesWith(from, to), { adopt: true, prune: true });
}

function isAddition({ verb }: PastChange): boolean {
  return verb.startsWith('add ') || verb.startsWith('start ');
}

function taken(change: PastChange): PastChange {
  return { ...change, verb: change.verb.replace(/^add /, 'delete ').replace(/^start /, 'stop ') };
}

/** Nothing is done, so nothing costs anything. */
function bare({ resource, phase, verb, subject, key, of, detail }: PastChange): PastChange {
  const told = resource === 'addresses' ? 'virtual address' : detail;
  return { resource, phase, verb, subject, key, of, detail: told, cause: 'file', effects: [] };
}

/** Both kinds of sides as what somebody would have to want to have them. */
function stateOf(side: Side): DesiredState {
  if ('desired' in side) {
    const { services, timeouts, sync, sysctls, defense, masquerade } = side.desired;
    const plain = services.map(
      ({ service, destinations, interface: name, sourceNat, match, rejectUnserved }): DesiredService => ({
        service,
        destinations,
        ...(name !== undefined && { interface: name }),
        ...(sourceNat && { sourceNat }),
        ...(match && { match }),
        ...(rejectUnserved && { rejectUnserved }),
      }),
    );
    return {
      services: plain,
      ...(timeouts && { timeouts }),
      ...(sync && { sync }),
      ...(sysctls && { sysctls }),
      ...(defense && { defense }),
      ...(masquerade && { masquerade }),
    };
  }
  const tables = side.tables as unknown as KernelTables;
  const { services, timeouts, sync, addresses, sysctls, defense, rules } = tables;
  const held = rules ? rulesOf(rules) : [];
  const entries = services.services.map((service): DesiredService => {
    const name = interfaceOf(service, addresses ?? []);
    return { ...describedAs(service), ...(name !== undefined && { interface: name }), ...wantedBy(service, held) };
  });
  return {
    services: entries,
    sync,
    ...(timeouts && { timeouts }),
    ...(sysctls && { sysctls }),
    ...(defense && { defense }),
    ...(rules?.[placeName(NAT)] && {
      masquerade: held.flatMap((own) => (own.kind === 'masquerade' ? [own.rule] : [])),
    }),
  };
}

interface KernelTables {
  readonly services: { readonly services: readonly ConfiguredService[] };
  readonly timeouts: Timeouts | null;
  readonly sync: readonly SyncDaemon[];
  readonly addresses?: readonly InterfaceAddress[] | null;
  readonly sysctls?: SysctlValues;
  readonly defense?: DefensePolicy;
  readonly rules?: Rules;
}

const NAT: ChainPlace = { chain: SOURCE_CHAIN, family: 'inet' };

/** What rules of iptables say of a service. */
function wantedBy({ address }: ConfiguredService, held: readonly OwnRule[]): Partial<DesiredService> {
  const parsed = parseServiceAddress(address);
  const own = held.filter((rule) =>
    rule.kind === 'guard'
      ? 'ip' in parsed && parsed.ip === rule.address
      : 'service' in rule && rule.service === address,
  );
  return Object.assign(
    {},
    ...own.map((rule) => {
      if (rule.kind === 'marks') return { match: rule.matches };
      return rule.kind === 'guard' ? { rejectUnserved: true } : { sourceNat: true };
    }),
  );
}

function interfaceOf({ address }: ConfiguredService, addresses: readonly InterfaceAddress[]): string | undefined {
  const parsed = parseServiceAddress(address);
  if ('fwmark' in parsed) return undefined;
  return addresses.find((held) => held.address === parsed.ip)?.interface;
}

/** Of `state`, what `other` says something about too. */
function seenBy(
  other: DesiredState,
  otherSide: Side,
  { services, timeouts, sync, sysctls, defense, masquerade }: DesiredState,
): DesiredState {
  const names = timeoutNames.filter((name) => timeouts?.[name] !== undefined && other.timeouts?.[name] !== undefined);
  const managed = 'tables' in otherSide && (otherSide.tables['addresses'] ?? null) !== null;
  const others = servicesByAddress(other);
  return {
    services: services.map((entry) => {
      const counterpart = others.get(entry.service.address);
      if (managed || counterpart === undefined || counterpart.interface !== undefined) return entry;
      const { interface: _, ...rest } = entry;
      return rest;
    }),
    ...(names.length > 0 && { timeouts: Object.fromEntries(names.map((name) => [name, timeouts?.[name]])) }),
    ...(sync && other.sync && { sync }),
    ...(masquerade && other.masquerade && { masquerade }),
    ...(sysctls && other.sysctls && { sysctls: only(Object.keys(other.sysctls), sysctls) }),
    ...(defense && other.defense && { defense }),
  };
}

function only(names: readonly string[], settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)));
}

/** The tables of a kernel that holds the state; where it says nothing, what the other one says. */
function tablesWith(state: DesiredState, other: DesiredState): Tables {
  const idle = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  const services = state.services.map(({ service, destinations }) => ({
    ...service,
    destinations: destinations.map((destination) => ({ ...destination, ...idle })),
  }));
  return {
    services: { services },
    timeouts: { ...other.timeouts, ...state.timeouts },
    sync: state.sync ?? [],
    sysctls: { ...other.sysctls, ...state.sysctls },
    defense: state.defense ?? other.defense,
    rules: chainsOf(state),
    addresses: [...addressesOf(state).values()].map(({ address }) => address),
  };
}

/** The kernel's order is that of a file: what is added last stands first. */
function describedAs({ destinations, ...service }: ConfiguredService): DesiredService {
  return { service, destinations };
}
