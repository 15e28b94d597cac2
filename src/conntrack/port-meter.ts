/** Looks again and again at how many ports of the masquerade rules are taken, and remembers the most. */
import { AddressTable } from '../addresses/address-table.ts';
import type { InterfaceAddress } from '../addresses/interface-address.ts';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { KernelRuleHost } from '../iptables/host.ts';
import { MasqueradeTable } from '../iptables/masquerade-table.ts';
import { inNamespace } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import type { TrackingStatistics } from '../netlink/conntrack.ts';
import { MappingTable } from './mapping-table.ts';
import { keyOf, PortCount, type PortUsage, shareOf } from './port-usage.ts';

/** What the kernel could not do, all processors together. */
export type TrackingFailures = Pick<TrackingStatistics, 'insertFailed' | 'drop' | 'earlyDrop'>;

export interface MeteredPorts extends PortUsage {
  /** The most that this meter saw in use. */
  readonly peak: number;
  /** `scarce` from the meter's share on: the kernel tries some 250 ports at random, and may miss the last free ones. */
  readonly state: 'ample' | 'scarce' | 'exhausted';
}

export interface PortReading {
  /** Those with the fewest ports left first, by share. Only where some are used. */
  readonly ports: readonly MeteredPorts[];
  /** Connections that are tracked, mapped or not, and how many may be. */
  readonly entries: number;
  readonly most: number;
  /** Since the namespace began, and since the look before (of the first: 0). */
  readonly failures: TrackingFailures;
  readonly newFailures: TrackingFailures;
}

export interface OpenPortMeterOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
  /** The share of the ports, above 0 to 1, from which on they are scarce. Default: 0.8. */
  readonly scarceShare?: number;
}

interface Tables {
  readonly rules: Pick<MasqueradeTable, 'list'>;
  readonly mappings: Pick<MappingTable, 'list' | 'utilisation' | 'statistics'>;
  readonly addresses: Pick<AddressTable, 'list'>;
  readonly release: () => Promise<void>;
}

/** Peaks of those that are used no more are forgotten, when there are more. */
const MOST_PEAKS = 100_000;

export class PortMeter implements AsyncDisposable {
  readonly #tables: Tables;
  readonly #scarceShare: number;
  #peaks: ReadonlyMap<string, number> = new Map();
  #failures: TrackingFailures | undefined;

  constructor(tables: Tables, scarceShare: number) {
    this.#tables = tables;
    this.#scarceShare = scarceShare;
  }

  /** Throws as `MasqueradeTable.list` and `MappingTable.list` do. */
  async look(): Promise<PortReading> {
    const { rules, mappings, addresses } = this.#tables;
    const held = (await rules.list()).flatMap(({ rule }) => rule ?? []);
    const count = new PortCount(held, byInterface(await addresses.list()));
    for await (const mapping of mappings.list()) count.add(mapping);
    const usages = count.usages();
    this.#peaks = peaksAfter(this.#peaks, usages);
    const failures = failuresIn(await mappings.statistics());
    const newFailures = since(this.#failures ?? failures, failures);
    this.#failures = failures;
    return {
      ports: usages.map((usage) => this.#metered(usage)),
      ...(await mappings.utilisation()),
      failures,
      newFailures,
    };
  }

  async close(): Promise<void> {
    await this.#tables.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #metered(usage: PortUsage): MeteredPorts {
    const state = usage.free === 0 ? 'exhausted' : shareOf(usage) >= this.#scarceShare ? 'scarce' : 'ample';
    return { ...usage, peak: this.#peaks.get(keyOf(usage)) ?? usage.used, state };
  }
}

/** Throws NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED, SOCKET_FAILED, INVALID_OPTION. */
export async function openPortMeter({ netns, scarceShare = 0.8 }: OpenPortMeterOptions = {}): Promise<PortMeter> {
  if (!(scarceShare > 0 && scarceShare <= 1)) {
    const hint = 'a share above 0, to 1';
    throw new IpvsError('INVALID_OPTION', { detail: `scarceShare ${quote(scarceShare)}`, hint });
  }
  return inNamespace(netns, ({ path: namespacePath, release }) => {
    const options = { native: native(), namespacePath };
    const addresses = AddressTable.open(options);
    const tables = {
      rules: new MasqueradeTable({ host: new KernelRuleHost(options) }),
      mappings: new MappingTable(options),
      addresses,
      async release() {
        await addresses.close();
        release();
      },
    };
    return new PortMeter(tables, scarceShare);
  });
}

function byInterface(addresses: readonly InterfaceAddress[]): ReadonlyMap<string, ReadonlySet<string>> {
  const sets = new Map<string, Set<string>>();
  for (const { interface: name, address } of addresses) sets.set(name, (sets.get(name) ?? new Set()).add(address));
  return sets;
}

function peaksAfter(before: ReadonlyMap<string, number>, usages: readonly PortUsage[]): Map<string, number> {
  const now = usages.map((usage): [string, number] => {
    const key = keyOf(usage);
    return [key, Math.max(usage.used, before.get(key) ?? 0)];
  });
  return new Map(before.size > MOST_PEAKS ? now : [...before, ...now]);
}

function failuresIn(processors: readonly TrackingFailures[]): TrackingFailures {
  const sum = (name: keyof TrackingFailures) => processors.reduce((all, each) => all + each[name], 0);
  return { insertFailed: sum('insertFailed'), drop: sum('drop'), earlyDrop: sum('earlyDrop') };
}

function since(before: TrackingFailures, now: TrackingFailures): TrackingFailures {
  return {
    insertFailed: now.insertFailed - before.insertFailed,
    drop: now.drop - before.drop,
    earlyDrop: now.earlyDrop - before.earlyDrop,
  };
}
