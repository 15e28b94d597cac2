/**
 * One netlink socket and the conversations on it.
 *
 * The kernel executes a request inside send(): when send() returns, every answer is queued. So a
 * conversation is a send and receives that never wait; a receive that finds nothing means that the
 * answer was lost.
 *
 * Replies that do not fit into the socket's receive buffer are dropped, which the kernel reports once
 * as ENOBUFS; the requests are carried out all the same (af_netlink.c). Hence three outcomes of a
 * request: done, refused, and unknown. Unknown is never guessed here; the caller reads the table.
 */
import { errno, IpvsError } from '../errors.ts';
import type { Native } from '../native.ts';
import { hostIsLittleEndian } from './align.ts';
import {
  type Acknowledgement,
  type Message,
  messageFlag,
  messagesOf,
  messageType,
  readAcknowledgement,
  readDone,
  writeMessage,
} from './message.ts';
import { BUSY_MS, Turns } from './turns.ts';
import { Writer } from './writer.ts';

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/** The kernel charges some 900 bytes of the receive buffer for an answer, however short it is. */
const BYTES_PER_ANSWER = 1024;
/** More per send costs page faults and gains nothing (measured: 64 to 256 is best). */
const REQUESTS_PER_SEND = 256;
/**
 * The kernel builds pieces of a dump up to one of these sizes (NLMSG_GOODSIZE with pages of 4 KiB, and
 * of more; SKB_WITH_OVERHEAD of 32 KiB) or of the largest read. One that ends less than an object
 * below such a size may be full, and more may have been to come.
 */
const FULL_PIECE_BYTES = [3776, 7872, 32_448];
const LARGEST_OBJECT_BYTES = 512;
/** A reply that was cut off says how long it was, so one more try is enough; a second is courtesy. */
const DUMP_TRIES = 3;

export interface Request {
  readonly type: number;
  /** Writes what follows the message header. */
  write(writer: Writer): void;
  /** Not to be sent together with others, because it keeps the kernel busy for long. */
  readonly alone?: boolean;
}

export type Outcome = Acknowledgement | 'unknown';

export interface ConnectionOptions {
  readonly native: Native;
  readonly protocol: number;
  /** Path of the network namespace; empty for the current one. */
  readonly namespacePath?: string;
  /** Size of one read. The kernel never builds dump messages larger than the largest read so far. */
  readonly readBytes?: number;
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
}

/** Used by one caller at a time: the owner of a connection serialises its conversations. */
export class NetlinkConnection {
  readonly #native: Native;
  readonly #writer = new Writer(64 * 1024);
  #buffer: Uint8Array;
  #fd: number;
  #sequence = 0;
  /** Refusals of all requests of one send must fit into the receive buffer. */
  readonly #requestsPerSend: number;
  readonly #turns = new Turns();
  /** A conversation began and did not reach its last message. A dump left so would block the next one. */
  #unfinished = false;

  private constructor(native: Native, fd: number, readBytes: number) {
    this.#native = native;
    this.#fd = fd;
    this.#buffer = new Uint8Array(readBytes);
    const size = new Uint8Array(4);
    native.getOption(fd, SOL_SOCKET, SO_RCVBUF, size);
    const answers = Math.floor(new DataView(size.buffer).getUint32(0, hostIsLittleEndian) / BYTES_PER_ANSWER);
    this.#requestsPerSend = Math.max(1, Math.min(REQUESTS_PER_SEND, answers - 1));
  }

  /** Throws SOCKET_FAILED, NAMESPACE_NOT_FOUND or NAMESPACE_REFUSED. */
  static open(options: ConnectionOptions): NetlinkConnection {
    const { native, protocol, namespacePath = '', readBytes = 64 * 1024 } = options;
    const { receiveBufferBytes = 512 * 1024, sendBufferBytes = 512 * 1024 } = options;
    const fd = native.openNetlink(protocol, namespacePath, receiveBufferBytes, sendBufferBytes);
    if (fd < 0) throw openingError(-fd, namespacePath);
    return new NetlinkConnection(native, fd, readBytes);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#native.close(this.#fd);
    this.#fd = -1;
  }

