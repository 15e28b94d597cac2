import { describe, expect, it, vi } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import {
  type ConnectionOptions,
  NetlinkConnection,
  type Outcome,
  type Request,
} from '../../../src/netlink/connection.ts';
import type { Message } from '../../../src/netlink/message.ts';
import {
  acknowledge,
  answer,
  concat,
  done,
  EAGAIN,
  ENOBUFS,
  FakeKernel,
  type FakeKernelOptions,
  type FakeRequest,
  type FakeSocket,
  le32,
  message,
  type Peer,
  wantsAcknowledgement,
} from '../../helpers/fake-kernel.ts';

const FAMILY = 0x1e;
const MULTI = 0x2;
const DUMP_INTR = 0x10;

function connect(
  peer: Peer,
  { kernel: of, ...options }: Partial<ConnectionOptions> & { kernel?: FakeKernelOptions } = {},
) {
  const kernel = new FakeKernel(peer, of);
  const connection = NetlinkConnection.open({ native: kernel, protocol: 16, ...options });
  return { kernel, connection, socket: kernel.sockets[0] as FakeSocket };
}

/** A request whose payload is one number, by which the peer knows it. */
function request(id: number, options: { alone?: boolean } = {}): Request {
  return {
    type: FAMILY,
    write(writer) {
      writer.setU32(writer.reserve(4), id);
    },
    ...options,
  };
}

function requests(count: number): Request[] {
  return Array.from({ length: count }, (_, i) => request(i));
}

function idOf({ payload }: FakeRequest): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
}

/** A reply message that carries a number. */
function item(to: FakeRequest, value: number, flags = MULTI): Uint8Array {
  return message(FAMILY, flags, to.sequence, le32(value));
}

function readItem({ view, start }: Message): number {
  return view.getUint32(start, true);
}

/** Errnos and 'unknown'. */
function short(outcomes: readonly Outcome[]) {
  return outcomes.map((o) => (o === 'unknown' ? o : o.errno + 0));
}

const succeed: Peer = (r) => answer(r);

/** Refuses the requests of these numbers. */
function refusing(...ids: number[]): Peer {
  return (r) => answer(r, ids.includes(idOf(r)) ? 17 : 0);
}

describe.runIf(hostIsLittleEndian)('opening', () => {
  it('asks for a socket of the protocol, in the namespace, with large buffers', () => {
    const kernel = new FakeKernel(succeed);
    const open = vi.spyOn(kernel, 'openNetlink');
    NetlinkConnection.open({ native: kernel, protocol: 16, namespacePath: '/run/netns/blue' });
    expect(open.mock.calls).toEqual([[16, '/run/netns/blue', 524288, 524288]]);
  });

  it('is in the current namespace by default', () => {
    expect(connect(succeed).socket.namespacePath).toBe('');
  });

  it.each([
    ['', 24, { code: 'SOCKET_FAILED', operation: 'open', errnoName: 'EMFILE' }],
    ['', 2, { code: 'SOCKET_FAILED', errnoName: 'ENOENT' }],
    ['/run/netns/gone', 2, { code: 'NAMESPACE_NOT_FOUND', subject: '/run/netns/gone' }],
    ['/run/netns/x', 1, { code: 'NAMESPACE_REFUSED', errnoName: 'EPERM', hint: expect.stringContaining('root') }],
    ['/etc/passwd', 22, { code: 'NAMESPACE_REFUSED', errnoName: 'EINVAL', hint: undefined }],
  ])('in "%s", errno %i', (namespacePath, errno, expected) => {
    const kernel = new FakeKernel(succeed);
    kernel.failures.open.push(-errno);
    expect(() => NetlinkConnection.open({ native: kernel, protocol: 16, namespacePath })).toThrow(
      expect.objectContaining(expected),
    );
  });
});

