/** The corners of the kernel's interface that no other file visits, by both ways into it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Forward, TunnelInput } from '../../src/ipvs/destination.ts';
import { type Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { native } from '../../src/kernel/native.ts';
import { ipvsadm } from '../helpers/ipvsadm.ts';
import { schedulers } from '../helpers/kernel-arbitraries.ts';
import { codes, done, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('surface');
const WEB = 'tcp://192.0.2.1:80';

let sockopt: Ipvs;
beforeAll(async () => {
  sockopt = await openIpvs({ netns: table.namespace.name, transport: 'sockopt' });
  const { namespace } = table;
  namespace.run('ip', ['link', 'add', 'wire0', 'type', 'dummy']);
  namespace.run('ip', ['link', 'set', 'wire0', 'up', 'multicast', 'on']);
  namespace.run('ip', ['address', 'add', '192.0.2.254/24', 'dev', 'wire0']);
  namespace.run('ip', ['address', 'add', '2001:db8::fe/64', 'dev', 'wire0', 'nodad']);
});
afterAll(() => sockopt.close());

/** Carries them out as they are, past the checks of the nouns. */
async function asTheyAre(...operations: Operation[]): Promise<void> {
  const backend = new NetlinkBackend({ native: native(), namespacePath: `/run/netns/${table.namespace.name}` });
  try {
    expect(codes(await backend.execute(operations))).toEqual(operations.map(() => undefined));
  } finally {
    backend.close();
  }
}

describe('sync daemons with all that they can be told', () => {
  it.each([
    ['224.0.0.99', 1400, 9000, 4],
    ['ff02::81', 1300, 65535, 255],
    ['ff05::1:81', 1024, 1, 1],
  ])('on %s', async (group, maxLengthBytes, port, ttl) => {
    const { ipvs, namespace } = table;
    const settings = { interface: 'wire0', id: 255, maxLengthBytes, group, port, ttl };
    for (const state of ['master', 'backup'] as const) {
      await ipvs.startSyncDaemon({ state, ...settings });
      try {
        expect(await ipvs.syncDaemons()).toEqual([{ state, ...settings }]);
        // ipvsadm asks the kernel too.
        const shown = `mcast=wire0, syncid=255, maxlen=${maxLengthBytes}, group=${group}, port=${port}, ttl=${ttl}`;
        expect(ipvsadm(namespace, '--list', '--daemon')).toEqual([`${state} sync daemon (${shown})`]);
        // The socket options have no place for most of it.
        expect(await sockopt.syncDaemons()).toEqual([{ state, interface: 'wire0', id: 255 }]);
      } finally {
        await ipvs.stopSyncDaemon(state);
      }
    }
  });
});

describe('an edit keeps what it does not name', () => {
  it.each<[string, string, Forward]>([
    [WEB, '10.0.0.1:80', { tunnel: 'gue', port: 6080, checksum: 'remcsum' }],
    [WEB, '10.0.0.1:80', { tunnel: 'gre', port: 0, checksum: 'csum' }],
    [WEB, '[2001:db8::2]:80', { tunnel: 'gue', port: 6080, checksum: 'csum' }],
    [WEB, '[2001:db8::2]:80', 'tunnel'],
    ['tcp://[2001:db8::1]:80', '10.0.0.1:80', { tunnel: 'gre', port: 0, checksum: 'nocsum' }],
    // What other programs make, and this one refuses to.
    [WEB, '10.0.0.1:8080', 'direct'],
    [WEB, '10.0.0.1:8080', { tunnel: 'gue', port: 6080, checksum: 'nocsum' }],
    [WEB, '10.0.0.1:80', { tunnel: 'unknown-9', port: 7, checksum: 'unknown-300' }],
    [WEB, '10.0.0.1:80', { tunnel: 'ipip', port: 7, checksum: 'csum' }],
    [WEB, '10.0.0.1:80', 'unknown-5'],
  ])('of %s: destination %s by %j', async (service, address, forward) => {
    const { ipvs } = table;
    await ipvs.addService({ address: service });
    const destination = { address, forward, weight: 1, upperThreshold: 10, lowerThreshold: 5 };
    await asTheyAre({ type: 'destination.add', service, destination });
    expect(await ipvs.destinations(service)).toMatchObject([destination]);

    await ipvs.editDestination(service, address, { weight: 0 });
    expect(await ipvs.destinations(service)).toMatchObject([{ ...destination, weight: 0 }]);
    await ipvs.editDestination(service, address, { lowerThreshold: 0 });
    expect(await ipvs.destinations(service)).toMatchObject([{ ...destination, weight: 0, lowerThreshold: 0 }]);
    await ipvs.removeDestination(service, address);
  });

  it('of a tunnel the rest of it, while it is of the same type', async () => {
    const { ipvs } = table;
    await ipvs.addService({ address: WEB });
    await ipvs.addDestination(WEB, {
      address: '10.0.0.1',
      forward: { tunnel: 'gue', port: 6080, checksum: 'remcsum' },
    });
    const forwardAfter = async (forward: TunnelInput) => {
      await ipvs.editDestination(WEB, '10.0.0.1', { forward });
      return (await ipvs.destinations(WEB))[0]?.forward;
    };
    await ipvs.addDestination(WEB, { address: '10.0.0.2' });
    expect(await refusal(ipvs.editDestination(WEB, '10.0.0.2', { forward: { port: 6081 } }))).toMatchObject({
      code: 'INVALID_FORWARD',
      detail: 'it is not reached by tunnel',
    });
    await ipvs.removeDestination(WEB, '10.0.0.2');
    expect(await forwardAfter({ port: 6081 })).toEqual({ tunnel: 'gue', port: 6081, checksum: 'remcsum' });
    expect(await forwardAfter({ tunnel: 'gue', checksum: 'csum' })).toEqual({
      tunnel: 'gue',
      port: 6081,
      checksum: 'csum',
    });
    expect(await forwardAfter({ tunnel: 'gre' })).toEqual({ tunnel: 'gre', port: 0, checksum: 'nocsum' });
    expect(await forwardAfter({ checksum: 'csum' })).toEqual({ tunnel: 'gre', port: 0, checksum: 'csum' });
  });

  it.each(['direct', 'masquerade'])('by the socket options: %s', async (forward) => {
    const { ipvs } = table;
    await ipvs.addService({ address: WEB });
    const destination = { address: '10.0.0.1:8080', forward, weight: 1, upperThreshold: 10, lowerThreshold: 5 };
    await asTheyAre({ type: 'destination.add', service: WEB, destination } as Operation);
    await sockopt.editDestination(WEB, '10.0.0.1:8080', { weight: 7 });
    expect(await ipvs.destinations(WEB)).toMatchObject([{ ...destination, weight: 7 }]);
  });
});

