/** What a flush leaves of ours: it removes services, and nothing else. Pure. */
import { formatInterfaceAddress, type InterfaceAddress } from '../addresses/interface-address.ts';
import type { Tables } from '../engine/plan.ts';
import { nameOf } from '../iptables/rules/own-rule.ts';
import type { SyncDaemon } from '../ipvs/sync-daemon.ts';
import { addressesOf } from '../resources/addresses.ts';
import { type Rules, rulesOf } from '../resources/rules.ts';
import type { DesiredState } from '../state/state.ts';

export interface Remains {
  /** "192.0.2.10/32 on eth0": virtual addresses of services that the applied file describes. */
  readonly addresses: readonly string[];
  /** "192.0.2.10 source NAT": rules of iptables in our chains. */
  readonly rules: readonly string[];
  /** "master on eth0", whoever started it. */
  readonly daemons: readonly string[];
}

export function remainsOf(applied: DesiredState | undefined, tables: Tables): Remains {
  const held = (tables['addresses'] ?? []) as readonly InterfaceAddress[];
  const described = applied ? [...addressesOf(applied).values()].map(({ address }) => address) : [];
  const present = described.filter((one) =>
    held.some((other) => other.interface === one.interface && other.address === one.address),
  );
  const rules = (tables['rules'] ?? null) as Rules;
  const daemons = (tables['sync'] ?? []) as readonly SyncDaemon[];
  return {
    addresses: present.map(formatInterfaceAddress),
    rules: rules ? rulesOf(rules).map(nameOf) : [],
    daemons: daemons.map(({ state, interface: name }) => `${state} on ${name}`),
  };
}
