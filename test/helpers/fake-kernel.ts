/**
 * A kernel for tests without one: the peer of a netlink socket is a function from requests to replies.
 *
 * Modelled after af_netlink.c: a request is carried out inside send(); answers queue up in the receive
 * buffer; one that does not fit is dropped, and so is every later one until the queue was drained, which
 * the next receive reports once as ENOBUFS. A dump goes on with every receive and is never dropped.
 *
 * It builds and reads its bytes itself, so that the code under test is not its own judge. Little-endian.
 */
import type { Native } from '../../src/kernel/native.ts';

export const EAGAIN = 11;
export const ENOBUFS = 105;
const EBADF = 9;

const NLM_F_ACK = 0x4;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

/** What one answer takes of the receive buffer beside its own bytes. */
const OVERHEAD_BYTES = 700;
const LEAST_CHARGE_BYTES = 896;

// Bytes, laid out by hand.

/** Bytes from hexadecimal text; white space and comments (from # to the end of the line) are for people. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/#.*$/gm, '').replace(/\s+/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function number(size: number, put: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  put(new DataView(bytes.buffer));
  return bytes;
}

export const le16 = (value: number): Uint8Array => number(2, (v) => v.setUint16(0, value, true));
export const le32 = (value: number): Uint8Array => number(4, (v) => v.setUint32(0, value, true));
export const le64 = (value: bigint): Uint8Array => number(8, (v) => v.setBigUint64(0, value, true));
export const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(`${value}\0`));

function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array(-bytes.length & 3));
}

/** struct nlattr: u16 length without padding, u16 type, payload. */
export function attribute(type: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const content = concat(...payload);
  return padded(concat(le16(4 + content.length), le16(type), content));
}

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port id; then the payload. */
export function message(type: number, flags: number, sequence: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const content = concat(...payload);
  return padded(concat(le32(16 + content.length), le16(type), le16(flags), le32(sequence), le32(0x2ea), content));
}

/** struct genlmsghdr. */
export function genericHeader(command: number, version = 1): Uint8Array {
  return Uint8Array.of(command, version, 0, 0);
}

export interface FakeRequest {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
  /** As it was sent. */
  readonly bytes: Uint8Array;
}

/** NLMSG_ERROR as with NETLINK_CAP_ACK: only the header of the request is repeated. */
export function acknowledge(request: FakeRequest, errno = 0, words?: string): Uint8Array {
  const attributes = words === undefined ? [] : [attribute(1, text(words))];
  const flags = 0x100 | (words === undefined ? 0 : 0x200);
  return message(NLMSG_ERROR, flags, request.sequence, le32(-errno >>> 0), request.bytes.slice(0, 16), ...attributes);
}

/** NLMSG_DONE: the end of a dump. */
export function done(request: FakeRequest, errno = 0, flags = 0x2): Uint8Array {
  return message(NLMSG_DONE, flags, request.sequence, le32(-errno >>> 0));
}

export function isDump(request: FakeRequest): boolean {
  return (request.flags & NLM_F_DUMP) === NLM_F_DUMP;
}

export function wantsAcknowledgement(request: FakeRequest): boolean {
  return (request.flags & NLM_F_ACK) !== 0;
}

/** The usual end of a request that is no dump: refusals are always answered, successes on demand. */
export function answer(request: FakeRequest, errno = 0, words?: string): Uint8Array[] {
  return errno !== 0 || wantsAcknowledgement(request) ? [acknowledge(request, errno, words)] : [];
}

/** Messages of one datagram, read by hand. */
export function requestsOf(bytes: Uint8Array): FakeRequest[] {
  const requests: FakeRequest[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < 16 || at + length > bytes.length) throw new Error(`a message of ${length} bytes at ${at}`);
    requests.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: bytes.slice(at + 16, at + length),
      bytes: bytes.slice(at, at + length),
    });
    at += (length + 3) & ~3;
  }
  return requests;
}