describe.runIf(hostIsLittleEndian)('closing', () => {
  it('closes the socket once', () => {
    const { kernel, connection, socket } = connect(succeed);
    const close = vi.spyOn(kernel, 'close');
    connection.close();
    connection.close();
    expect(socket.open).toBe(false);
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('makes everything CLOSED', async () => {
    const { connection } = connect(succeed);
    connection.close();
    const closed = expect.objectContaining({ code: 'CLOSED' });
    expect(() => connection.request(request(1), readItem)).toThrow(closed);
    await expect(connection.dump(request(1), readItem)).rejects.toEqual(closed);
    await expect(connection.pipeline([request(1)])).rejects.toEqual(closed);
  });
});

describe.runIf(hostIsLittleEndian)('request', () => {
  it('is sent with REQUEST and ACK, and a number of its own', () => {
    const { kernel, connection } = connect(succeed);
    connection.request(request(7), readItem);
    connection.request(request(8), readItem);
    expect(kernel.requests.map((r) => [r.type, r.flags, r.sequence, idOf(r)])).toEqual([
      [FAMILY, 0x5, 1, 7],
      [FAMILY, 0x5, 2, 8],
    ]);
  });

  it('gives the replies, in one datagram or several, and the acknowledgement', () => {
    const { connection } = connect((r) => [concat(item(r, 1, 0), item(r, 2, 0)), item(r, 3, 0), ...answer(r)]);
    const { outcome, replies } = connection.request(request(1), readItem);
    expect(replies).toEqual([1, 2, 3]);
    expect(short([outcome])).toEqual([0]);
  });

  it("gives a refusal with the kernel's words", () => {
    const { connection } = connect((r) => answer(r, 34, 'Attribute failed policy validation'));
    expect(connection.request(request(1), readItem)).toEqual({
      outcome: { errno: 34, text: 'Attribute failed policy validation' },
      replies: [],
    });
  });

  it('passes over messages of other sequence numbers and control messages', () => {
    const { connection } = connect((r) => {
      const foreign = { ...r, sequence: r.sequence + 1000 };
      const noop = message(1, 0, r.sequence);
      return [acknowledge(foreign, 1), item(foreign, 9), noop, item(r, 1), ...answer(r)];
    });
    const { outcome, replies } = connection.request(request(1), readItem);
    expect(replies).toEqual([1]);
    expect(short([outcome])).toEqual([0]);
  });

  it('without an answer is REPLY_LOST', () => {
    const { connection } = connect(() => []);
    expect(() => connection.request(request(1), readItem)).toThrow(expect.objectContaining({ code: 'REPLY_LOST' }));
  });

  it('an overrun does not lose what is queued', () => {
    const { kernel, connection } = connect(succeed);
    kernel.failures.receive.push(-ENOBUFS);
    expect(short([connection.request(request(1), readItem).outcome])).toEqual([0]);
  });

  it('an answer that was dropped is REPLY_LOST, and the next request works', () => {
    let full = true;
    const { connection, socket } = connect(
      (r) => (full ? [...Array.from({ length: 9 }, () => item(r, 1)), ...answer(r)] : answer(r)),
      { kernel: { receiveBufferBytes: 5000 } },
    );
    expect(() => connection.request(request(1), readItem)).toThrow(expect.objectContaining({ code: 'REPLY_LOST' }));
    expect(socket.dropped).toBeGreaterThan(0);
    full = false;
    expect(short([connection.request(request(2), readItem).outcome])).toEqual([0]);
  });

  it('a reply that was cut off is REPLY_MALFORMED; the same request works with the larger buffer', () => {
    const { connection } = connect(
      (r) => [message(FAMILY, 0, r.sequence, le32(5), new Uint8Array(200)), ...answer(r)],
      {
        readBytes: 64,
      },
    );
    expect(() => connection.request(request(1), readItem)).toThrow(
      expect.objectContaining({ code: 'REPLY_MALFORMED' }),
    );
    expect(connection.request(request(1), readItem).replies).toEqual([5]);
  });

  it('a failed send is SOCKET_FAILED, and the next request works', () => {
    const { kernel, connection } = connect(succeed);
    kernel.failures.send.push(-90);
    expect(() => connection.request(request(1), readItem)).toThrow(
      expect.objectContaining({ code: 'SOCKET_FAILED', operation: 'send', errnoName: 'EMSGSIZE' }),
    );
    expect(short([connection.request(request(2), readItem).outcome])).toEqual([0]);
  });

  it('a failed receive is SOCKET_FAILED', () => {
    const { kernel, connection } = connect(succeed);
    kernel.failures.receive.push(-9);
    expect(() => connection.request(request(1), readItem)).toThrow(
      expect.objectContaining({ code: 'SOCKET_FAILED', operation: 'receive', errnoName: 'EBADF' }),
    );
  });

  it('broken off by its reader does not disturb the next', () => {
    const { connection, socket } = connect((r) => [item(r, idOf(r)), item(r, idOf(r)), ...answer(r)]);
    expect(() =>
      connection.request(request(1), () => {
        throw new Error('of the caller');
      }),
    ).toThrow('of the caller');
    expect(socket.queue.length).toBeGreaterThan(0);
    expect(connection.request(request(2), readItem).replies).toEqual([2, 2]);
    expect(socket.queue).toEqual([]);
  });

  it('broken off by its writer sends nothing and does not disturb the next', () => {
    const { kernel, connection } = connect(succeed);
    const broken: Request = {
      type: FAMILY,
      write(writer) {
        writer.reserve(8);
        throw new Error('of the caller');
      },
    };
    expect(() => connection.request(broken, readItem)).toThrow('of the caller');
    expect(kernel.requests).toEqual([]);
    connection.request(request(2), readItem);
    expect(kernel.requests.map(idOf)).toEqual([2]);
  });

  it('answers of an earlier conversation are not taken for its own', () => {
    const { kernel, connection, socket } = connect(() => []);
    expect(() => connection.request(request(1), readItem)).toThrow(IpvsError);
    const [late] = kernel.requests as [FakeRequest];
    kernel.peer = (r) => [item(r, 2), ...answer(r)];
    kernel.deliver(socket, item(late, 1));
    kernel.deliver(socket, acknowledge(late, 17));
    const { outcome, replies } = connection.request(request(2), readItem);
    expect([replies, short([outcome])]).toEqual([[2], [0]]);
  });

  it('late answers after a good conversation are passed over by their number', () => {
    const { kernel, connection, socket } = connect((r) => [item(r, idOf(r)), ...answer(r)]);
    connection.request(request(1), readItem);
    kernel.deliver(socket, acknowledge(kernel.requests[0] as FakeRequest, 17));
    expect(connection.request(request(2), readItem).replies).toEqual([2]);
  });

  it.each([
    ['a datagram that is cut off', (r: FakeRequest) => item(r, 1).slice(0, 18)],
    ['an acknowledgement that is cut off', (r: FakeRequest) => message(2, 0, r.sequence, le32(0))],
  ])('%s is REPLY_MALFORMED', (_, reply) => {
    const { connection } = connect((r) => [reply(r)]);
    expect(() => connection.request(request(1), readItem)).toThrow(
      expect.objectContaining({ code: 'REPLY_MALFORMED' }),
    );
  });
});

describe.runIf(hostIsLittleEndian)('dump', () => {
  it('is sent with REQUEST and DUMP', async () => {
    const { kernel, connection } = connect((r) => [done(r)]);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [], pieces: 0, interrupted: false });
    expect(kernel.requests.map((r) => r.flags)).toEqual([0x301]);
  });

  it.each<[string, (r: FakeRequest) => Uint8Array[], number]>([
    ['one datagram with its end', (r) => [concat(item(r, 1), item(r, 2), item(r, 3), done(r))], 1],
    ['one datagram, the end in another', (r) => [concat(item(r, 1), item(r, 2), item(r, 3)), done(r)], 1],
    ['two datagrams', (r) => [concat(item(r, 1), item(r, 2)), concat(item(r, 3), done(r))], 2],
    ['three datagrams', (r) => [item(r, 1), item(r, 2), item(r, 3), done(r)], 3],
    [
      'an empty datagram among them',
      (r) => [item(r, 1), message(1, 0, r.sequence), concat(item(r, 2), item(r, 3)), done(r)],
      2,
    ],
  ])('of %s: everything in order, and how many datagrams had objects', async (_, peer, pieces) => {
    const { connection } = connect(peer);
    const result = await connection.dump(request(1), readItem);
    expect(result).toMatchObject({ items: [1, 2, 3], pieces, interrupted: false });
    expect(result.errno + 0).toBe(0);
  });

  // Sizes of the kernel's pieces: a page of 4 KiB, two of them, 32 KiB, or the largest read. It breaks a
  // piece off where the next object does not fit, so a full one ends somewhat below.
  it.each([
    [3776, 65536, true],
    [3300, 65536, true],
    [3200, 65536, false],
    [3800, 65536, false],
    [32448, 65536, true],
    [32000, 65536, true],
    [31900, 65536, false],
    [65536, 65536, true],
    [8192, 8192, true],
    [7900, 8192, true],
    [5000, 8192, false],
    [20, 65536, false],
  ])('whose piece has %i bytes, of a read of %i: that it may be full is %s', async (bytes, readBytes, full) => {
    const { connection } = connect(
      (r) => [message(FAMILY, MULTI, r.sequence, le32(1), new Uint8Array(bytes - 20)), done(r)],
      {
        readBytes,
      },
    );
    expect(await connection.dump(request(1), readItem)).toMatchObject({ pieces: 1, full });
  });

  it('may be larger than the receive buffer: it is read piece by piece', async () => {
    const { connection, socket } = connect(
      function* (r) {
        for (let i = 0; i < 1000; i++) yield item(r, i);
        yield done(r);
      },
      { kernel: { receiveBufferBytes: 4096 } },
    );
    const { items, pieces } = await connection.dump(request(1), readItem);
    expect(items).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([pieces, socket.dropped]).toEqual([1000, 0]);
  });

  it.each([
    ['on an object', DUMP_INTR, 0],
    ['on the end', 0, DUMP_INTR],
  ])('NLM_F_DUMP_INTR %s is told', async (_, onItem, onEnd) => {
    const { connection } = connect((r) => [item(r, 1, MULTI | onItem), done(r, 0, MULTI | onEnd)]);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [1], interrupted: true });
  });

  it.each([
    ['on an object', DUMP_INTR, 0],
    ['on the end', 0, DUMP_INTR],
  ])('in pieces with NLM_F_DUMP_INTR %s fails at its end', async (_, onItem, onEnd) => {
    const { connection } = connect((r) => [item(r, 1, MULTI | onItem), done(r, 0, MULTI | onEnd)]);
    const seen: number[] = [];
    const read = async () => {
      for await (const piece of connection.pieces(request(1), readItem)) seen.push(...piece);
    };
    await expect(read()).rejects.toMatchObject({ code: 'TABLE_CHANGING' });
    expect(seen).toEqual([1]);
  });

  it.each<[string, Peer]>([
    ['by an error message', (r) => [acknowledge(r, 95)]],
    ['at its end', (r) => [done(r, 95)]],
  ])('refused %s gives the errno', async (_, peer) => {
    const { connection } = connect(peer);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ errno: 95, items: [], pieces: 0, full: false });
  });

  it('broken off by the kernel after some objects gives the errno', async () => {
    const { connection } = connect((r) => [item(r, 1), done(r, 12)]);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ errno: 12, items: [1] });
  });

  it('with a datagram that was cut off is read to its end and repeated with a larger buffer', async () => {
    const { kernel, connection } = connect(
      (r) => [item(r, 0), concat(...[1, 2, 3, 4].map((i) => item(r, i))), item(r, 5), done(r)],
      { readBytes: 64 },
    );
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [0, 1, 2, 3, 4, 5], pieces: 3 });
    expect(kernel.requests.map((r) => r.sequence)).toEqual([1, 2]);
  });

  it('grows as often as its datagrams do', async () => {
    const { kernel, connection } = connect(
      (r) => [concat(item(r, 1), item(r, 2)), concat(item(r, 3), item(r, 4), item(r, 5), item(r, 6)), done(r)],
      { readBytes: 32 },
    );
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [1, 2, 3, 4, 5, 6] });
    expect(kernel.requests).toHaveLength(2);
  });

  it('whose end was cut off is repeated', async () => {
    const { connection } = connect((r) => [concat(item(r, 1), item(r, 2), item(r, 3), done(r))], { readBytes: 48 });
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [1, 2, 3], pieces: 1 });
  });

  it('with an overrun is repeated', async () => {
    const { kernel, connection } = connect((r) => [item(r, 1), item(r, 2), done(r)]);
    kernel.failures.receive.push(-ENOBUFS);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [1, 2], pieces: 2 });
    expect(kernel.requests).toHaveLength(2);
  });

  it('a refusal of the repetition is told', async () => {
    let tries = 0;
    const { kernel, connection } = connect((r) => (++tries === 1 ? [item(r, 1), done(r)] : [acknowledge(r, 16)]));
    kernel.failures.receive.push(-ENOBUFS);
    expect(await connection.dump(request(1), readItem)).toMatchObject({ errno: 16, items: [] });
  });

  it('that never ends well is REPLY_LOST after three tries', async () => {
    const { kernel, connection } = connect((r) => [item(r, 1)]);
    await expect(connection.dump(request(1), readItem)).rejects.toMatchObject({ code: 'REPLY_LOST' });
    expect(kernel.requests).toHaveLength(3);
  });

  it('passes over messages of other sequence numbers', async () => {
    const { connection } = connect((r) => {
      const foreign = { ...r, sequence: r.sequence - 1 };
      return [concat(item(foreign, 8), done(foreign, 5)), acknowledge(foreign, 1), item(r, 1), done(r)];
    });
    expect(await connection.dump(request(1), readItem)).toMatchObject({ items: [1], pieces: 1 });
  });

  it('broken off by its reader is read to its end before the next', async () => {
    const { connection, socket } = connect((r) => [item(r, idOf(r)), item(r, idOf(r)), item(r, idOf(r)), done(r)]);
    const broken = connection.dump(request(1), () => {
      throw new Error('of the caller');
    });
    await expect(broken).rejects.toThrow('of the caller');
    expect(await connection.dump(request(2), readItem)).toMatchObject({ items: [2, 2, 2], pieces: 3 });
    expect(socket.queue).toEqual([]);
  });

  it('a datagram that is no netlink is REPLY_MALFORMED, and the next dump works', async () => {
    let junk = true;
    const { connection } = connect((r) => [junk ? new Uint8Array(20) : item(r, 1), done(r)]);
    await expect(connection.dump(request(1), readItem)).rejects.toMatchObject({ code: 'REPLY_MALFORMED' });
    junk = false;
    expect(await connection.dump(request(2), readItem)).toMatchObject({ items: [1] });
  });

  it('lets the event loop run', async () => {
    const { connection } = connect(function* (r) {
      for (let i = 0; i < 30; i++) {
        const until = performance.now() + 1;
        while (performance.now() < until);
        yield item(r, i);
      }
      yield done(r);
    });
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await connection.dump(request(1), readItem);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });
});

