import * as fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import type { Backend } from '../../../src/ipvs/backend.ts';
import type { Destination, Forward } from '../../../src/ipvs/destination.ts';
import { Ipvs, openIpvs } from '../../../src/ipvs/ipvs.ts';
import { KernelFiles } from '../../../src/ipvs/kernel-files.ts';
import { NetlinkBackend } from '../../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../../src/ipvs/operation.ts';
import type { VirtualService } from '../../../src/ipvs/service.ts';
import { namespacePath } from '../../../src/kernel/namespace.ts';
import { hostIsLittleEndian } from '../../../src/netlink/align.ts';
import { FakeIpvs, FakeKernel } from '../../helpers/fake-kernel.ts';

vi.mock('node:fs', async (original) => ({ ...(await original<typeof fs>()), existsSync: vi.fn() }));

const real = await vi.importActual<typeof fs>('node:fs');

const TCP = 'tcp://192.0.2.1:80';
const UDP = 'udp://192.0.2.1:53';
const RS = '10.0.0.1:80';

let ipvs: Ipvs;
let kernel: FakeKernel;
let table: FakeIpvs;
let loaded: boolean;
const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

beforeEach(() => {
  loaded = true;
  vi.mocked(fs.existsSync).mockImplementation((path) => (path === '/proc/net/ip_vs' ? loaded : real.existsSync(path)));
  table = new FakeIpvs();
  kernel = new FakeKernel(table.peer);
  ipvs = new Ipvs(new NetlinkBackend({ native: kernel, namespacePath: '' }), logger);
});

afterEach(() => {
  vi.clearAllMocks();
});

/** Rejections and exceptions alike. */
async function refusal(action: () => unknown): Promise<IpvsError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(IpvsError);
    return error as IpvsError;
  }
  throw new Error('was accepted');
}

describe.runIf(hostIsLittleEndian)('services', () => {
  it('are added with their defaults, in whatever spelling, and read canonical', async () => {
    await ipvs.addService({ address: 'tcp://[2001:DB8:0::1]:80' });
    expect(await ipvs.service({ protocol: 'tcp', family: 'inet6', ip: '2001:db8:0:0::1', port: 80 })).toEqual({
      address: 'tcp://[2001:db8::1]:80',
      scheduler: 'wlc',
      schedulerFlags: [],
      persistence: null,
      onePacket: false,
      destinations: [],
    });
  });

  it('that are not there are SERVICE_NOT_FOUND', async () => {
    for (const action of [
      () => ipvs.service(TCP),
      () => ipvs.destinations(TCP),
      () => ipvs.editService(TCP, {}),
      () => ipvs.removeService(TCP),
      () => ipvs.addDestination(TCP, { address: RS }),
      () => ipvs.editDestination(TCP, RS, {}),
      () => ipvs.removeDestination(TCP, RS),
    ]) {
      expect(await refusal(action)).toMatchObject({ code: 'SERVICE_NOT_FOUND' });
    }
  });

  it('are removed', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.removeService(TCP);
    expect(await ipvs.snapshot()).toEqual({ services: [] });
  });

  it('are flushed', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.flush();
    expect(table.services).toEqual([]);
  });

  it('with destinations make the snapshot', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.addService({ address: UDP });
    await ipvs.addDestination(TCP, { address: '10.0.0.1', weight: 3 });
    const { services } = await ipvs.snapshot({ statistics: true });
    expect(
      services.map(({ address, destinations }) => [address, destinations.map((d) => [d.address, d.weight])]),
    ).toEqual([
      [TCP, [[RS, 3]]],
      [UDP, []],
    ]);
    expect(services[0]?.statistics?.connections).toBe(1n);
    expect(services[0]?.destinations[0]?.statistics?.connections).toBe(1n);
  });

  it('that vanish while the snapshot is taken are not in it', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.addService({ address: UDP });
    table.intercept = (_, command) => {
      if (command === 8) table.services = table.services.filter(({ id }) => id.get(2)?.[0] !== 6);
      return undefined;
    };
    expect((await ipvs.snapshot()).services.map(({ address }) => address)).toEqual([UDP]);
  });
});

