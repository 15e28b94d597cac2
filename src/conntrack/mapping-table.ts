/**
 * The live table of mappings, read from the kernel's connection tracking: listed, looked up from either side, deleted
 * one by one.
 */
import { errno, IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';
import { type DestinationAddress, parseDestinationAddress, parseIp } from '../net/address.ts';
import { NetlinkConnection } from '../netlink/connection.ts';
import {
  connectionStatus,
  type DumpFilter,
  deleteConnectionRequest,
  dumpConnectionsRequest,
  getConnectionRequest,
  NETLINK_NETFILTER,
  readConnection,
  readStatistics,
  readUtilisation,
  statisticsRequest,
  type TrackedConnection,
  type TrackingStatistics,
  type Tuple,
  type Utilisation,
  utilisationRequest,
} from '../netlink/conntrack.ts';
import { type Mapping, mappingOf } from './mapping.ts';
import { checkProtocol, dumpFilter, type MappingFilter, mappingTest } from './mapping-filter.ts';

/** Of protocols with ports: `10.0.0.5:41234`. */
type Place = string | DestinationAddress;

export interface FromOutside {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Whom the inner host talks to. */
  readonly outer: Place;
  /** What outer sees of the inner host. */
  readonly mapped: Place;
}

export interface FromInside {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly inner: Place;
  readonly outer: Place;
}

export interface MappingTableOptions {
  readonly native: Native;
  /** Path of the network namespace, good until `close`; empty for the current one. */
  readonly namespacePath?: string;
  /** Called once, at the end. */
  readonly release?: () => void;
}

export class MappingTable implements Disposable {
  readonly #open: () => NetlinkConnection;
  readonly #release: () => void;
  #closed = false;

  constructor({ native, namespacePath = '', release = () => undefined }: MappingTableOptions) {
    this.#open = () => NetlinkConnection.open({ native, namespacePath, protocol: NETLINK_NETFILTER });
    this.#release = release;
  }

  /**
   * Those that the filter means, in no order, some at a time as the kernel gives them: memory does not grow with the table.
   * One that begins or ends meanwhile may be missing. Throws INVALID_OPTION, INVALID_ADDRESS, INVALID_PORT, INVALID_PROTOCOL,
   * PERMISSION_DENIED, REPLY_LOST, REPLY_MALFORMED, TABLE_CHANGING.
   */
  async *list(filter: MappingFilter = {}): AsyncGenerator<Mapping, void, undefined> {
    const test = mappingTest(filter);
    for await (const connections of this.#pieces(dumpFilter(filter))) {
      for (const connection of connections) {
        const mapping = mappingOf(connection);
        if (test(mapping)) yield mapping;
      }
    }
  }

  async *#pieces(filter: DumpFilter): AsyncGenerator<readonly TrackedConnection[], void, undefined> {
    const connection = this.#connected();
    try {
      const code = yield* connection.pieces(dumpConnectionsRequest(filter), readConnection);
      if (code !== 0) throw refusal(code).with({ operation: 'read', subject: 'mappings' });
    } finally {
      connection.close();
    }
  }

  /** The mapping of a packet that comes from outside; undefined if there is none. */
  async fromOutside({ protocol, outer, mapped }: FromOutside): Promise<Mapping | undefined> {
    const found = this.#find('reply', tupleOf(protocol, outer, mapped));
    return found && mappingOf(found);
  }

  /** The mapping of a packet that comes from inside; undefined if there is none. */
  async fromInside({ protocol, inner, outer }: FromInside): Promise<Mapping | undefined> {
    const found = this.#find('original', tupleOf(protocol, inner, outer));
    return found && mappingOf(found);
  }

  /** All with this mapped address and port, whoever is outside. */
  async byMapped(protocol: 'tcp' | 'udp' | 'sctp', mapped: string): Promise<Mapping[]> {
    return this.#all({ protocol, mapped });
  }

  /** All of an inner host. */
  async ofInner(address: string): Promise<Mapping[]> {
    return this.#all({ inner: parseIp(address).text });
  }

  /** Returns what was deleted. Its packets are dropped, or begin another mapping. Throws MAPPING_NOT_FOUND. */
  async delete(place: FromInside | FromOutside): Promise<Mapping> {
    const { protocol, outer } = place;
    const found =
      'inner' in place
        ? this.#find('original', tupleOf(protocol, place.inner, outer))
        : this.#find('reply', tupleOf(protocol, outer, place.mapped));
    const subject = found ? mappingOf(found).inner : 'mapping';
    const code = found ? this.#answer(deleteConnectionRequest(found)) : errno.ENOENT;
    if (found === undefined || code === errno.ENOENT)
      throw new IpvsError('MAPPING_NOT_FOUND', { operation: 'delete', subject });
    if (code !== 0) throw refusal(code).with({ operation: 'delete', subject });
    return mappingOf(found);
  }

  /** Connections that are tracked, mapped or not, and how many may be. */
  async utilisation(): Promise<Utilisation> {
    return this.#conversation((connection) => {
      const { outcome, replies } = connection.request(utilisationRequest, readUtilisation);
      const [found] = replies;
      if (found) return found;
      throw refusal(outcome.errno).with({ operation: 'read', subject: 'number of connections' });
    });
  }

  /** What each processor counted since the boot: of failures, above all. */
  async statistics(): Promise<TrackingStatistics[]> {
    const connection = this.#connected();
    try {
      const about = { operation: 'read', subject: 'counters of connection tracking' };
      const { errno: code, items, interrupted } = await connection.dump(statisticsRequest, readStatistics);
      if (code !== 0) throw refusal(code).with(about);
      if (interrupted) throw new IpvsError('TABLE_CHANGING', about);
      return items;
    } finally {
      connection.close();
    }
  }

  close(): void {
    this.#release();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #all(filter: MappingFilter): Promise<Mapping[]> {
    const mappings: Mapping[] = [];
    for await (const mapping of this.list(filter)) mappings.push(mapping);
    return mappings;
  }

  #find(direction: 'original' | 'reply', tuple: Tuple): TrackedConnection | undefined {
    return this.#conversation((connection) => {
      const { outcome, replies } = connection.request(getConnectionRequest(direction, tuple), readConnection);
      if (outcome.errno !== 0 && outcome.errno !== errno.ENOENT)
        throw refusal(outcome.errno).with({ operation: 'read', subject: 'mapping' });
      const [found] = replies;
      return found && (found.status & connectionStatus.SRC_NAT) !== 0 ? found : undefined;
    });
  }

  #answer(request: ReturnType<typeof deleteConnectionRequest>): number {
    return this.#conversation((connection) => connection.request(request, () => undefined).outcome.errno);
  }

  #conversation<T>(work: (connection: NetlinkConnection) => T): T {
    const connection = this.#connected();
    try {
      return work(connection);
    } finally {
      connection.close();
    }
  }

  #connected(): NetlinkConnection {
    if (this.#closed) throw new IpvsError('CLOSED');
    return this.#open();
  }
}

/** Throws INVALID_ADDRESS, INVALID_PORT, INVALID_PROTOCOL. */
function tupleOf(protocol: string, from: Place, to: Place): Tuple {
  const [source, destination] = [parseDestinationAddress(from), parseDestinationAddress(to)];
  if (source.family !== destination.family)
    throw new IpvsError('MIXED_FAMILIES', { hint: 'both ends are of one family' });
  return {
    protocol: checkProtocol(protocol),
    source: parseIp(source.ip).bytes,
    destination: parseIp(destination.ip).bytes,
    sourcePort: source.port,
    destinationPort: destination.port,
  };
}

function refusal(code: number): IpvsError {
  if (code === errno.EPERM) {
    const hint = 'it needs CAP_NET_ADMIN in the network namespace: run it as root';
    return new IpvsError('PERMISSION_DENIED', { errno: code, hint });
  }
  return new IpvsError('CONNTRACK_UNAVAILABLE', { errno: code });
}