/** Attributes by number, read by hand; of several alike the last. */
export function attributesIn(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) throw new Error(`an attribute of ${length} bytes at ${at}`);
    attributes.set(view.getUint16(at + 2, true) & 0x3fff, bytes.slice(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** Answers one request with datagrams. Those of a dump are asked for one by one, as the socket is read. */
export type Peer = (request: FakeRequest, socket: FakeSocket) => Iterable<Uint8Array>;

export interface FakeSocket {
  readonly fd: number;
  readonly protocol: number;
  readonly namespacePath: string;
  readonly receiveBufferBytes: number;
  /** Requests of every send, in order. */
  readonly sends: FakeRequest[][];
  readonly queue: Uint8Array[];
  /** Datagrams that did not fit. */
  dropped: number;
  /** Receives that found something. */
  receives: number;
  open: boolean;
}

interface SocketInside extends FakeSocket {
  charged: number;
  congested: boolean;
  overrun: boolean;
  dumps: Iterator<Uint8Array>[];
}

export interface FakeKernelOptions {
  /** What SO_RCVBUF says, whatever was asked for. */
  readonly receiveBufferBytes?: number;
}

export class FakeKernel implements Native {
  readonly sockets: FakeSocket[] = [];
  /** Negative errno for the next calls of this kind; taken one by one. */
  readonly failures: { open: number[]; send: number[]; receive: number[] } = { open: [], send: [], receive: [] };
  peer: Peer;
  readonly #receiveBufferBytes: number | undefined;
  #nextFd = 100;

  constructor(peer: Peer, { receiveBufferBytes }: FakeKernelOptions = {}) {
    this.peer = peer;
    this.#receiveBufferBytes = receiveBufferBytes;
  }

  /** Every request of every socket, in the order of the sends. */
  readonly requests: FakeRequest[] = [];

  openNetlink(protocol: number, namespacePath: string, receiveBufferBytes: number, _sendBufferBytes: number): number {
    const failure = this.failures.open.shift();
    if (failure) return failure;
    const socket: SocketInside = {
      fd: this.#nextFd++,
      protocol,
      namespacePath,
      receiveBufferBytes: this.#receiveBufferBytes ?? receiveBufferBytes,
      sends: [],
      queue: [],
      dropped: 0,
      receives: 0,
      open: true,
      charged: 0,
      congested: false,
      overrun: false,
      dumps: [],
    };
    this.sockets.push(socket);
    return socket.fd;
  }

  send(fd: number, bytes: Uint8Array, length: number): number {
    const socket = this.#socket(fd);
    if (socket === undefined) return -EBADF;
    const failure = this.failures.send.shift();
    if (failure) return failure;
    const requests = requestsOf(bytes.slice(0, length));
    socket.sends.push(requests);
    for (const request of requests) {
      this.requests.push(request);
      const replies = this.peer(request, socket);
      if (isDump(request)) {
        socket.dumps.push(replies[Symbol.iterator]());
        this.#continueDump(socket);
      } else {
        for (const datagram of replies) this.deliver(socket, datagram);
      }
    }
    return length;
  }

  receive(fd: number, bytes: Uint8Array): number {
    const socket = this.#socket(fd);
    if (socket === undefined) return -EBADF;
    const failure = this.failures.receive.shift();
    if (failure) return failure;
    if (socket.overrun) {
      socket.overrun = false;
      return -ENOBUFS;
    }
    const datagram = socket.queue.shift();
    if (datagram === undefined) return -EAGAIN;
    socket.receives++;
    socket.charged -= charge(datagram);
    if (socket.queue.length === 0) socket.congested = false;
    bytes.set(datagram.subarray(0, bytes.length));
    this.#continueDump(socket);
    return datagram.length;
  }

  /** Queues a datagram, or drops it where the receive buffer is full. */
  deliver(socket: FakeSocket, datagram: Uint8Array): void {
    const inside = socket as SocketInside;
    if (inside.congested || inside.charged + charge(datagram) > inside.receiveBufferBytes) {
      if (!inside.congested) inside.overrun = true;
      inside.congested = true;
      inside.dropped++;
      return;
    }
    this.#queue(inside, datagram);
  }

  getOption(fd: number, level: number, name: number, bytes: Uint8Array): number {
    const socket = this.#socket(fd);
    if (socket === undefined) return -EBADF;
    if (level !== 1 || name !== 8) throw new Error(`unexpected option ${level}/${name}`);
    bytes.set(le32(socket.receiveBufferBytes));
    return 4;
  }

  close(fd: number): number {
    const socket = this.#socket(fd);
    if (socket === undefined) return -EBADF;
    socket.open = false;
    return 0;
  }

  openDatagram(): never {
    throw new Error('not part of this kernel');
  }

  openPacket(): never {
    throw new Error('not part of this kernel');
  }

  sendPacket(): never {
    throw new Error('not part of this kernel');
  }

  openProcNet(): never {
    throw new Error('not part of this kernel');
  }

  openProcSysNet(): never {
    throw new Error('not part of this kernel');
  }

  lockFile(): never {
    throw new Error('not part of this kernel');
  }

  setOption(): never {
    throw new Error('not part of this kernel');
  }

  execInNamespace(): never {
    throw new Error('not part of this kernel');
  }

  #socket(fd: number): SocketInside | undefined {
    return (this.sockets as SocketInside[]).find((s) => s.fd === fd && s.open);
  }

  #queue(socket: SocketInside, datagram: Uint8Array): void {
    socket.charged += charge(datagram);
    socket.queue.push(datagram);
  }

  #continueDump(socket: SocketInside): void {
    const dump = socket.dumps[0];
    if (dump === undefined || socket.queue.length > 0) return;
    const { value, done } = dump.next();
    if (done) {
      socket.dumps.shift();
      this.#continueDump(socket);
    } else {
      this.#queue(socket, value);
    }
  }
}

