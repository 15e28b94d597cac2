import { describe, expect, it } from 'vitest';
import type { Destination } from '../../../src/ipvs/destination.ts';
import { NetlinkBackend } from '../../../src/ipvs/netlink/backend.ts';
import type { Operation, OperationResult } from '../../../src/ipvs/operation.ts';
import type { VirtualService } from '../../../src/ipvs/service.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import { acknowledge, answer, done, FakeIpvs, FakeKernel, type FakeRequest } from '../../helpers/fake-kernel.ts';

const ADDRESS = 'tcp://192.0.2.1:80';

function open(ipvs = new FakeIpvs(), options: { receiveBufferBytes?: number } = {}) {
  const kernel = new FakeKernel(ipvs.peer, options);
  const backend = new NetlinkBackend({ native: kernel, namespacePath: '' });
  return { ipvs, kernel, backend };
}

function service(address = ADDRESS, more: Partial<VirtualService> = {}): VirtualService {
  return { address, scheduler: 'rr', schedulerFlags: [], persistence: null, onePacket: false, ...more };
}

function destination(address: string, more: Partial<Destination> = {}): Destination {
  return { address, forward: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0, ...more };
}

const sip = { timeoutSeconds: 300, netmask: 32, engine: 'sip' };

function codes(results: readonly OperationResult[]) {
  return results.map(({ error }) => error?.code);
}

/** Adds services 1 to `count`, told apart by their marks. */
function marks(count: number): Operation[] {
  return Array.from({ length: count }, (_, i) => ({ type: 'service.add', service: service(`fwmark:${i + 1}`) }));
}

/** Commands of the requests to the family, without looking for it. */
function commands(requests: readonly FakeRequest[]): (number | undefined)[] {
  return requests.filter(({ type }) => type !== 0x10).map(({ payload }) => payload[0]);
}

function lookups(requests: readonly FakeRequest[]): number {
  return requests.filter(({ type }) => type === 0x10).length;
}

