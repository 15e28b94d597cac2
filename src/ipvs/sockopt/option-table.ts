/**
 * The kernel's table through getsockopt(2). A call holds the kernel's lock, so each answer is one
 * consistent picture; but its size is the caller's guess, and the kernel says neither how much of it was
 * used nor that it did not suffice (ip_vs_ctl.c, __ip_vs_get_service_entries, __ip_vs_get_dest_entries).
 * So more room is given than is needed, zeroed, and an answer that fills it is not believed.
 */
import { errno, IpvsError, OTHER_WRITER } from '../../base/errors.ts';
import type { Native } from '../../kernel/native.ts';
import {
  type DaemonsValues,
  DESTINATIONS_HEADER_BYTES,
  daemonsStruct,
  destinationEntryStruct,
  destinationsHeaderStruct,
  getOption,
  type InfoValues,
  infoStruct,
  SERVICES_HEADER_BYTES,
  serviceEntryStruct,
  servicesHeaderStruct,
  type TimeoutsValues,
  timeoutsStruct,
  versionField,
} from '../../sockopt/options.ts';
import { OptionSocket } from '../../sockopt/socket.ts';
import { bytesOf, type StructField, valueAt } from '../../sockopt/struct.ts';
import type { ServiceId } from './wire.ts';

/** Room for what is added between counting and reading. */
const SLACK = 16;
const TRIES = 8;
/** Entries of one answer; the kernel's own limit is the caller's memory. */
const MOST_ENTRIES = 4_000_000;

/** Reads the entry at `at`, and takes what it wants at once: the next answer may be written over this one. */
type ReadEntry<T> = (view: DataView, at: number) => T;

const NO_SERVICE = valueAt(serviceEntryStruct, new Uint8Array(serviceEntryStruct.sizeBytes));

export class OptionTable {
  readonly #socket: OptionSocket;
  /** Destinations are read service by service, most of them into as much room as those before. */
  #destinations = zeroed(0);

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
    const bytes = new Uint8Array(versionField.sizeBytes);
    const length = this.#socket.get(getOption.VERSION, bytes);
    const words = valueAt(versionField, bytes);
    this.#check(length, Buffer.byteLength(words) + 1);
    return words;
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

  /** What `read` makes of a service; undefined if there is none. The kernel ignores the protocol of a marked one here. */
  service<T>(id: ServiceId, read: ReadEntry<T>): T | undefined {
    const { protocol, address, port, fwmark } = id;
    const bytes = bytesOf(serviceEntryStruct, { ...NO_SERVICE, protocol, address, port, fwmark });
    const length = this.#socket.get(getOption.SERVICE, bytes);
    if (length === -errno.ESRCH) return undefined;
    this.#check(length, bytes.length);
    return read(new DataView(bytes.buffer), 0);
  }

  /** What `read` makes of all services of IPv4, as they were at one moment. */
  services<T>(read: ReadEntry<T>): T[] {
    let room = bounded(this.info().services) + SLACK;
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const { bytes, view } = zeroed(SERVICES_HEADER_BYTES + room * serviceEntryStruct.sizeBytes);
      servicesHeaderStruct.write(view, 0, { count: room });
      this.#check(this.#socket.get(getOption.SERVICES, bytes), bytes.length);
      // Every service has a protocol, one by firewall mark too.
      const { sizeBytes, readers } = serviceEntryStruct;
      const services = entriesOf(view, SERVICES_HEADER_BYTES, sizeBytes, readers.protocol, read);
      if (services.length < room) return services;
      room = moreRoom(room);
    }
    throw new IpvsError('TABLE_CHANGING', { hint: OTHER_WRITER });
  }

  /**
   * What `read` makes of the destinations of IPv4 of a service that is believed to have `count`, as they were at one
   * moment; undefined if there is no such service. Those of IPv6 are left out by the kernel, uncounted.
   */
  destinations<T>(id: ServiceId, count: number, read: ReadEntry<T>): T[] | undefined {
    const { protocol, address, port, fwmark } = id;
    let room = bounded(count) + SLACK - (count % SLACK);
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const { bytes, view } = this.#roomFor(DESTINATIONS_HEADER_BYTES + room * destinationEntryStruct.sizeBytes);
      destinationsHeaderStruct.write(view, 0, { protocol, address, port, fwmark, count: room });
      const length = this.#socket.get(getOption.DESTS, bytes);
      if (length === -errno.ESRCH) return undefined;
      this.#check(length, bytes.length);
      // The kernel takes no destination 0.0.0.0.
      const { sizeBytes, readers } = destinationEntryStruct;
      const destinations = entriesOf(view, DESTINATIONS_HEADER_BYTES, sizeBytes, readers.address, read);
      if (destinations.length < room) return destinations;
      room = moreRoom(room);
    }
    throw new IpvsError('TABLE_CHANGING', { hint: OTHER_WRITER });
  }

  #roomFor(sizeBytes: number): { bytes: Uint8Array; view: DataView } {
    if (this.#destinations.bytes.length === sizeBytes) this.#destinations.bytes.fill(0);
    else this.#destinations = zeroed(sizeBytes);
    return this.#destinations;
  }

  #struct<T>(option: number, type: StructField<T>): T {
    const bytes = new Uint8Array(type.sizeBytes);
    this.#check(this.#socket.get(option, bytes), bytes.length);
    return valueAt(type, bytes);
  }

  /** The kernel writes everything that there is room for, or nothing. */
  #check(length: number, expected: number): void {
    if (length < 0) throw optionError(-length);
    if (length !== expected) {
      throw new IpvsError('REPLY_MALFORMED', { detail: `${length} bytes, ${expected} expected` });
    }
  }
}

function zeroed(sizeBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(sizeBytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** What `read` makes of the entries up to the first whose `key` is zero. */
function entriesOf<T>(
  view: DataView,
  start: number,
  sizeBytes: number,
  key: ReadEntry<number>,
  read: ReadEntry<T>,
): T[] {
  const items: T[] = [];
  for (let at = start; at + sizeBytes <= view.byteLength && key(view, at) !== 0; at += sizeBytes) {
    items.push(read(view, at));
  }
  return items;
}

function moreRoom(room: number): number {
  return bounded(room * 2);
}

function bounded(entries: number): number {
  if (entries <= MOST_ENTRIES) return entries;
  throw new IpvsError('REPLY_MALFORMED', { detail: `more than ${MOST_ENTRIES} entries` });
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