  /**
   * One request and its answer: the acknowledgement, and before it whatever `read` makes of the reply
   * messages. Throws REPLY_LOST where the kernel did not answer.
   */
  request<T>(request: Request, read: (message: Message) => T): { outcome: Acknowledgement; replies: T[] } {
    const sequence = this.#begin();
    writeMessage(this.#writer, request.type, messageFlag.REQUEST | messageFlag.ACK, sequence, () =>
      request.write(this.#writer),
    );
    this.#send();
    const replies: T[] = [];
    for (;;) {
      const datagram = this.#receive();
      if (datagram === 'nothing') throw new IpvsError('REPLY_LOST');
      if (datagram === 'overrun') continue; // what is queued is still good
      if (datagram === 'truncated') throw new IpvsError('REPLY_MALFORMED', { detail: 'a reply was cut off' });
      for (const message of messagesOf(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.type === messageType.ERROR) {
          this.#unfinished = false;
          return { outcome: readAcknowledgement(message), replies };
        }
        if (message.type > messageType.OVERRUN) replies.push(read(message));
      }
    }
  }

  /**
   * Everything that a dump request returns, and in how many pieces the kernel delivered the objects:
   * one piece that is not full is one consistent view, several are not. Throws REPLY_LOST, REPLY_MALFORMED; a refusal is
   * returned as `errno`.
   */
  async dump<T>(
    request: Request,
    read: (message: Message) => T,
  ): Promise<{ errno: number; items: T[]; pieces: number; full: boolean; interrupted: boolean }> {
    for (let attempt = 1; attempt <= DUMP_TRIES; attempt++) {
      const result = await this.#dumpOnce(request, read);
      if (result !== 'again') return result;
    }
    throw new IpvsError('REPLY_LOST');
  }

  async #dumpOnce<T>(request: Request, read: (message: Message) => T) {
    const sequence = this.#begin();
    writeMessage(this.#writer, request.type, messageFlag.REQUEST | messageFlag.DUMP, sequence, () =>
      request.write(this.#writer),
    );
    this.#send();
    const items: T[] = [];
    let again = false;
    let interrupted = false;
    let pieces = 0;
    let full = false;
    for (;;) {
      await this.#turns.give();
      const datagram = this.#receive();
      if (datagram === 'nothing') return 'again';
      if (datagram === 'overrun' || datagram === 'truncated') {
        // Objects are missing. The rest is read and dropped: a socket carries one dump at a time.
        again = true;
        continue;
      }
      let newPiece = true;
      for (const message of messagesOf(datagram)) {
        if (message.sequence !== sequence) continue;
        if (message.flags & messageFlag.DUMP_INTR) interrupted = true;
        if (message.type === messageType.DONE || message.type === messageType.ERROR) {
          this.#unfinished = false;
          if (again) return 'again';
          const done = message.type === messageType.DONE;
          const error = done ? readDone(message) : readAcknowledgement(message).errno;
          return { errno: error, items, pieces, full, interrupted };
        }
        if (message.type <= messageType.OVERRUN || again) continue;
        items.push(read(message));
        if (!newPiece) continue;
        newPiece = false;
        pieces++;
        full ||= this.#mayBeFull(datagram.length);
      }
    }
  }

  /**
   * Many requests, in order. Only refusals are answered; the last request of every send asks for an
   * acknowledgement, and its arrival says that all before it were carried out. One refusal does not
   * stop the others.
   */
  async pipeline(requests: readonly Request[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let limit = Math.min(this.#requestsPerSend, 64);
    for (let first = 0; first < requests.length; ) {
      const last = endOfBatch(requests, first, limit);
      const started = performance.now();
      this.#sendBatch(requests, first, last, outcomes);
      // Some requests are dear (an add while many deleted destinations linger, a new scheduler):
      // the batch follows the time that they take.
      const tookMs = performance.now() - started;
      if (tookMs > BUSY_MS) limit = Math.max(1, limit >> 1);
      else if (tookMs < BUSY_MS / 2) limit = Math.min(this.#requestsPerSend, limit << 1);
      first = last;
      await this.#turns.give();
    }
    return outcomes;
  }

  #sendBatch(requests: readonly Request[], first: number, last: number, outcomes: Outcome[]): void {
    const base = this.#begin();
    for (let i = first; i < last; i++) {
      const request = requests[i] as Request;
      const flags = i === last - 1 ? messageFlag.REQUEST | messageFlag.ACK : messageFlag.REQUEST;
      writeMessage(this.#writer, request.type, flags, (base + i - first) >>> 0, () => request.write(this.#writer));
    }
    this.#sequence = (base + last - first - 1) >>> 0;
    const barrier = this.#sequence;

    let complete = true;
    const answers = new Map<number, Acknowledgement>();
    this.#send();
    while (!answers.has(barrier)) {
      const datagram = this.#receive();
      if (datagram === 'nothing') {
        complete = false;
        break;
      }
      if (datagram === 'overrun') {
        complete = false;
        continue;
      }
      if (datagram === 'truncated') continue; // an answer is shorter than any buffer of ours: not an answer
      for (const message of messagesOf(datagram)) {
        if (message.type === messageType.ERROR) answers.set(message.sequence, readAcknowledgement(message));
      }
    }
    this.#unfinished = !complete;
    const silent: Outcome = complete ? { errno: 0, text: undefined } : 'unknown';
    for (let i = first; i < last; i++) outcomes.push(answers.get((base + i - first) >>> 0) ?? silent);
  }

  #mayBeFull(pieceBytes: number): boolean {
    return [...FULL_PIECE_BYTES, this.#buffer.length].some(
      (size) => pieceBytes <= size && pieceBytes > size - LARGEST_OBJECT_BYTES,
    );
  }

  /** Clears the writer and what an earlier conversation left unread; returns the next sequence number. */
  #begin(): number {
    if (this.#fd < 0) throw new IpvsError('CLOSED');
    if (this.#unfinished) while (this.#receive() !== 'nothing');
    this.#unfinished = true;
    this.#writer.reset();
    this.#sequence = this.#sequence >= 0xffff_0000 ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  #send(): void {
    const sent = this.#native.send(this.#fd, this.#writer.bytes, this.#writer.length);
    if (sent < 0) throw new IpvsError('SOCKET_FAILED', { operation: 'send', errno: -sent });
  }

  #receive(): Uint8Array | 'nothing' | 'overrun' | 'truncated' {
    const length = this.#native.receive(this.#fd, this.#buffer);
    if (length === -errno.EAGAIN) return 'nothing';
    if (length === -errno.ENOBUFS) return 'overrun';
    if (length < 0) throw new IpvsError('SOCKET_FAILED', { operation: 'receive', errno: -length });
    if (length > this.#buffer.length) {
      this.#buffer = new Uint8Array(length);
      return 'truncated';
    }
    return this.#buffer.subarray(0, length);
  }
}

/** The requests [first, result) go into one send: at most `limit`, and one that is `alone` by itself. */
function endOfBatch(requests: readonly Request[], first: number, limit: number): number {
  let end = first + 1;
  if (requests[first]?.alone) return end;
  while (end < requests.length && end - first < limit && !requests[end]?.alone) end++;
  return end;
}

function openingError(code: number, namespacePath: string): IpvsError {
  if (namespacePath === '') return new IpvsError('SOCKET_FAILED', { operation: 'open', errno: code });
  return namespaceError(code, namespacePath);
}

/** What errno means when a namespace could not be entered. */
export function namespaceError(code: number, path: string): IpvsError {
  if (code === errno.ENOENT) return new IpvsError('NAMESPACE_NOT_FOUND', { subject: path });
  const hint = code === errno.EPERM ? 'entering a namespace needs CAP_SYS_ADMIN: run it as root' : undefined;
  return new IpvsError('NAMESPACE_REFUSED', { subject: path, errno: code, ...(hint === undefined ? {} : { hint }) });
}