describe.runIf(hostIsLittleEndian)('an edit', () => {
  const first = {
    address: UDP,
    scheduler: 'sh',
    schedulerFlags: ['sh-port'],
    persistence: { timeoutSeconds: 60, netmask: 24, engine: 'sip' },
    onePacket: true,
  };

  beforeEach(() => ipvs.addService(first));

  it.each([
    ['nothing', {}, first],
    ['undefined', { scheduler: undefined, persistence: undefined, onePacket: undefined }, first],
    ['one-packet scheduling', { onePacket: false }, { ...first, onePacket: false }],
    ['the flags', { schedulerFlags: [] }, { ...first, schedulerFlags: [] }],
    ['the same scheduler', { scheduler: 'sh' }, first],
    ['the scheduler, whose flags go', { scheduler: 'mh' }, { ...first, scheduler: 'mh', schedulerFlags: [] }],
    [
      'the scheduler and its flags',
      { scheduler: 'mh', schedulerFlags: ['mh-port'] },
      { ...first, scheduler: 'mh', schedulerFlags: ['mh-port'] },
    ],
    [
      'a part of persistence',
      { persistence: { timeoutSeconds: 61 } },
      { ...first, persistence: { ...first.persistence, timeoutSeconds: 61 } },
    ],
    [
      'the engine away',
      { persistence: { engine: null } },
      { ...first, persistence: { ...first.persistence, engine: null } },
    ],
    ['persistence away', { persistence: null }, { ...first, persistence: null }],
  ])('of a service: %s', async (_, changes, expected) => {
    await ipvs.editService(UDP, changes);
    expect(await ipvs.service(UDP)).toEqual({ ...expected, destinations: [] });
  });

  it('gives persistence its defaults where there was none', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.editService(TCP, { persistence: { netmask: 16 } });
    expect((await ipvs.service(TCP)).persistence).toEqual({ timeoutSeconds: 300, netmask: 16, engine: null });
  });

  it('that makes no sense is refused before anything is done', async () => {
    expect(await refusal(() => ipvs.editService(UDP, { persistence: { netmask: 64 } }))).toMatchObject({
      code: 'INVALID_NETMASK',
    });
    expect(await refusal(() => ipvs.editService(UDP, { schedulr: 'rr' } as object))).toMatchObject({
      code: 'INVALID_OPTION',
      path: ['schedulr'],
    });
    expect(await ipvs.service(UDP)).toEqual({ ...first, destinations: [] });
  });

  it('of persistence to what is no object is refused', async () => {
    expect(await refusal(() => ipvs.editService(UDP, { persistence: true as never }))).toMatchObject({
      code: 'INVALID_PERSISTENCE',
    });
  });

  const tunnel = { tunnel: 'gue', port: 6080, checksum: 'csum' } as const;

  it.each([
    [{}, {}],
    [{ weight: 0 }, { weight: 0 }],
    [{ weight: undefined }, {}],
    [{ forward: 'masquerade' }, { forward: 'masquerade' }],
    [{ forward: { tunnel: 'gre' } }, { forward: { tunnel: 'gre', port: 0, checksum: 'nocsum' } }],
    [
      { upperThreshold: 20, lowerThreshold: 11 },
      { upperThreshold: 20, lowerThreshold: 11 },
    ],
  ])('of a destination: %j', async (changes, expected) => {
    const made = { address: '10.0.0.1:53', forward: tunnel, weight: 5, upperThreshold: 10, lowerThreshold: 5 };
    await ipvs.addDestination(UDP, made);
    await ipvs.editDestination(UDP, '10.0.0.1', changes);
    expect(await ipvs.destinations(UDP)).toMatchObject([{ ...made, ...expected }]);
  });

  it.each<[string, Forward]>([
    ['10.0.0.1:8080', 'direct'],
    ['10.0.0.1:53', 'unknown-5'],
    ['10.0.0.1:53', { tunnel: 'unknown-9', port: 7, checksum: 'csum' }],
  ])('of a destination that other programs make, and this one refuses to: %s by %j', async (address, forward) => {
    const destination = { address, forward, weight: 5, upperThreshold: 10, lowerThreshold: 5 };
    const backend = new NetlinkBackend({ native: kernel, namespacePath: '' });
    await backend.execute([{ type: 'destination.add', service: UDP, destination }]);
    await ipvs.editDestination(UDP, address, { weight: 0 });
    expect(await ipvs.destinations(UDP)).toMatchObject([{ ...destination, weight: 0 }]);
  });

  it('of a destination that is not there is DESTINATION_NOT_FOUND', async () => {
    expect(await refusal(() => ipvs.editDestination(UDP, '10.0.0.9', { weight: 1 }))).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
      subject: '10.0.0.9:53 of udp://192.0.2.1:53',
    });
  });

  it('of one threshold is checked against the other', async () => {
    await ipvs.addDestination(UDP, { address: '10.0.0.1', upperThreshold: 10, lowerThreshold: 5 });
    expect(await refusal(() => ipvs.editDestination(UDP, '10.0.0.1', { upperThreshold: 4 }))).toMatchObject({
      code: 'INVALID_THRESHOLD',
    });
  });
});

