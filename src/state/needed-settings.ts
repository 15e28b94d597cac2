/** Settings of the kernel without which rules of iptables do nothing. Pure. */

import { familyOf } from '../iptables/rules/masquerade.ts';
import { parseServiceAddress } from '../net/address.ts';
import type { DesiredState } from './state.ts';

type Needing = Pick<DesiredState, 'services' | 'masquerade'>;

export const FORWARDING = { inet: 'net.ipv4.ip_forward', inet6: 'net.ipv6.conf.all.forwarding' } as const;

/** A setting that must be 1, and why; the service that needs it, if it is one. */
interface Need {
  readonly name: string;
  readonly why: string;
  readonly service?: string;
}

export const CONNTRACK = 'net.ipv4.vs.conntrack';

function* needsOf({ services, masquerade = [] }: Needing): Generator<Need> {
  for (const rule of masquerade)
    yield { name: FORWARDING[familyOf(rule)], why: 'masquerade needs it: inner hosts are forwarded' };
  for (const { service, sourceNat } of services) {
    if (!sourceNat) continue;
    const { address } = service;
    const { family } = parseServiceAddress(address);
    yield { name: FORWARDING[family], service: address, why: 'sourceNat needs it: what servers answer is forwarded' };
    yield {
      name: CONNTRACK,
      service: address,
      why: 'sourceNat needs it: iptables sees connections of IPVS, from new ones on',
    };
    yield {
      name: 'net.ipv4.vs.snat_reroute',
      service: address,
      why: 'sourceNat needs it: answers leave by the way of the virtual address',
    };
  }
}

/** Settings that are needed, and of which nothing is said. */
export function withNeeded(sysctls: DesiredState['sysctls'], needing: Needing): DesiredState['sysctls'] {
  const implied = Object.fromEntries([...needsOf(needing)].map(({ name }) => [name, '1']));
  return Object.keys(implied).length === 0 ? sysctls : { ...implied, ...sysctls };
}

/** Why a setting is wanted that no file may have asked for. */
export function reasonsOf(name: string, value: string, needing: Needing): readonly string[] {
  if (value !== '1') return [];
  return [...new Set([...needsOf(needing)].flatMap((need) => (need.name === name ? [need.why] : [])))];
}

/** The settings that some of the services need. */
export function neededBy(services: ReadonlySet<string>, needing: Needing): string[] {
  return [...needsOf(needing)].flatMap(({ name, service }) => (service && services.has(service) ? [name] : []));
}