describe('by the socket options as by netlink', () => {
  it.each(schedulers)('scheduler %s with each of its flags, persistent and one-packet', async (scheduler) => {
    const { schedulerFlags: all } = normalizeService({
      address: 'fwmark:1',
      scheduler,
      schedulerFlags: ['flag-1', 'flag-2', 'flag-3'],
    });
    for (const schedulerFlags of [[], ...all.map((flag) => [flag]), all]) {
      const service = normalizeService({
        address: 'udp://192.0.2.1:53',
        scheduler,
        schedulerFlags,
        persistence: { timeoutSeconds: 4_294_967, netmask: '255.255.0.0' },
        onePacket: true,
      });
      await done(sockopt, [{ type: 'service.add', service }]);
      expect(await table.ipvs.service(service.address)).toEqual({ ...service, destinations: [] });
      expect(await sockopt.service(service.address)).toEqual({ ...service, destinations: [] });
      await sockopt.removeService(service.address);
    }
  });

  it('thresholds and weights to their limits', async () => {
    const most = 2 ** 31 - 1;
    await sockopt.addService({ address: WEB });
    const destination = { address: '10.0.0.1:80', weight: most, upperThreshold: most, lowerThreshold: most };
    await sockopt.addDestination(WEB, destination);
    expect(await table.ipvs.destinations(WEB)).toMatchObject([destination]);
    expect(await sockopt.destinations(WEB)).toEqual(await table.ipvs.destinations(WEB));
  });

  it('each timeout alone', async () => {
    let expected = await table.ipvs.timeouts();
    for (const [name, seconds] of [
      ['tcpSeconds', 11],
      ['tcpFinSeconds', 12],
      ['udpSeconds', 13],
    ] as const) {
      await sockopt.setTimeouts({ [name]: seconds });
      expected = { ...expected, [name]: seconds };
      expect(await table.ipvs.timeouts()).toEqual(expected);
      expect(await sockopt.timeouts()).toEqual(expected);
    }
  });

  it('counters of one service, or of all, are set to zero', async () => {
    const [first, second] = ['udp://127.0.0.1:5401', 'udp://127.0.0.1:5402'];
    for (const service of [first, second]) {
      await sockopt.addService({ address: service, scheduler: 'rr' });
      await sockopt.addDestination(service, { address: '127.0.0.2:53' });
      table.namespace.run('bash', ['-c', 'echo x >"/dev/udp/127.0.0.1/$0"', service.slice(-4)]);
    }
    const packets = async () => {
      const { services } = await sockopt.snapshot({ statistics: true });
      const counted = (address: string) => services.find((service) => service.address === address);
      return [first, second].map((address) => [
        counted(address)?.statistics?.packetsIn,
        counted(address)?.destinations[0]?.statistics?.packetsIn,
      ]);
    };
    // The kernel publishes its counters every two seconds.
    await expect.poll(packets, { timeout: 60_000, interval: 100 }).toEqual([
      [1n, 1n],
      [1n, 1n],
    ]);
    await sockopt.zero(first);
    expect(await packets()).toEqual([
      [0n, 0n],
      [1n, 1n],
    ]);
    await sockopt.zero();
    expect(await packets()).toEqual([
      [0n, 0n],
      [0n, 0n],
    ]);
  });
});