describe.runIf(hostIsLittleEndian)('destinations', () => {
  beforeEach(() => ipvs.addService({ address: TCP }));

  it("take the service's port", async () => {
    await ipvs.addDestination(TCP, { address: '10.0.0.1' });
    expect((await ipvs.destinations(TCP)).map(({ address }) => address)).toEqual([RS]);
    await ipvs.removeDestination(TCP, '10.0.0.1');
    expect(await ipvs.destinations(TCP)).toEqual([]);
  });

  it('come newest first', async () => {
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) await ipvs.addDestination(TCP, { address });
    expect((await ipvs.destinations(TCP)).map(({ address }) => address)).toEqual([
      '10.0.0.3:80',
      '10.0.0.2:80',
      '10.0.0.1:80',
    ]);
  });

  it('that exist or do not are told apart', async () => {
    await ipvs.addDestination(TCP, { address: RS });
    expect(await refusal(() => ipvs.addDestination(TCP, { address: RS }))).toMatchObject({
      code: 'DESTINATION_EXISTS',
    });
    expect(await refusal(() => ipvs.removeDestination(TCP, '10.0.0.2'))).toMatchObject({
      code: 'DESTINATION_NOT_FOUND',
    });
  });
});

describe.runIf(hostIsLittleEndian)('execute', () => {
  const rr: VirtualService = {
    address: 'tcp://[2001:DB8::1]:80',
    scheduler: 'rr',
    schedulerFlags: [],
    persistence: null,
    onePacket: false,
  };
  const rs: Destination = {
    address: '2001:DB8::2',
    forward: 'masquerade',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
  };

  it('makes operations canonical and gives a result for each', async () => {
    const results = await ipvs.execute([
      { type: 'service.add', service: rr },
      { type: 'destination.add', service: rr.address, destination: rs },
      { type: 'destination.edit', service: rr.address, destination: { ...rs, weight: 2 } },
      { type: 'destination.delete', service: rr.address, destination: '2001:db8::2' },
      { type: 'service.edit', service: rr },
      { type: 'service.delete', service: rr.address },
      { type: 'flush' },
    ]);
    expect(results).toHaveLength(7);
    expect(results.every(({ error }) => error === undefined)).toBe(true);
    expect(results[1]?.operation).toEqual({
      type: 'destination.add',
      service: 'tcp://[2001:db8::1]:80',
      destination: { ...rs, address: '[2001:db8::2]:80' },
    });
    expect(results[3]?.operation).toMatchObject({ destination: '[2001:db8::2]:80' });
  });

  it.each<[string, unknown, string]>([
    ['an invalid service', { type: 'service.add', service: { ...rr, address: 'tcp://nowhere:1' } }, 'INVALID_ADDRESS'],
    ['an invalid key', { type: 'service.delete', service: 'fwmark:0' }, 'INVALID_FWMARK'],
    [
      'an invalid destination',
      { type: 'destination.add', service: rr.address, destination: { ...rs, weight: -1 } },
      'INVALID_WEIGHT',
    ],
    ['mixed families', { type: 'destination.edit', service: TCP, destination: rs }, 'MIXED_FAMILIES'],
    ['an unknown type', { type: 'service.rename' }, 'INVALID_OPTION'],
  ])('does nothing at all if one is invalid: %s', async (_, invalid, code) => {
    const error = await refusal(() => ipvs.execute([{ type: 'service.add', service: rr }, invalid as Operation]));
    expect(error.code).toBe(code);
    expect(kernel.requests).toEqual([]);
  });

  it('a refusal is a result, not an exception', async () => {
    const results = await ipvs.execute([
      { type: 'service.delete', service: TCP },
      { type: 'service.add', service: rr },
    ]);
    expect(results.map(({ error }) => error?.code)).toEqual(['SERVICE_NOT_FOUND', undefined]);
  });
});

