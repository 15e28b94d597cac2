/**
 * The kernel's table through getsockopt(2). A call holds the kernel's lock, so each answer is one
 * consistent picture; but its size is the caller's guess, and the kernel says neither how much of it was
 * used nor that it did not suffice (ip_vs_ctl.c, __ip_vs_get_service_entries, __ip_vs_get_dest_entries).
 * So more room is given than is needed, zeroed, and an answer that fills it is not believed.
 */
import { errno, IpvsError } from '../errors.ts';
import type { Native } from '../native.ts';
import {
  type DaemonsValues,
  DESTINATIONS_HEADER_BYTES,
  type DestinationEntryValues,
  daemonsStruct,
  destinationEntryStruct,
  destinationsHeaderStruct,
  getOption,
  type InfoValues,
  infoStruct,
  SERVICES_HEADER_BYTES,
  type ServiceEntryValues,
  serviceEntryStruct,
  servicesHeaderStruct,
  type TimeoutsValues,
  timeoutsStruct,
  versionField,
} from '../sockopt/options.ts';
import { OptionSocket } from '../sockopt/socket.ts';
import { bytesOf, type StructField, valueAt } from '../sockopt/struct.ts';
import type { ServiceId } from './sockopt-wire.ts';

/** Room for what is added between counting and reading. */
const SLACK = 16;
const TRIES = 8;
/** Entries of one answer; the kernel's own limit is the caller's memory. */
const MOST_ENTRIES = 4_000_000;

const NO_SERVICE = valueAt(serviceEntryStruct, new Uint8Array(serviceEntryStruct.sizeBytes));

export class OptionTable {
  readonly #socket: OptionSocket;

  /** Throws SOCKET_FAILED, NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
  constructor(native: Native, namespacePath: string) {
    this.#socket = OptionSocket.open(native, namespacePath);
  }

  close(): void {
    this.#socket.close();
  }

  /** 0, or the positive errno of the refusal. */
  set(option: number, bytes: Uint8Array): number {
    return -this.#socket.set(option, bytes);
  }

  /** "IP Virtual Server version 1.2.1 (size=4096)" */
  version(): string {
    return this.#struct(getOption.VERSION, versionField);
  }

  info(): InfoValues {
    return this.#struct(getOption.INFO, infoStruct);
  }

  timeouts(): TimeoutsValues {
    return this.#struct(getOption.TIMEOUT, timeoutsStruct);
  }

  daemons(): DaemonsValues {
    return this.#struct(getOption.DAEMON, daemonsStruct);
  }

  /** Undefined if there is none. The kernel ignores the protocol of a marked service here. */
  service(id: ServiceId): ServiceEntryValues | undefined {
    const bytes = bytesOf(serviceEntryStruct, { ...NO_SERVICE, ...id });
    const length = this.#socket.get(getOption.SERVICE, bytes);
    if (length === -errno.ESRCH) return undefined;
    this.#check(length);
    return valueAt(serviceEntryStruct, bytes);
  }

  /** All services of IPv4, as they were at one moment. */
  services(): ServiceEntryValues[] {
    let room = this.info().services + SLACK;
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const bytes = new Uint8Array(SERVICES_HEADER_BYTES + room * serviceEntryStruct.sizeBytes);
      servicesHeaderStruct.write(new DataView(bytes.buffer), 0, { count: room });
      this.#check(this.#socket.get(getOption.SERVICES, bytes));
      // Every service has a protocol, one by firewall mark too.
      const entries = entriesOf(serviceEntryStruct, bytes, SERVICES_HEADER_BYTES, ({ protocol }) => protocol === 0);
      if (entries.length < room) return entries;
      room = moreRoom(room);
    }
    throw new IpvsError('TABLE_CHANGING');
  }

  /**
   * The destinations of IPv4 of a service that is believed to have `count`, as they were at one moment;
   * undefined if there is no such service. Those of IPv6 are left out by the kernel, uncounted.
   */
  destinations(id: ServiceId, count: number): DestinationEntryValues[] | undefined {
    let room = count + SLACK;
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const bytes = new Uint8Array(DESTINATIONS_HEADER_BYTES + room * destinationEntryStruct.sizeBytes);
      destinationsHeaderStruct.write(new DataView(bytes.buffer), 0, { ...id, count: room });
      const length = this.#socket.get(getOption.DESTS, bytes);
      if (length === -errno.ESRCH) return undefined;
      this.#check(length);
      // The kernel takes no destination 0.0.0.0.
      const entries = entriesOf(destinationEntryStruct, bytes, DESTINATIONS_HEADER_BYTES, ({ address }) =>
        address.every((byte) => byte === 0),
      );
      if (entries.length < room) return entries;
      room = moreRoom(room);
    }
    throw new IpvsError('TABLE_CHANGING');
  }

  #struct<T>(option: number, type: StructField<T>): T {
    const bytes = new Uint8Array(type.sizeBytes);
    this.#check(this.#socket.get(option, bytes));
    return valueAt(type, bytes);
  }

  #check(length: number): void {
    if (length >= 0) return;
    throw optionError(-length);
  }
}

function entriesOf<T>(type: StructField<T>, bytes: Uint8Array, start: number, isEnd: (entry: T) => boolean): T[] {
  const entries: T[] = [];
  const view = new DataView(bytes.buffer);
  for (let at = start; at + type.sizeBytes <= bytes.length; at += type.sizeBytes) {
    const entry = type.read(view, at);
    if (isEnd(entry)) break;
    entries.push(entry);
  }
  return entries;
}

function moreRoom(room: number): number {
  if (room >= MOST_ENTRIES) throw new IpvsError('REPLY_MALFORMED', { detail: `more than ${room} entries` });
  return Math.min(room * 2, MOST_ENTRIES);
}

/** What an errno of any of the options means. */
export function optionError(code: number): IpvsError {
  // No module has registered the options.
  if (code === errno.ENOPROTOOPT) return new IpvsError('IPVS_NOT_LOADED', { errno: code });
  if (code === errno.EPERM) {
    const hint = 'this needs CAP_NET_ADMIN in the user namespace that owns the network namespace';
    return new IpvsError('PERMISSION_DENIED', { errno: code, hint });
  }
  return new IpvsError('KERNEL_REFUSED', { errno: code });
}
