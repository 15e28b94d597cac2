/** Destinations by host name: `web1.example.net`, `web1.example.net:8080`. */
import type { CheckedDocument } from '../config/document.ts';
import type { Place } from './places.ts';
import type { ServiceEntry } from './services-schema.ts';

/** What names were resolved to. */
export interface Hosts {
  /** By name: canonical text, sorted, at least one. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** By name: why it was not resolved. What it was resolved to before may stand in `addresses` all the same. */
  readonly failures: ReadonlyMap<string, string>;
}

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

/** The names that documents need, each with the first place where it stands. */
export function hostsIn(documents: readonly CheckedDocument[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const document of documents) {
    const entries = (document.values['services'] ?? []) as (ServiceEntry | undefined)[];
    for (const [i, entry] of entries.entries()) {
      for (const [j, { address }] of (entry?.destinations ?? []).entries()) {
        const host = parseHostAddress(address);
        if (host === undefined || places.has(host.name)) continue;
        places.set(host.name, { document, path: ['services', i, 'destinations', j, 'address'] });
      }
    }
  }
  return places;
}