describe.runIf(hostIsLittleEndian)('refusals', () => {
  const calls: [string, () => unknown][] = [
    ['service', () => ipvs.service('nowhere')],
    ['destinations', () => ipvs.destinations('nowhere')],
    ['execute', () => ipvs.execute([{ type: 'service.delete', service: 'nowhere' }])],
    ['addService', () => ipvs.addService({ address: 'nowhere' })],
    ['editService', () => ipvs.editService('nowhere', {})],
    ['removeService', () => ipvs.removeService('nowhere')],
    ['addDestination', () => ipvs.addDestination('nowhere', { address: RS })],
    ['addDestination, its address', () => ipvs.addDestination(TCP, { address: 'nowhere' })],
    ['editDestination', () => ipvs.editDestination(TCP, 'nowhere', {})],
    ['removeDestination', () => ipvs.removeDestination(TCP, 'nowhere')],
  ];

  it.each(calls)('of malformed addresses reach no kernel: %s', async (_, call) => {
    expect((await refusal(call)).code).toBe('INVALID_ADDRESS');
    expect(kernel.requests).toEqual([]);
  });

  function rejects(call: () => unknown): void {
    const promise = call() as Promise<unknown>; // must not throw
    promise.catch(() => {});
  }

  it.each(calls)('are rejections, never exceptions: %s', (_, call) => rejects(call));
});

describe('calls', () => {
  /** A backend that takes its time and writes down what overlaps. */
  function slow() {
    const log: string[] = [];
    let running = 0;
    const call = async <T>(name: string, value: T): Promise<T> => {
      expect(++running).toBe(1);
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 2));
      log.push(`${name} ends`);
      running--;
      return value;
    };
    const backend: Backend = {
      transport: 'netlink',
      showsAll: true,
      view: new KernelFiles({ native: kernel, namespacePath: '' }),
      info: () => call('info', { version: '1.2.1', connectionTableSize: 1 }),
      services: () => call('services', []),
      service: () => call('service', undefined),
      destinations: () => call('destinations', []),
      snapshot: () => call('snapshot', []),
      timeouts: () => call('timeouts', { tcpSeconds: 1, tcpFinSeconds: 1, udpSeconds: 1 }),
      syncDaemons: () => call('sync daemons', []),
      moduleRefusal: () => call('module refusal', undefined),
      execute: (operations) =>
        call(
          'execute',
          operations.map((operation) => ({ operation })),
        ),
      close: () => void log.push('close'),
    };
    return { log, of: new Ipvs(backend) };
  }

  it('are carried out one after the other, in their order', async () => {
    const { log, of } = slow();
    await Promise.all([of.info(), of.addService({ address: TCP }), of.snapshot(), of.flush(), of.close()]);
    expect(log).toEqual([
      'info begins',
      'info ends',
      'execute begins',
      'execute ends',
      'snapshot begins',
      'snapshot ends',
      'execute begins',
      'execute ends',
      'close',
    ]);
  });

  it('do not wait for ever behind one that failed', async () => {
    const { of } = slow();
    const failed = of.service(TCP);
    const next = of.info();
    await expect(failed).rejects.toMatchObject({ code: 'SERVICE_NOT_FOUND' });
    await expect(next).resolves.toMatchObject({ version: '1.2.1' });
  });

  it('that read and change are one: an edit is not torn by another call', async () => {
    await ipvs.addService({ address: TCP });
    await Promise.all([
      ipvs.editService(TCP, { scheduler: 'rr' }),
      ipvs.editService(TCP, { persistence: {} }),
      ipvs.editService(TCP, { persistence: { timeoutSeconds: 5 } }),
    ]);
    expect(await ipvs.service(TCP)).toMatchObject({
      scheduler: 'rr',
      persistence: { timeoutSeconds: 5, netmask: 32 },
    });
  });
});

