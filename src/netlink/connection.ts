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

import { errno, IpvsError } from '../base/errors.ts';
import { BUSY_MS, Turns } from '../base/turns.ts';
import { namespaceError } from '../kernel/namespace.ts';
import type { Native } from '../kernel/native.ts';
import { hostIsLittleEndian } from './align.ts';
import {
  type Acknowledgement,
  type Message,
  Messages,
  messageFlag,
  messageType,
  readAcknowledgement,
  readDone,
  setFlags,
  writeMessage,
} from './message.ts';
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
/** No datagram of the kernel's is nearly as long. */
const MOST_DATAGRAM_BYTES = 1024 * 1024;
/** More than a million objects: a bound all the same, so that every conversation ends. */
const MOST_ANSWER_BYTES = 512 * MOST_DATAGRAM_BYTES;
/** A reply that was cut off says how long it was, so one more try is enough; a second is courtesy. */
const DUMP_TRIES = 3;

/** What a pipeline sends together first; then it depends on how long that took. */
const FIRST_BATCH = 64;

export interface Request {
  readonly type: number;
  /** NLM_F_* of a request that is sent by itself, beside those of every request. */
  readonly flags?: number;
  /** Writes what follows the message header. */
  write(writer: Writer): void;
  /** Not to be sent together with others, because it keeps the kernel busy for long. */
  readonly alone?: boolean;
}

export type Outcome = Acknowledgement | 'unknown';

export interface Dump<T> {
  /** 0, or why the kernel broke it off. */
  errno: number;
  readonly items: T[];
  /** Datagrams that held objects. */
  pieces: number;
  /** One of them may have been full. */
  full: boolean;
  /** The kernel says that the table changed meanwhile. */
  interrupted: boolean;
}

interface Batch {
  readonly startedAt: number;
  /** Sequence number of its first request. */
  readonly first: number;
  count: number;
  readonly alone: boolean;
}

