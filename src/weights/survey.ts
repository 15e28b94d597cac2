/** One walk through the connection table: who holds what drains, and which connections have no destination any more. Pure. */

import { type Connection, clientHost } from '../ipvs/connection.ts';
import { type DestinationOf, keyOf } from '../record/ledger.ts';

/** Clients of one destination. What is shown is bounded, what is counted is not. */
export interface Holders {
  readonly connections: number;
  readonly templates: number;
  /** Of connections, by the kernel's word. */
  readonly states: Readonly<Record<string, number>>;
  /** When the last is forgotten, if no packet comes. */
  readonly longestSeconds: number;
  /** Those with the most, the most first. A template is its client's network. */
  readonly clients: readonly HoldingClient[];
  /** How many more clients there are; of very many, at least. */
  readonly moreClients: number;
}

export interface HoldingClient {
  readonly client: string;
  readonly connections: number;
  readonly templates: number;
}

export interface Survey {
  /** By the key of the destination. */
  readonly holders: ReadonlyMap<string, Holders>;
  /** Services, as their clients see them, with connections to destinations that are gone. */
  readonly stranded: readonly string[];
}

/** With their destinations. */
type Services = readonly (Addressed & { readonly destinations: readonly Addressed[] })[];
type Addressed = { readonly address: string };

const MOST_CLIENTS = 20;
/** Told apart of one destination: a bound on memory. */
const MOST_COUNTED = 50_000;
const MOST_STRANDED = 1000;

/** `services` is the whole table. */
export async function surveyed(
  connections: AsyncIterable<Connection>,
  services: Services,
  places: readonly DestinationOf[],
): Promise<Survey> {
  const placeOf = placeFinder(services, places);
  const isPresent = presence(services);
  const counted = new Map(places.map((place) => [keyOf(place), counter()]));
  const stranded = new Set<string>();
  for await (const connection of connections) {
    const key = placeOf(connection);
    if (key !== undefined) counted.get(key)?.add(connection);
    // An invalid template shows neither its service nor its destination any more.
    else if (connection.kind === 'connection' && stranded.size < MOST_STRANDED && !isPresent(connection))
      stranded.add(connection.service);
  }
  return { holders: new Map([...counted].map(([key, { result }]) => [key, result()])), stranded: [...stranded].sort() };
}

function counter() {
  const clients = new Map<string, { connections: number; templates: number }>();
  const states: Record<string, number> = {};
  let [connections, templates, longestSeconds, uncounted] = [0, 0, 0, 0];
  return {
    add(connection: Connection): void {
      const { kind, state, expiresSeconds } = connection;
      const client = clientHost(connection);
      longestSeconds = Math.max(longestSeconds, expiresSeconds);
      if (kind === 'template') templates++;
      else {
        connections++;
        states[state] = (states[state] ?? 0) + 1;
      }
      const entry = clients.get(client) ?? { connections: 0, templates: 0 };
      if (entry.connections + entry.templates === 0) {
        if (clients.size >= MOST_COUNTED) {
          uncounted++;
          return;
        }
        clients.set(client, entry);
      }
      entry[kind === 'template' ? 'templates' : 'connections']++;
    },
    result(): Holders {
      const sorted = [...clients].sort(([, a], [, b]) => b.connections - a.connections || b.templates - a.templates);
      return {
        connections,
        templates,
        states,
        longestSeconds,
        clients: sorted.slice(0, MOST_CLIENTS).map(([client, entry]) => ({ client, ...entry })),
        moreClients: Math.max(0, sorted.length - MOST_CLIENTS) + Math.min(1, uncounted),
      };
    },
  };
}

/** The key of the place that a connection is of. */
function placeFinder(
  services: Services,
  places: readonly DestinationOf[],
): (connection: Connection) => string | undefined {
  const isOf = belonging(services);
  const byHost = new Map<string, DestinationOf[]>();
  for (const place of places) {
    const host = hostOf(place.destination);
    byHost.set(host, [...(byHost.get(host) ?? []), place]);
  }
  return (connection) => {
    const place = byHost
      .get(hostOf(connection.destination))
      ?.find(({ service, destination }) => isOf(connection, service) && isToward(connection, destination));
    return place && keyOf(place);
  };
}

/** Whether the destination of a connection is one of any service that it can be of. */
function presence(services: Services): (connection: Connection) => boolean {
  const held = new Set(
    services.flatMap(({ address, destinations }) =>
      destinations.map((destination) => `${generalService(address)} ${destination.address}`),
    ),
  );
  return ({ service, destination }) =>
    [service, everyPort(service), ANY_MARK].some(
      (of) => held.has(`${of} ${destination}`) || held.has(`${of} ${everyPort(destination)}`),
    );
}

const ANY_MARK = 'fwmark';

/** A connection does not show by which mark it came. */
function generalService(address: string): string {
  return address.startsWith('fwmark:') ? ANY_MARK : address;
}

/** Whether a connection can be of a service: by its address, on every port, or by a mark. */
function belonging(services: Services): (connection: Connection, service: string) => boolean {
  const exact = new Map(
    services.map(({ address, destinations }) => [address, new Set(destinations.map(({ address }) => address))]),
  );
  return ({ kind, service: shown, destination }, service) => {
    if (shown === service) return true;
    if (service.startsWith('fwmark:')) return kind === 'connection' && exact.get(shown)?.has(destination) !== true;
    return everyPort(shown) === service && !exact.has(shown);
  };
}

function isToward({ destination: shown }: Connection, destination: string): boolean {
  return shown === destination || everyPort(shown) === destination;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** The same on port 0, which stands for every port. */
function everyPort(address: string): string {
  return address.startsWith('fwmark:') ? address : `${hostOf(address)}:0`;
}