describe.runIf(hostIsLittleEndian)('sockets', () => {
  it('has one for changes and services, and one for destinations that reads little at a time', () => {
    const { kernel } = open();
    expect(kernel.sockets.map((s) => s.protocol)).toEqual([16, 16]);
  });

  it('close() closes both, and everything after it is CLOSED', async () => {
    const { backend, kernel } = open();
    backend.close();
    expect(kernel.sockets.map((s) => s.open)).toEqual([false, false]);
    await expect(backend.services({})).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(backend.info()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('if the second does not open, the first does not stay', () => {
    const kernel = new FakeKernel(() => []);
    kernel.failures.open.push(0, -24);
    expect(() => new NetlinkBackend({ native: kernel, namespacePath: '' })).toThrow(
      expect.objectContaining({ code: 'SOCKET_FAILED', errnoName: 'EMFILE' }),
    );
    expect(kernel.sockets.map((s) => s.open)).toEqual([false]);
  });

  it('open in the namespace that was asked for', () => {
    const kernel = new FakeKernel(() => []);
    new NetlinkBackend({ native: kernel, namespacePath: '/run/netns/blue' });
    expect(kernel.sockets.map((s) => s.namespacePath)).toEqual(['/run/netns/blue', '/run/netns/blue']);
  });
});

describe.runIf(hostIsLittleEndian)('reading', () => {
  it('info', async () => {
    expect(await open().backend.info()).toEqual({ version: '1.2.1', connectionTableSize: 4096 });
  });

  it('info without a reply is REPLY_MALFORMED', async () => {
    const { backend, ipvs } = open();
    ipvs.intercept = (request, command) => (command === 15 ? answer(request) : undefined);
    await expect(backend.info()).rejects.toMatchObject({ code: 'REPLY_MALFORMED' });
  });

  it('an empty table', async () => {
    const { backend } = open();
    expect(await backend.services({})).toEqual([]);
    expect(await backend.service(ADDRESS, {})).toBeUndefined();
    expect(await backend.destinations(ADDRESS, {})).toEqual([]);
  });

  it('what was written', async () => {
    const { backend } = open();
    const written = service('udp://[2001:db8::1]:5060', {
      scheduler: 'sh',
      schedulerFlags: ['sh-port'],
      persistence: sip,
    });
    const first = destination('[2001:db8::2]:5060', { forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } });
    const second = destination('[2001:db8::3]:5060', { weight: 0, upperThreshold: 9, lowerThreshold: 8 });
    await backend.execute([
      { type: 'service.add', service: written },
      { type: 'destination.add', service: written.address, destination: first },
      { type: 'destination.add', service: written.address, destination: second },
    ]);
    expect(await backend.services({})).toEqual([written]);
    expect(await backend.service(written.address, {})).toEqual(written);
    const connections = { activeConnections: 7, inactiveConnections: 8, persistentConnections: 9 };
    expect(await backend.destinations(written.address, {})).toEqual([
      { ...second, ...connections },
      { ...first, ...connections },
    ]);
  });

  it('statistics only where they are wanted', async () => {
    const { backend } = open();
    await backend.execute([
      { type: 'service.add', service: service() },
      { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.1:80') },
    ]);
    for (const statistics of [false, true]) {
      const read = [
        await backend.service(ADDRESS, { statistics }),
        ...(await backend.services({ statistics })),
        ...(await backend.destinations(ADDRESS, { statistics })),
      ];
      expect(read.map((object) => object?.statistics?.bytesOut)).toEqual(Array(3).fill(statistics ? 5n : undefined));
    }
  });

  it.each([
    [1, 'PERMISSION_DENIED'],
    [97, 'FAMILY_NOT_SUPPORTED'],
    [12, 'KERNEL_REFUSED'],
  ])('a refusal with errno %i is %s', async (errno, code) => {
    const { backend, ipvs } = open();
    ipvs.intercept = (request) => (request.type === 0x10 ? undefined : [acknowledge(request, errno)]);
    await expect(backend.info()).rejects.toMatchObject({ code, errno, operation: 'read info' });
    await expect(backend.service(ADDRESS, {})).rejects.toMatchObject({ code, subject: ADDRESS });
    await expect(backend.services({})).rejects.toMatchObject({ code, subject: 'all services' });
    await expect(backend.destinations(ADDRESS, {})).rejects.toMatchObject({ code, subject: ADDRESS });
  });

  it('a dump that is broken off by the kernel is refused', async () => {
    const { backend, ipvs } = open();
    ipvs.intercept = (request, command) => (command === 4 ? [done(request, 105)] : undefined);
    await expect(backend.services({})).rejects.toMatchObject({ code: 'KERNEL_REFUSED', errnoName: 'ENOBUFS' });
  });
});

describe.runIf(hostIsLittleEndian)('the number of the family', () => {
  it('is asked for once', async () => {
    const { backend, kernel } = open();
    await backend.info();
    await backend.services({});
    await backend.execute(marks(1));
    expect(lookups(kernel.requests)).toBe(1);
  });

  it('that does not exist is IPVS_NOT_LOADED, until the module is there', async () => {
    const { backend, ipvs } = open();
    ipvs.family = undefined;
    for (const action of [() => backend.info(), () => backend.services({}), () => backend.execute(marks(1))]) {
      await expect((async () => action())()).rejects.toMatchObject({
        code: 'IPVS_NOT_LOADED',
        hint: expect.stringContaining('modprobe ip_vs'),
      });
    }
    ipvs.family = 0x1e;
    expect(await backend.services({})).toEqual([]);
  });

  it.each<[string, (backend: NetlinkBackend) => Promise<unknown>]>([
    ['info', (b) => b.info()],
    ['one service', (b) => b.service('fwmark:1', {})],
    ['services', (b) => b.services({})],
    ['destinations', (b) => b.destinations('fwmark:1', {})],
    ['operations', (b) => b.execute([{ type: 'flush' }])],
  ])('is asked for again when it changed: %s', async (_, action) => {
    const { backend, ipvs, kernel } = open();
    await backend.execute(marks(1));
    ipvs.family = 0x25;
    const before = kernel.requests.length;
    await action(backend);
    const types = kernel.requests.slice(before).map(({ type }) => type);
    expect(types.slice(0, 3)).toEqual([0x1e, 0x10, 0x25]);
    await action(backend);
    expect(lookups(kernel.requests)).toBe(2);
  });

  it('operations are then carried out once', async () => {
    const { backend, ipvs } = open();
    await backend.info();
    ipvs.family = 0x25;
    expect(codes(await backend.execute(marks(3)))).toEqual([undefined, undefined, undefined]);
    expect(ipvs.services).toHaveLength(3);
  });

  it('that vanished with its module is IPVS_NOT_LOADED', async () => {
    const { backend, ipvs } = open();
    await backend.info();
    ipvs.family = undefined;
    await expect(backend.services({})).rejects.toMatchObject({ code: 'IPVS_NOT_LOADED' });
  });

  it('a refusal with ENOENT that is meant is not repeated', async () => {
    const { backend, ipvs, kernel } = open();
    ipvs.schedulers.delete('rr');
    expect(codes(await backend.execute(marks(1)))).toEqual(['SCHEDULER_NOT_FOUND']);
    expect(commands(kernel.requests)).toEqual([1]);
  });
});

describe.runIf(hostIsLittleEndian)('execute', () => {
  it('of nothing', async () => {
    expect(await open().backend.execute([])).toEqual([]);
  });

  it('gives one result for each operation, in order, and a refusal does not stop the rest', async () => {
    const { backend, ipvs } = open();
    const operations: Operation[] = [
      { type: 'service.add', service: service() },
      { type: 'service.add', service: service() },
      { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.1:80') },
      { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.1:80') },
      { type: 'destination.add', service: ADDRESS, destination: destination('224.0.0.1:80') },
      { type: 'destination.edit', service: ADDRESS, destination: destination('10.0.0.1:80', { weight: 7 }) },
      { type: 'destination.edit', service: ADDRESS, destination: destination('10.0.0.2:80') },
      { type: 'destination.delete', service: ADDRESS, destination: '10.0.0.2:80' },
      { type: 'destination.delete', service: 'fwmark:9', destination: '10.0.0.2:80' },
      { type: 'destination.add', service: 'fwmark:9', destination: destination('10.0.0.2:80') },
      { type: 'service.edit', service: service(ADDRESS, { scheduler: 'wrr' }) },
      { type: 'service.edit', service: service('fwmark:9') },
      { type: 'service.delete', service: 'fwmark:9' },
      { type: 'service.edit', service: service(ADDRESS, { scheduler: 'nosuch' }) },
    ];
    const results = await backend.execute(operations);
    expect(results.map(({ operation }) => operation)).toEqual(operations);
    expect(codes(results)).toEqual([
      undefined,
      'SERVICE_EXISTS',
      undefined,
      'DESTINATION_EXISTS',
      'ADDRESS_NOT_USABLE',
      undefined,
      'DESTINATION_NOT_FOUND',
      'DESTINATION_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      undefined,
      'SERVICE_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'SCHEDULER_NOT_FOUND',
    ]);
    expect(ipvs.services).toHaveLength(1);
    expect(await backend.services({})).toEqual([service(ADDRESS, { scheduler: 'wrr' })]);
    expect(await backend.destinations(ADDRESS, {})).toMatchObject([{ address: '10.0.0.1:80', weight: 7 }]);
  });

  it('an operation that was done has no error at all', async () => {
    const [result] = await open().backend.execute(marks(1));
    expect(result).toEqual({ operation: marks(1)[0] });
    expect(Object.keys(result as object)).toEqual(['operation']);
  });

  it('says what was attempted, on what, and why not', async () => {
    const { backend } = open();
    const [result] = await backend.execute([
      { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.1:80') },
    ]);
    expect(result?.error).toMatchObject({
      message: 'add destination 10.0.0.1:80 of tcp://192.0.2.1:80: there is no such service (ESRCH)',
      operation: 'add destination',
      subject: '10.0.0.1:80 of tcp://192.0.2.1:80',
      errno: 3,
    });
  });

  it('flush removes everything', async () => {
    const { backend, ipvs } = open();
    expect(codes(await backend.execute([...marks(3), { type: 'flush' }]))).toEqual(Array(4).fill(undefined));
    expect(ipvs.services).toEqual([]);
  });

  it.each<[string, Operation, string]>([
    ['a scheduler', { type: 'service.add', service: service(ADDRESS, { scheduler: 'nosuch' }) }, 'SCHEDULER_NOT_FOUND'],
    [
      'an engine, for the scheduler is there',
      { type: 'service.add', service: service('udp://192.0.2.1:5060', { persistence: { ...sip, engine: 'nosuch' } }) },
      'ENGINE_NOT_FOUND',
    ],
    [
      'the scheduler, for neither is there',
      {
        type: 'service.add',
        service: service('udp://192.0.2.1:5060', { scheduler: 'none2', persistence: { ...sip, engine: 'nosuch' } }),
      },
      'SCHEDULER_NOT_FOUND',
    ],
  ])('ENOENT means %s', async (_, operation, code) => {
    const { backend, ipvs } = open();
    const [result] = await backend.execute([operation]);
    expect(result?.error).toMatchObject({ code, errno: 2, detail: expect.stringMatching(/nosuch|none2/) });
    // The probe changes nothing.
    expect(ipvs.services).toEqual([]);
  });

  it.each([
    [1, 'PERMISSION_DENIED'],
    [22, 'KERNEL_REFUSED'],
    [34, 'KERNEL_REFUSED'],
    [97, 'FAMILY_NOT_SUPPORTED'],
    [524, 'KERNEL_REFUSED'],
  ])('any refusal with errno %i is %s', async (errno, code) => {
    const { backend, ipvs } = open();
    ipvs.intercept = (request, command) =>
      command === 1 && request.type !== 0x10 ? answer(request, errno) : undefined;
    const [result] = await backend.execute(marks(1));
    expect(result?.error).toMatchObject({ code, errno });
  });

  it("keeps the kernel's own words", async () => {
    const { backend, ipvs } = open();
    ipvs.intercept = (request, command) => (command === 17 ? answer(request, 34, 'out of range') : undefined);
    const [result] = await backend.execute([{ type: 'flush' }]);
    expect(result?.error?.message).toBe('flush all services: the kernel refused: out of range (ERANGE)');
  });
});

describe.runIf(hostIsLittleEndian)('a dump in several pieces', () => {
  it('is believed when it is in one piece', async () => {
    const { backend, kernel } = open();
    await backend.execute(marks(100));
    const before = kernel.requests.length;
    expect(await backend.services({})).toHaveLength(100);
    expect(kernel.requests.length - before).toBe(1);
  });

  it('is believed when two agree', async () => {
    const { backend, ipvs, kernel } = open();
    ipvs.perPiece = 7;
    await backend.execute(marks(50));
    const before = kernel.requests.length;
    expect(await backend.services({})).toHaveLength(50);
    expect(kernel.requests.length - before).toBe(2);
  });

  it('is repeated until two in a row agree', async () => {
    const { backend, ipvs, kernel } = open();
    ipvs.perPiece = 10;
    await backend.execute(marks(50));
    let dumps = 0;
    // In the first two dumps a service vanishes that was told already: the kernel skips another.
    ipvs.beforePiece = (piece) => {
      if (piece === 0) dumps++;
      if (piece === 1 && dumps <= 2) ipvs.services.shift();
    };
    const before = kernel.requests.length;
    const services = await backend.services({});
    expect(services.map(({ address }) => address)).toEqual(Array.from({ length: 48 }, (_, i) => `fwmark:${i + 3}`));
    expect(kernel.requests.length - before).toBe(4);
  });

  it('is repeated for destinations too', async () => {
    const { backend, ipvs } = open();
    ipvs.perPiece = 2;
    await backend.execute([
      { type: 'service.add', service: service() },
      ...Array.from(
        { length: 9 },
        (_, i): Operation => ({
          type: 'destination.add',
          service: ADDRESS,
          destination: destination(`10.0.0.${i + 1}:80`),
        }),
      ),
    ]);
    let removed = false;
    ipvs.beforePiece = (piece) => {
      if (piece !== 2 || removed) return;
      removed = true;
      ipvs.services[0]?.destinations.shift();
    };
    const addresses = (await backend.destinations(ADDRESS, {})).map(({ address }) => address);
    expect(addresses).toEqual(Array.from({ length: 8 }, (_, i) => `10.0.0.${8 - i}:80`));
  });

  it('whose addresses never agree is TABLE_CHANGING', async () => {
    const { backend, ipvs, kernel } = open();
    ipvs.perPiece = 10;
    await backend.execute(marks(60));
    ipvs.beforePiece = (piece) => {
      if (piece === 1) ipvs.services.shift();
    };
    const before = kernel.requests.length;
    await expect(backend.services({})).rejects.toMatchObject({ code: 'TABLE_CHANGING', subject: 'all services' });
    expect(kernel.requests.length - before).toBe(8);
  });

  it('in one piece at last is believed at once', async () => {
    const { backend, ipvs, kernel } = open();
    ipvs.perPiece = 10;
    await backend.execute(marks(25));
    ipvs.beforePiece = (piece) => {
      if (piece === 2) ipvs.services.splice(0, 20);
    };
    const before = kernel.requests.length;
    expect(await backend.services({})).toHaveLength(5);
    expect(kernel.requests.length - before).toBe(2);
  });

  it('whose only piece was full is not believed alone: the rest may have moved into its place', async () => {
    const { backend, ipvs } = open();
    ipvs.perPiece = 18; // of 200 bytes: a page, as far as objects fit
    await backend.execute(marks(25));
    let removed = false;
    ipvs.beforePiece = (piece) => {
      if (piece === 1 && !removed) ipvs.services.splice(0, 18);
      if (piece === 1) removed = true;
    };
    const addresses = (await backend.services({})).map(({ address }) => address);
    expect(addresses).toEqual([19, 20, 21, 22, 23, 24, 25].map((mark) => `fwmark:${mark}`));
  });

  it('that the kernel calls interrupted is not believed alone', async () => {
    const { backend, ipvs, kernel } = open();
    await backend.execute(marks(1));
    let dumps = 0;
    ipvs.intercept = (request, command) => {
      if (command !== 4 || ++dumps > 1) return undefined;
      return [done(request, 0, 0x12)];
    };
    const before = kernel.requests.length;
    expect(await backend.services({})).toHaveLength(1);
    expect(kernel.requests.length - before).toBe(2);
  });
});

describe.runIf(hostIsLittleEndian)('an outcome that is unknown is settled by reading the table', () => {
  const before: Operation[] = [
    { type: 'service.add', service: service() },
    { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.1:80') },
  ];
  const cases: [string, Operation][] = [
    ['service.add', { type: 'service.add', service: service('fwmark:7', { scheduler: 'wrr' }) }],
    ['service.edit', { type: 'service.edit', service: service(ADDRESS, { scheduler: 'wrr' }) }],
    ['service.delete', { type: 'service.delete', service: ADDRESS }],
    ['destination.add', { type: 'destination.add', service: ADDRESS, destination: destination('10.0.0.2:80') }],
    [
      'destination.edit',
      { type: 'destination.edit', service: ADDRESS, destination: destination('10.0.0.1:80', { weight: 9 }) },
    ],
    ['destination.delete', { type: 'destination.delete', service: ADDRESS, destination: '10.0.0.1:80' }],
    ['flush', { type: 'flush' }],
  ];
  const changes = new Set([1, 2, 3, 5, 6, 7, 17]);
  const isChange = (request: FakeRequest, command: number) => request.type !== 0x10 && changes.has(command);

  it.each(cases)('%s: done, for the table shows it', async (_, operation) => {
    const { backend, ipvs } = open();
    await backend.execute(before);
    const plain = ipvs.intercept;
    ipvs.intercept = (request, command) => {
      if (!isChange(request, command)) return undefined;
      ipvs.intercept = plain;
      for (const _answer of ipvs.peer(request, undefined as never)); // carried out, not answered
      return [];
    };
    expect(await backend.execute([operation])).toEqual([{ operation }]);
  });

  it.each(cases)('%s: REPLY_LOST, for the table does not show it', async (_, operation) => {
    const { backend, ipvs } = open();
    await backend.execute(before);
    ipvs.intercept = (request, command) => (isChange(request, command) ? [] : undefined);
    const [result] = await backend.execute([operation]);
    expect(result?.error).toMatchObject({ code: 'REPLY_LOST', errno: undefined, kind: 'transport' });
    expect(result?.error?.operation).toBe(operation.type.split('.').reverse().join(' '));
  });

  it('refusals that were seen stay refusals when the rest of the answers was dropped', async () => {
    const { backend, ipvs, kernel } = open();
    await backend.execute(marks(20));
    // Room for three answers, where the connection was promised more.
    Object.assign(kernel.sockets[0] as object, { receiveBufferBytes: 3 * 896 });
    const results = await backend.execute([...marks(20), { type: 'service.add', service: service('fwmark:21') }]);
    expect(codes(results).slice(0, 3)).toEqual(Array(3).fill('SERVICE_EXISTS'));
    // What the table shows counts as done, whoever did it.
    expect(codes(results).slice(3)).toEqual(Array(18).fill(undefined));
    expect(ipvs.services).toHaveLength(21);
  });
});
