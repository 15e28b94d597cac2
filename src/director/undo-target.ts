/** What an undo aims at: what had been applied before, and what the plan removed besides. Pure. */
import type { DefensePolicy } from '../defense/policy.ts';
import type { Timeouts } from '../ipvs/timeouts.ts';
import { formatMatch } from '../masquerade/rule.ts';
import { destinationKeyIn } from '../plan/ledger.ts';
import type { PastChange } from '../plan/packed-changes.ts';
import type { Tables } from '../plan/plan.ts';
import { sysctlSpec } from '../sysctl/catalogue.ts';
import { masqueradeKey } from './keys.ts';
import { type Rules, rulesOf } from './rules.ts';
import type { ConfiguredService } from './service-configuration.ts';
import type { DesiredService, DesiredState } from './state.ts';
import type { SysctlValues } from './sysctls.ts';

export function undoTarget(previous: DesiredState, changes: readonly PastChange[], before: Tables): DesiredState {
  const { services } = before['services'] as { readonly services: readonly ConfiguredService[] };
  const held = new Map(services.map((service) => [service.address, service]));
  const described = new Map(previous.services.map((entry) => [entry.service.address, entry]));
  for (const { resource, phase, key, of } of changes) {
    if (resource !== 'services') continue;
    const [entry, was] = [described.get(of), held.get(of)];
    if (phase === 'remove-service' && was && !entry) described.set(of, describedAs(was));
    if (!was || !entry || (phase !== 'remove-service' && phase !== 'remove-destination')) continue;
    const present = new Set(entry.destinations.map(({ address }) => address));
    const removed = was.destinations.filter(
      ({ address }) => !present.has(address) && (phase === 'remove-service' || destinationKeyIn(of, address) === key),
    );
    if (removed.length > 0) described.set(of, { ...entry, destinations: [...entry.destinations, ...removed] });
  }
  return {
    ...previous,
    services: [...described.values()],
    ...settingsBefore(previous, changes, before),
    ...masqueradeBefore(previous, changes, before),
  };
}

/** Rules of which nothing had been said, and those that were removed, as they were. */
function masqueradeBefore(
  { masquerade }: DesiredState,
  changes: readonly PastChange[],
  before: Tables,
): Pick<DesiredState, 'masquerade'> {
  const isMasquerade = ({ resource, key }: PastChange) => resource === 'rules' && key.startsWith(masqueradeKey(''));
  const keys = new Set(changes.filter(isMasquerade).map(({ key }) => key));
  const held = before['rules'] as Rules | undefined;
  if (keys.size === 0 || !held) return {};
  const keyOf = (rule: Parameters<typeof formatMatch>[0]) => masqueradeKey(formatMatch(rule));
  const described = new Set(masquerade?.map(keyOf));
  const others = rulesOf(held).flatMap((own) =>
    own.kind === 'masquerade' && keys.has(keyOf(own.rule)) && !described.has(keyOf(own.rule)) ? [own.rule] : [],
  );
  return { masquerade: [...(masquerade ?? []), ...others] };
}

/** Settings of which nothing had been said, as they were: they would stay as the plan set them. */
function settingsBefore(
  { timeouts, sysctls, defense }: DesiredState,
  changes: readonly PastChange[],
  before: Tables,
): Pick<DesiredState, 'timeouts' | 'sysctls' | 'defense'> {
  const set = (resource: string) => changes.filter((change) => change.resource === resource);
  const held = before as {
    readonly timeouts: Timeouts | null;
    readonly sysctls?: SysctlValues;
    readonly defense?: DefensePolicy;
  };
  const values = Object.fromEntries(
    set('sysctls').flatMap(({ subject: name }) => {
      const value = held.sysctls?.[name] ?? sysctlSpec(name)?.default ?? undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const isSet = set('timeouts').length > 0 && held.timeouts !== null;
  return {
    ...(isSet && { timeouts: { ...held.timeouts, ...timeouts } }),
    ...(set('defense').length > 0 && held.defense && { defense: defense ?? held.defense }),
    ...(Object.keys(values).length > 0 && { sysctls: { ...values, ...sysctls } }),
  };
}

/** The kernel's order is that of a file: what is added last stands first. */
export function describedAs({ destinations, ...service }: ConfiguredService): DesiredService {
  return { service, destinations };
}
