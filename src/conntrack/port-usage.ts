/**
 * How many ports of a rule are taken. A port is taken for one protocol, mapped address and outer end: the same port serves
 * any number of others. Pure.
 */

import { formatMatch, type MasqueradeRule } from '../iptables/rules/masquerade.ts';
import { endpointTest, splitEndpoint } from '../net/endpoint.ts';
import type { Mapping } from './mapping.ts';

const portProtocols = ['tcp', 'udp', 'sctp'] as const;
export type PortProtocol = (typeof portProtocols)[number];

export interface PortUsage {
  /** What the rule is called: "10.0.0.0/24 out eth0". */
  readonly rule: string;
  readonly protocol: PortProtocol;
  /** The address that outer sees. */
  readonly mapped: string;
  /** Whom the packets go to, address and port: `198.51.100.9:443`. */
  readonly outer: string;
  /** `61000-65095` */
  readonly ports: string;
  readonly used: number;
  readonly free: number;
}

/**
 * Of a rule without ports: what the kernel gives connections whose own port is taken, if that was not one below 1024
 * (nf_nat_core.c, nf_nat_l4proto_unique_tuple).
 */
const ANY_PORT = '1024-65535';

interface Counted {
  readonly name: string;
  readonly isMeant: (protocol: string, inner: string, mapped: string) => boolean;
  readonly ports: string;
  readonly low: number;
  readonly high: number;
}

/** The addresses of interfaces, by name. */
type Addresses = ReadonlyMap<string, ReadonlySet<string>>;

export class PortCount {
  readonly #rules: readonly Counted[];
  /** By what is shared by those that compete for ports. */
  readonly #used = new Map<string, { readonly usage: Omit<PortUsage, 'used' | 'free'>; used: number }>();

  /** `rules` in the order in which they are asked. */
  constructor(rules: readonly MasqueradeRule[], addresses: Addresses) {
    this.#rules = rules.filter(({ protocol }) => protocol !== 'icmp').map((rule) => counted(rule, addresses));
  }

  /** Which rule a connection began by is not in the table: it counts for the first that could have made it so. */
  add({ protocol, inner, outer: meant, server: outer = meant, mapped: mappedEnd }: Mapping): void {
    const [mapped, portText] = splitEndpoint(mappedEnd);
    const port = Number(portText);
    const rule = this.#rules.find(
      ({ low, high, isMeant }) => port >= low && port <= high && isMeant(protocol, inner, mapped),
    );
    if (rule === undefined) return;
    const key = `${rule.name} ${protocol} ${mapped} ${outer}`;
    const known = this.#used.get(key);
    if (known) known.used++;
    else {
      const usage = { rule: rule.name, protocol: protocol as PortProtocol, mapped, outer, ports: rule.ports };
      this.#used.set(key, { usage, used: 1 });
    }
  }

  /** Those with the fewest ports left first, by share. */
  usages(): PortUsage[] {
    const usages = [...this.#used.values()].map(({ usage, used }): PortUsage => {
      const [low = 0, high = low] = usage.ports.split('-').map(Number);
      return { ...usage, used, free: Math.max(0, high - low + 1 - used) };
    });
    return usages.sort((a, b) => shareOf(b) - shareOf(a) || b.used - a.used || (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

/** 0 to 1. */
export function shareOf({ used, free }: Pick<PortUsage, 'used' | 'free'>): number {
  return used / (used + free);
}

/** What it is about, whatever the numbers are. */
export function keyOf({ rule, protocol, mapped, outer }: PortUsage): string {
  return `${rule} ${protocol} ${mapped} ${outer}`;
}

function counted(rule: MasqueradeRule, addresses: Addresses): Counted {
  const { source, protocol, ports = ANY_PORT, toSource, out } = rule;
  const [low = 0, high = low] = ports.split('-').map(Number);
  const isInside = endpointTest(source);
  // The interface is not in the table, but the address that was taken from it.
  const isFrom =
    toSource !== undefined
      ? (mapped: string) => mapped === toSource
      : out === undefined
        ? () => true
        : (mapped: string) => addresses.get(out)?.has(mapped) ?? false;
  return {
    name: formatMatch(rule),
    isMeant: (of, inner, mapped) =>
      (protocol === undefined ? (portProtocols as readonly string[]).includes(of) : of === protocol) &&
      isFrom(mapped) &&
      isInside(inner),
    ports,
    low,
    high,
  };
}