describe.runIf(hostIsLittleEndian)('reading without the module', () => {
  it('is IPVS_NOT_LOADED and asks the kernel nothing, for asking would load it', async () => {
    loaded = false;
    for (const action of [
      () => ipvs.info(),
      () => ipvs.snapshot(),
      () => ipvs.service(TCP),
      () => ipvs.destinations(TCP),
    ]) {
      expect((await refusal(action)).code).toBe('IPVS_NOT_LOADED');
    }
    expect(kernel.requests).toEqual([]);
  });

  it('changing makes the kernel load it', async () => {
    loaded = false;
    await ipvs.addService({ address: TCP });
    expect(table.services).toHaveLength(1);
  });
});

describe.runIf(hostIsLittleEndian)('close', () => {
  it('closes the sockets; more calls are CLOSED, more closing is nothing', async () => {
    await ipvs.close();
    await ipvs.close();
    expect(kernel.sockets.map((s) => s.open)).toEqual([false, false]);
    expect((await refusal(() => ipvs.info())).code).toBe('CLOSED');
    expect((await refusal(() => ipvs.addService({ address: TCP }))).code).toBe('CLOSED');
  });

  it('waits for the calls before it', async () => {
    const added = ipvs.addService({ address: TCP });
    const closed = ipvs.close();
    await expect(added).resolves.toBeUndefined();
    await closed;
  });

  it('happens at the end of "await using"', async () => {
    {
      await using scoped = ipvs;
      await scoped.addService({ address: TCP });
    }
    expect(kernel.sockets.every((s) => !s.open)).toBe(true);
  });
});

describe.runIf(hostIsLittleEndian)('the logger', () => {
  it('hears of every change, and of nothing that was only read', async () => {
    await ipvs.addService({ address: TCP });
    await ipvs.snapshot();
    expect(logger.info.mock.calls).toEqual([[{ operation: 'service.add', subject: TCP }, `add service ${TCP}`]]);
    expect(logger.warn).not.toHaveBeenCalled();
  });

  it('hears of every refusal', async () => {
    await refusal(() => ipvs.removeService(TCP));
    await ipvs.execute([{ type: 'service.delete', service: TCP }]);
    const details = { operation: 'service.delete', subject: TCP, code: 'SERVICE_NOT_FOUND', errno: 3 };
    const call = [details, `delete service ${TCP}: there is no such service (ESRCH)`];
    expect(logger.warn.mock.calls).toEqual([call, call]);
  });

  it('may be absent', async () => {
    const quiet = new Ipvs(new NetlinkBackend({ native: kernel, namespacePath: '' }));
    await quiet.addService({ address: TCP });
    expect(table.services).toHaveLength(1);
  });
});

describe('openIpvs', () => {
  it.each([
    ['an unknown option', { netsn: 'blue' }, 'INVALID_OPTION'],
    ['null', null, 'INVALID_OPTION'],
    ['a malformed name', { netns: '../x' }, 'INVALID_OPTION'],
    ['a namespace that is not there', { netns: 'no-such-namespace-at-all' }, 'NAMESPACE_NOT_FOUND'],
  ])('refuses %s', async (_, options, code) => {
    expect((await refusal(() => openIpvs(options as object))).code).toBe(code);
  });
});

describe('namespacePath', () => {
  it.each([
    ['blue', '/run/netns/blue'],
    ['..blue', '/run/netns/..blue'],
    ['/proc/1/ns/net', '/proc/1/ns/net'],
  ])('%s is %s', (name, path) => expect(namespacePath(name)).toBe(path));

  it.each(['', '.', '..', 'a/b', '../x', 'a\0b', '/run\0', 5, null, {}, []])('refuses %j', (name) => {
    expect(() => namespacePath(name as string)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});