function charge(datagram: Uint8Array): number {
  return Math.max(LEAST_CHARGE_BYTES, datagram.length + OVERHEAD_BYTES);
}

// The family IPVS, as far as net/netfilter/ipvs/ip_vs_ctl.c decides about requests.

const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const EINVAL = 22;

interface FakeDestination {
  readonly key: string;
  attributes: Map<number, Uint8Array>;
}

interface FakeService {
  readonly key: string;
  readonly id: Map<number, Uint8Array>;
  attributes: Map<number, Uint8Array>;
  destinations: FakeDestination[];
}

const SERVICE_ID = [1, 5, 2, 3, 4];
const SERVICE_REPLY = [6, 11, 7, 8, 9];
const DESTINATION_REPLY = [1, 2, 3, 4, 13, 14, 15, 5, 6];

/** A table of services behind a `Peer`. */
export class FakeIpvs {
  /** Undefined: the kernel has no such family. */
  family: number | undefined = 0x1e;
  schedulers = new Set(['rr', 'wrr', 'lc', 'wlc', 'sh', 'mh', 'none']);
  engines = new Set(['sip']);
  /** Objects of one dump message. */
  perPiece = 100;
  services: FakeService[] = [];
  /** Called before each piece of a dump. */
  beforePiece: (piece: number) => void = () => {};
  /** A chance to answer in the family's place; undefined lets it answer. */
  intercept: (request: FakeRequest, command: number) => Iterable<Uint8Array> | undefined = () => undefined;