describe.runIf(hostIsLittleEndian)('pipeline', () => {
  it('of nothing sends nothing', async () => {
    const { kernel, connection } = connect(succeed);
    expect(await connection.pipeline([])).toEqual([]);
    expect(kernel.requests).toEqual([]);
  });

  it('sends many requests at once and asks only the last for an answer', async () => {
    const { connection, socket } = connect(succeed);
    const outcomes = await connection.pipeline(requests(10));
    expect(short(outcomes)).toEqual(Array(10).fill(0));
    expect(socket.sends).toHaveLength(1);
    expect(socket.sends[0]?.map((r) => [r.type, r.flags, r.sequence, idOf(r)])).toEqual(
      Array.from({ length: 10 }, (_, i) => [FAMILY, i === 9 ? 0x5 : 0x1, i + 1, i]),
    );
    expect(socket.receives).toBe(1);
  });

  it('numbers the requests on, over sends and conversations', async () => {
    const { kernel, connection } = connect(succeed);
    await connection.pipeline(requests(150));
    connection.request(request(0), readItem);
    await connection.pipeline(requests(2));
    expect(kernel.requests.map((r) => r.sequence)).toEqual(Array.from({ length: 153 }, (_, i) => i + 1));
  });

  it('gives the outcomes in the order of the requests', async () => {
    const { connection } = connect((r) => answer(r, idOf(r) % 3 === 1 ? idOf(r) : 0, `no ${idOf(r)}`));
    const outcomes = await connection.pipeline(requests(200));
    outcomes.forEach((outcome, i) => {
      if (outcome === 'unknown') throw new Error('unknown');
      expect([outcome.errno + 0, outcome.errno ? outcome.text : undefined]).toEqual(
        i % 3 === 1 ? [i, `no ${i}`] : [0, undefined],
      );
    });
  });

  it.each([
    ['the first', [0]],
    ['one in the middle', [4]],
    ['the last, which is the barrier', [9]],
    ['all', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ])('a refusal of %s does not stop the others', async (_, refused) => {
    const { kernel, connection } = connect(refusing(...refused));
    expect(short(await connection.pipeline(requests(10)))).toEqual(
      Array.from({ length: 10 }, (_, i) => (refused.includes(i) ? 17 : 0)),
    );
    expect(kernel.requests).toHaveLength(10);
  });

  it('answers that arrive in another order are matched by number', async () => {
    const held: FakeRequest[] = [];
    const { connection } = connect((r) => {
      if (!wantsAcknowledgement(r)) held.push(r);
      return wantsAcknowledgement(r) ? [...held.reverse().map((h) => acknowledge(h, idOf(h) + 1)), acknowledge(r)] : [];
    });
    expect(short(await connection.pipeline(requests(5)))).toEqual([1, 2, 3, 4, 0]);
  });

  it.each([
    ['a small receive buffer', 8 * 1024, 7],
    ['a tiny one', 2048, 1],
    ['one that is smaller than an answer', 256, 1],
    ['a large one', 16 * 1024 * 1024, 256],
  ])('with %s (%i bytes) sends at most %i together', async (_, receiveBufferBytes, most) => {
    const { connection, socket } = connect(succeed, { kernel: { receiveBufferBytes } });
    await connection.pipeline(requests(1000));
    const sizes = socket.sends.map((batch) => batch.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(most);
    expect(sizes.reduce((a, b) => a + b)).toBe(1000);
    // Each send ends with its barrier.
    for (const batch of socket.sends) {
      expect(batch.map(wantsAcknowledgement)).toEqual(batch.map((_, i) => i === batch.length - 1));
    }
  });

  it('if all of a send are refused, their answers fit into the receive buffer', async () => {
    for (const receiveBufferBytes of [4096, 16 * 1024, 64 * 1024, 425984]) {
      const { connection, socket } = connect((r) => answer(r, 17), { kernel: { receiveBufferBytes } });
      expect(short(await connection.pipeline(requests(1000)))).toEqual(Array(1000).fill(17));
      expect(socket.dropped).toBe(0);
    }
  });

  it('a request that is to be alone goes by itself, in its place', async () => {
    const { connection, socket } = connect(succeed);
    const list = [
      request(0),
      request(1),
      request(2, { alone: true }),
      request(3, { alone: true }),
      request(4),
      request(5),
    ];
    expect(short(await connection.pipeline(list))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(socket.sends.map((batch) => batch.map(idOf))).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(socket.sends.map((batch) => wantsAcknowledgement(batch.at(-1) as FakeRequest))).toEqual(Array(4).fill(true));
  });

  it.each([
    ['cheap', 0, [64, 128, 256, 256, 256, 40]],
    ['neither', 3, [...Array(15).fill(64), 40]],
    ['dear', 6, [64, 32, 16, 8, 4, 2, ...Array(874).fill(1)]],
  ])('requests that are %s (a send takes %d ms) are sent in batches that follow', async (_, step, sizes) => {
    const clock = vi.spyOn(performance, 'now');
    let now = 0;
    // Two readings around each send.
    clock.mockImplementation(() => (now += step));
    try {
      const { connection, socket } = connect(succeed);
      await connection.pipeline(requests(1000));
      expect(socket.sends.map((batch) => batch.length)).toEqual(sizes);
    } finally {
      clock.mockRestore();
    }
  });

  describe('when answers are lost', () => {
    /** Announces more room than there is, so that refusals overrun it. */
    function tight(peer: Peer, room: number) {
      const made = connect(peer, { kernel: { receiveBufferBytes: 425984 } });
      Object.assign(made.socket, { receiveBufferBytes: room * 896 });
      return made;
    }

    it('refusals that were seen stay, the rest is unknown, the barrier included', async () => {
      const { kernel, connection, socket } = tight(refusing(1, 3, 5, 7), 3);
      expect(short(await connection.pipeline(requests(10)))).toEqual([
        'unknown',
        17,
        'unknown',
        17,
        'unknown',
        17,
        'unknown',
        'unknown',
        'unknown',
        'unknown',
      ]);
      expect(socket.dropped).toBe(2); // 7 and the barrier
      expect(kernel.requests).toHaveLength(10);
    });

    it('the barrier itself is known when it came, even after an overrun', async () => {
      const { kernel, connection } = connect(refusing(1));
      kernel.failures.receive.push(-ENOBUFS);
      expect(short(await connection.pipeline(requests(4)))).toEqual(['unknown', 17, 'unknown', 0]);
    });

    it('a lost barrier without ENOBUFS leaves the silent ones unknown', async () => {
      const { connection } = connect((r) => (idOf(r) === 1 ? answer(r, 17) : []));
      expect(short(await connection.pipeline(requests(3)))).toEqual(['unknown', 17, 'unknown']);
    });

    it('the sends before and after it are known', async () => {
      let sends = 0;
      const { connection } = connect((r) => {
        if (!wantsAcknowledgement(r)) return [];
        return ++sends === 2 ? [] : answer(r);
      });
      const list = [request(0), request(1, { alone: true }), request(2)];
      expect(short(await connection.pipeline(list))).toEqual([0, 'unknown', 0]);
    });

    it('late answers do not reach the next pipeline', async () => {
      const { kernel, connection, socket } = connect(() => []);
      await connection.pipeline(requests(3));
      for (const late of [...kernel.requests]) kernel.deliver(socket, acknowledge(late, 17));
      kernel.peer = succeed;
      expect(short(await connection.pipeline(requests(3)))).toEqual([0, 0, 0]);
    });

    it('answers of foreign sequence numbers are no answers', async () => {
      const { connection } = connect((r) => [acknowledge({ ...r, sequence: r.sequence + 5000 }, 17), ...answer(r)]);
      expect(short(await connection.pipeline(requests(3)))).toEqual([0, 0, 0]);
    });
  });

  it('a failed send is SOCKET_FAILED, and the next pipeline works', async () => {
    const { kernel, connection } = connect(succeed);
    kernel.failures.send.push(-ENOBUFS);
    await expect(connection.pipeline(requests(3))).rejects.toMatchObject({
      code: 'SOCKET_FAILED',
      operation: 'send',
      errno: ENOBUFS,
    });
    expect(short(await connection.pipeline(requests(3)))).toEqual([0, 0, 0]);
  });

  it('a send that is not carried out for lack of memory is no success', async () => {
    const { kernel, connection } = connect(succeed);
    kernel.failures.receive.push(-EAGAIN);
    expect(short(await connection.pipeline(requests(2)))).toEqual(['unknown', 'unknown']);
  });

  it('a malformed answer is REPLY_MALFORMED, and the next pipeline works', async () => {
    const { kernel, connection } = connect((r) => (wantsAcknowledgement(r) ? [new Uint8Array(7)] : []));
    await expect(connection.pipeline(requests(3))).rejects.toMatchObject({ code: 'REPLY_MALFORMED' });
    kernel.peer = succeed;
    expect(short(await connection.pipeline(requests(3)))).toEqual([0, 0, 0]);
  });

  it('lets the event loop run between sends', async () => {
    const { connection } = connect((r) => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      return answer(r);
    });
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await connection.pipeline(requests(100));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });
});

describe('damaged answers', () => {
  /** What was sent is answered with these bytes in place of the acknowledgement. */
  function answered(bytes: Uint8Array) {
    return connect(() => [bytes]).connection;
  }

  function expectOnlyIpvsErrors(action: () => unknown, about: string): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof IpvsError)) throw new Error(about, { cause: error });
    }
  }

  it.runIf(hostIsLittleEndian)('every prefix and every change of a byte end in a value or an IpvsError', async () => {
    const first: FakeRequest = {
      type: FAMILY,
      flags: 5,
      sequence: 1,
      payload: le32(0),
      bytes: message(FAMILY, 5, 1, le32(0)),
    };
    const whole = concat(item(first, 1), acknowledge(first, 17, 'no'));
    const read = (m: Message) => (m.end - m.start === 4 ? readItem(m) : undefined);
    for (let length = 0; length < whole.length; length++) {
      const connection = answered(whole.slice(0, length));
      expect(() => connection.request(request(0), read), `of ${length} bytes`).toThrow(IpvsError);
    }
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 2, 3, 4, 0x10, 0x20, 0x7f, 0x80, 0xff]) {
        const changed = whole.slice();
        changed[at] = value;
        const connection = answered(changed);
        expectOnlyIpvsErrors(() => connection.request(request(0), read), `byte ${at} as ${value}`);
      }
    }
  });
});
