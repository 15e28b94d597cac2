/** Destinations by host name: `web1.example.net`, `web1.example.net:8080`. */
import type { CheckedDocument } from '../config/document.ts';
import type { Family } from '../net/address.ts';
import type { Place } from './places.ts';
import { destinationInput, familyIn, isTunnelled } from './sections/services-entry.ts';
import type { Defaults, ServiceEntry } from './sections/services-schema.ts';

/** What a name was resolved to. */
export interface HostAnswer {
  /** Canonical text, sorted; of the families that were asked for. */
  readonly addresses: readonly string[];
  /** Why there is none of a family. */
  readonly failures: { readonly [Name in Family]?: string };
  /** Why some of them are those of last time. */
  readonly kept?: string;
}

/** By name. */
export type Hosts = ReadonlyMap<string, HostAnswer>;

export interface HostAddress {
  /** In small letters. */
  readonly name: string;
  readonly port: string | undefined;
}

/** RFC 1123, and underscores, which some resolvers have. A last part that is a number is that of an IPv4 address. */
const hostName =
  /^(?=.{1,253}\.?$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?!\d+\.?$|0x[\da-f]*\.?$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/;

/** Undefined for what is none: then it is an address, or nothing at all. */
export function parseHostAddress(text: string): HostAddress | undefined {
  // Most are IPv4.
  if (!/[a-z]/i.test(text)) return undefined;
  const [, host = '', port] = /^([^:[\]]+)(?::(\d+))?$/.exec(text) ?? [];
  const name = host.toLowerCase();
  return hostName.test(name) ? { name, port } : undefined;
}

export interface NamedHost {
  /** The first place where it stands. */
  readonly place: Place;
  /** The address families of services that it could serve. */
  readonly families: ReadonlySet<Family>;
}

/** The names that documents need. */
export function hostsIn(documents: readonly CheckedDocument[]): Map<string, NamedHost> {
  const hosts = new Map<string, NamedHost & { readonly families: Set<Family> }>();
  for (const document of documents) {
    const defaults = (document.values['defaults'] ?? {}) as Defaults;
    const entries = (document.values['services'] ?? []) as ServiceEntry[];
    for (const [i, entry] of entries.entries()) {
      for (const [j, described] of (entry.destinations ?? []).entries()) {
        const name = parseHostAddress(described.address)?.name;
        if (name === undefined) continue;
        const place = { document, path: ['services', i, 'destinations', j, 'address'] };
        const { families } = hosts.get(name) ?? { families: new Set() };
        if (!hosts.has(name)) hosts.set(name, { place, families });
        const tunnelled = isTunnelled(destinationInput(described, entry, defaults));
        const needed = tunnelled ? (['inet', 'inet6'] as const) : [entry.address].flat().map(familyIn);
        for (const family of needed) families.add(family);
      }
    }
  }
  return hosts;
}