  readonly peer: Peer = (request) => {
    const command = request.payload[0] as number;
    const intercepted = this.intercept(request, command);
    if (intercepted !== undefined) return intercepted;
    if (request.type === 0x10) return this.#control(request);
    if (request.type !== this.family) return [acknowledge(request, ENOENT)];
    const attributes = attributesIn(request.payload.subarray(4));
    if (isDump(request)) return this.#dump(request, command, attributes);
    if (command === 15) {
      const info = [attribute(1, le32(0x010201)), attribute(2, le32(4096))];
      return [this.#message(request, 0, command, ...info), ...answer(request)];
    }
    if (command === 4) {
      const service = this.#find(attributesIn(attributes.get(1) as Uint8Array));
      if (service === undefined) return answer(request, ESRCH);
      return [this.#message(request, 0, 1, serviceReply(service)), ...answer(request)];
    }
    return answer(request, this.#change(command, attributes));
  };

  #message(request: FakeRequest, flags: number, command: number, ...attributes: readonly Uint8Array[]): Uint8Array {
    return message(request.type, flags, request.sequence, genericHeader(command), ...attributes);
  }

  /** CTRL_CMD_GETFAMILY of the family "nlctrl". */
  #control(request: FakeRequest): Uint8Array[] {
    const name = attributesIn(request.payload.subarray(4)).get(2) as Uint8Array;
    if (this.family === undefined || toHex(name) !== toHex(text('IPVS'))) return answer(request, ENOENT);
    return [
      this.#message(request, 0, 1, attribute(2, name), attribute(1, le16(this.family)), attribute(3, le32(1))),
      ...answer(request),
    ];
  }

  *#dump(request: FakeRequest, command: number, attributes: Map<number, Uint8Array>): Generator<Uint8Array> {
    const wanted = attributes.get(1);
    const rows = (): Uint8Array[] => {
      if (command === 4) return this.services.map((s) => this.#message(request, 2, 1, serviceReply(s)));
      const service = wanted && this.#find(attributesIn(wanted));
      return (service?.destinations ?? []).map((d) => this.#message(request, 2, 5, destinationReply(d)));
    };
    // Resumed by position, like the kernel's.
    for (let piece = 0; ; piece++) {
      this.beforePiece(piece);
      const datagram = rows().slice(piece * this.perPiece, (piece + 1) * this.perPiece);
      if (datagram.length === 0) break;
      yield concat(...datagram);
    }
    yield done(request);
  }

  #find(id: Map<number, Uint8Array>): FakeService | undefined {
    return this.services.find((s) => s.key === keyOf(id));
  }

  /** The order of the checks is the kernel's. */
  #change(command: number, attributes: Map<number, Uint8Array>): number {
    if (command === 17) {
      this.services = [];
      return 0;
    }
    const given = attributesIn(attributes.get(1) as Uint8Array);
    const service = this.#find(given);
    if (command === 1 || command === 2) {
      if (command === 1 && service) return EEXIST;
      if (command === 2 && !service) return ESRCH;
      if (!has(this.schedulers, given.get(6))) return ENOENT;
      if (given.has(11) && !has(this.engines, given.get(11))) return ENOENT;
      if (given.get(1)?.[0] === 10 && given.get(9)?.every((byte) => byte === 0)) return EINVAL;
      if (service) service.attributes = given;
      else this.services.push({ key: keyOf(given), id: given, attributes: given, destinations: [] });
      return 0;
    }
    if (service === undefined) return ESRCH;
    if (command === 3) {
      this.services = this.services.filter((s) => s !== service);
      return 0;
    }
    const wanted = attributesIn(attributes.get(2) as Uint8Array);
    const key = [1, 2, 11].map((n) => toHex(wanted.get(n) as Uint8Array)).join('/');
    const destination = service.destinations.find((d) => d.key === key);
    if (command === 5) {
      if (destination) return EEXIST;
      if ((wanted.get(1)?.[0] as number) >= 224) return EINVAL; // multicast
      service.destinations.unshift({ key, attributes: wanted });
      return 0;
    }
    if (destination === undefined) return ENOENT;
    if (command === 6) destination.attributes = wanted;
    else service.destinations = service.destinations.filter((d) => d !== destination);
    return 0;
  }
}

function keyOf(id: Map<number, Uint8Array>): string {
  const numbers = id.has(5) ? [1, 5] : [1, 2, 3, 4];
  return numbers.map((n) => `${n}=${toHex(id.get(n) as Uint8Array)}`).join('/');
}

function has(names: ReadonlySet<string>, name: Uint8Array | undefined): boolean {
  return name !== undefined && names.has(Buffer.from(name.subarray(0, -1)).toString());
}

function present(attributes: Map<number, Uint8Array>, order: readonly number[]): Uint8Array[] {
  return order.flatMap((n) => {
    const value = attributes.get(n);
    return value === undefined ? [] : [attribute(n, value)];
  });
}

function serviceReply({ id, attributes }: FakeService): Uint8Array {
  const rest = new Map(attributes);
  // HASHED is always set, and the mask is full.
  const flags = new DataView((attributes.get(7) as Uint8Array).slice().buffer).getUint32(0, true);
  rest.set(7, concat(le32(flags | 2), le32(0xffff_ffff)));
  return attribute(1, ...present(id, SERVICE_ID), ...present(rest, SERVICE_REPLY), statistics());
}

function destinationReply({ attributes }: FakeDestination): Uint8Array {
  const connections = [7, 8, 9].map((n) => attribute(n, le32(n)));
  const given = present(attributes, DESTINATION_REPLY);
  return attribute(2, ...given, ...connections, ...present(attributes, [11]), statistics());
}

function statistics(): Uint8Array {
  return attribute(12, ...Array.from({ length: 10 }, (_, i) => attribute(i + 1, le64(BigInt(i + 1)))));
}