interface OpenDump<T> extends Dump<T> {
  readonly sequence: number;
  /** Objects are missing: the answer did not fit into a buffer. */
  lost: boolean;
}

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
  #view: DataView;
  #fd: number;
  #sequence = 0;
  /** Where the message written last begins. */
  #lastMessage = 0;
  /** Refusals of all requests of one send must fit into the receive buffer. */
  readonly #requestsPerSend: number;
  readonly #turns = new Turns();
  /** A conversation began and did not reach its last message. A dump left so would block the next one. */
  #unfinished = false;
  /** Of the answers of this conversation, as the receive buffer is charged for them. */
  #answeredBytes = 0;

  private constructor(native: Native, fd: number, readBytes: number) {
    this.#native = native;
    this.#fd = fd;
    this.#buffer = new Uint8Array(readBytes);
    this.#view = new DataView(this.#buffer.buffer);
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
    this.#write(request, messageFlag.REQUEST | messageFlag.ACK | (request.flags ?? 0), sequence);
    this.#send();
    const replies: T[] = [];
    for (;;) {
      const datagram = this.#receive();
      if (datagram === 'nothing') throw new IpvsError('REPLY_LOST');
      if (datagram === 'overrun') continue; // what is queued is still good
      if (datagram === 'truncated') throw new IpvsError('REPLY_MALFORMED', { detail: 'a reply was cut off' });
      for (const message of datagram) {
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
  async dump<T>(request: Request, read: (message: Message) => T): Promise<Dump<T>> {
    for (let attempt = 1; attempt <= DUMP_TRIES; attempt++) {
      const dump = this.#beginDump<T>(request);
      while (!this.#receivePiece(dump, read)) if (this.#turns.due()) await this.#turns.give();
      if (!dump.lost) return dump;
    }
    throw new IpvsError('REPLY_LOST');
  }

  /**
   * The objects of a dump in the pieces in which the kernel delivers them: memory does not grow with the table, and nothing
   * is repeated when it changes meanwhile. Returns the errno of a refusal, or 0. Throws REPLY_LOST, REPLY_MALFORMED, and
   * TABLE_CHANGING at the end where the kernel says that objects may be missing. Until it ends there is no other conversation.
   */
  async *pieces<T>(request: Request, read: (message: Message) => T): AsyncGenerator<readonly T[], number, undefined> {
    const dump = this.#beginDump<T>(request);
    for (;;) {
      const ended = this.#receivePiece(dump, read);
      if (dump.lost) throw new IpvsError('REPLY_LOST');
      if (dump.items.length > 0) yield dump.items.splice(0);
      if (ended && dump.interrupted) throw new IpvsError('TABLE_CHANGING');
      if (ended) return dump.errno;
      if (this.#turns.due()) await this.#turns.give();
    }
  }

  /** The same at once, if the kernel delivers it in one piece; undefined otherwise. */
  dumpPiece<T>(request: Request, read: (message: Message) => T): Dump<T> | undefined {
    const dump = this.#beginDump<T>(request);
    const ended = this.#receivePiece(dump, read) || this.#receivePiece(dump, read);
    return ended && !dump.lost ? dump : undefined; // the next conversation begins by reading the rest
  }

  #beginDump<T>(request: Request): OpenDump<T> {
    const sequence = this.#begin();
    this.#write(request, messageFlag.REQUEST | messageFlag.DUMP, sequence);
    this.#send();
    return { errno: 0, items: [], pieces: 0, full: false, interrupted: false, sequence, lost: false };
  }

  /** Adds a datagram to the dump; true when it was the last. */
  #receivePiece<T>(dump: OpenDump<T>, read: (message: Message) => T): boolean {
    const datagram = this.#receive();
    if (datagram === 'nothing' || datagram === 'overrun' || datagram === 'truncated') {
      // Objects are missing. The rest is read and dropped: a socket carries one dump at a time.
      dump.lost = true;
      return datagram === 'nothing';
    }
    const message = datagram;
    let newPiece = true;
    while (message.advance()) {
      if (message.sequence !== dump.sequence) continue;
      if (message.flags & messageFlag.DUMP_INTR) dump.interrupted = true;
      if (message.type === messageType.DONE || message.type === messageType.ERROR) {
        this.#unfinished = false;
        dump.errno = message.type === messageType.DONE ? readDone(message) : readAcknowledgement(message).errno;
        return true;
      }
      if (message.type <= messageType.OVERRUN || dump.lost) continue;
      dump.items.push(read(message));
      if (!newPiece) continue;
      newPiece = false;
      dump.pieces++;
      dump.full ||= this.#mayBeFull(datagram.bytes);
    }
    return false;
  }

  /**
   * Many requests, in order. Only refusals are answered; the last request of every send asks for an
   * acknowledgement, and its arrival says that all before it were carried out. One refusal does not
   * stop the others.
   */
  async pipeline(requests: Iterable<Request>): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    let limit = Math.min(this.#requestsPerSend, FIRST_BATCH);
    let batch: Batch | undefined;
    for (const request of requests) {
      if (batch !== undefined && (batch.count >= limit || batch.alone || request.alone)) {
        this.#finish(batch, outcomes);
        limit = this.#nextLimit(limit, performance.now() - batch.startedAt);
        batch = undefined;
        if (this.#turns.due()) await this.#turns.give();
      }
      batch ??= { startedAt: performance.now(), first: this.#begin(), count: 0, alone: request.alone === true };
      this.#write(request, messageFlag.REQUEST, batch.first + batch.count);
      batch.count++;
    }
    if (batch !== undefined) this.#finish(batch, outcomes);
    return outcomes;
  }

  /**
   * Some requests are dear (an add while many deleted destinations linger, a new scheduler): how many go into the
   * next batch follows the time that this one took.
   */
  #nextLimit(limit: number, tookMs: number): number {
    if (tookMs > BUSY_MS) return Math.max(1, limit >> 1);
    return tookMs < BUSY_MS / 2 ? Math.min(this.#requestsPerSend, limit << 1) : limit;
  }

  /** Sends what was written, and collects the answers. */
  #finish({ first, count }: Batch, outcomes: Outcome[]): void {
    const barrier = first + count - 1;
    setFlags(this.#writer, this.#lastMessage, messageFlag.REQUEST | messageFlag.ACK);
    this.#sequence = barrier;

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
      for (const message of datagram) {
        if (message.type === messageType.ERROR) answers.set(message.sequence, readAcknowledgement(message));
      }
    }
    this.#unfinished = !complete;
    const silent: Outcome = complete ? { errno: 0, text: undefined } : 'unknown';
    for (let sequence = first; sequence <= barrier; sequence++) outcomes.push(answers.get(sequence) ?? silent);
  }

  #mayBeFull(pieceBytes: number): boolean {
    if (isNearly(pieceBytes, this.#buffer.length)) return true;
    for (const size of FULL_PIECE_BYTES) if (isNearly(pieceBytes, size)) return true;
    return false;
  }

  /** Clears the writer and what an earlier conversation left unread; returns the next sequence number. */
  #begin(): number {
    if (this.#fd < 0) throw new IpvsError('CLOSED');
    this.#answeredBytes = 0;
    if (this.#unfinished) while (this.#receive() !== 'nothing');
    this.#unfinished = true;
    this.#answeredBytes = 0;
    this.#writer.reset();
    this.#sequence = this.#sequence >= 0xffff_0000 ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  #write(request: Request, flags: number, sequence: number): void {
    this.#lastMessage = this.#writer.length;
    writeMessage(this.#writer, request.type, flags, sequence, writeRequest, request);
  }

  #send(): void {
    const sent = this.#native.send(this.#fd, this.#writer.bytes, this.#writer.length);
    if (sent < 0) throw new IpvsError('SOCKET_FAILED', { operation: 'send', errno: -sent });
  }

  /** The messages of the next datagram, which stand in the buffer until the one after it. */
  #receive(): Messages | 'nothing' | 'overrun' | 'truncated' {
    const length = this.#native.receive(this.#fd, this.#buffer);
    if (length === -errno.EAGAIN) return 'nothing';
    this.#answeredBytes += Math.max(length, BYTES_PER_ANSWER);
    if (length > MOST_DATAGRAM_BYTES || this.#answeredBytes > MOST_ANSWER_BYTES) {
      throw new IpvsError('REPLY_MALFORMED', { detail: 'the answer does not end' });
    }
    if (length === -errno.ENOBUFS) return 'overrun';
    if (length < 0) throw new IpvsError('SOCKET_FAILED', { operation: 'receive', errno: -length });
    if (length > this.#buffer.length) {
      this.#buffer = new Uint8Array(length);
      this.#view = new DataView(this.#buffer.buffer);
      return 'truncated';
    }
    return new Messages(this.#view, length);
  }
}

function writeRequest(writer: Writer, request: Request): void {
  request.write(writer);
}

function isNearly(pieceBytes: number, size: number): boolean {
  return pieceBytes <= size && pieceBytes > size - LARGEST_OBJECT_BYTES;
}

function openingError(code: number, namespacePath: string): IpvsError {
  if (namespacePath === '') return new IpvsError('SOCKET_FAILED', { operation: 'open', errno: code });
  return namespaceError(code, namespacePath);
}
