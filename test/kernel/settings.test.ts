/** Timeouts, sync daemons and zeroing, on a real kernel. */
import { describe, expect, it } from 'vitest';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';

describe('timeouts', () => {
  const table = kernelTable('timeouts');

  it('are what the kernel begins with; what is not named stays', async () => {
    const { ipvs } = table;
    expect(await ipvs.timeouts()).toEqual({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 });
    await ipvs.setTimeouts({ tcpFinSeconds: 60 });
    expect(await ipvs.timeouts()).toEqual({ tcpSeconds: 900, tcpFinSeconds: 60, udpSeconds: 300 });
    await ipvs.setTimeouts({ tcpSeconds: 1, tcpFinSeconds: 2, udpSeconds: 2_147_483 });
    expect(await ipvs.timeouts()).toEqual({ tcpSeconds: 1, tcpFinSeconds: 2, udpSeconds: 2_147_483 });
  });

  it('ipvsadm reads what we set, and we read what it set', async () => {
    const { ipvs, namespace } = table;
    await ipvs.setTimeouts({ tcpSeconds: 1800, tcpFinSeconds: 30, udpSeconds: 45 });
    expect(namespace.run('ipvsadm', ['-l', '--timeout'])).toContain('1800 30 45');
    namespace.run('ipvsadm', ['--set', '7', '8', '9']);
    expect(await ipvs.timeouts()).toEqual({ tcpSeconds: 7, tcpFinSeconds: 8, udpSeconds: 9 });
  });

  it.each([0, -1, 1.5, 2_147_484, '5', Number.NaN])('refuses %j', async (udpSeconds) => {
    const before = await table.ipvs.timeouts();
    const error = await refusal(table.ipvs.setTimeouts({ udpSeconds: udpSeconds as number }));
    expect(error).toMatchObject({ code: 'INVALID_DURATION', path: ['udpSeconds'] });
    expect(await table.ipvs.timeouts()).toEqual(before);
  });

  it('refuses to set nothing, and what does not exist', async () => {
    expect(await refusal(table.ipvs.setTimeouts({}))).toMatchObject({ code: 'INVALID_OPTION' });
    expect(await refusal(table.ipvs.setTimeouts({ tcp: 1 } as object))).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('sync daemons', () => {
  const table = kernelTable('sync');

  it('one master and one backup run, and say how', async () => {
    const { ipvs, namespace } = table;
    namespace.run('ip', ['link', 'add', 'wire0', 'type', 'dummy']);
    namespace.run('ip', ['address', 'add', '192.0.2.1/24', 'dev', 'wire0']);
    namespace.run('ip', ['link', 'set', 'wire0', 'up', 'multicast', 'on']);
    expect(await ipvs.syncDaemons()).toEqual([]);

    await ipvs.startSyncDaemon({ state: 'master', interface: 'wire0', id: 255 });
    const master = { state: 'master', interface: 'wire0', id: 255, port: 8848, ttl: 1, group: '224.0.0.81' };
    expect(await ipvs.syncDaemons()).toEqual([{ ...master, maxLengthBytes: 1472 }]);

    const settings = { id: 3, maxLengthBytes: 1400, group: '224.0.0.99', port: 9000, ttl: 4 };
    await ipvs.startSyncDaemon({ state: 'backup', interface: 'wire0', ...settings });
    expect(await ipvs.syncDaemons()).toContainEqual({ state: 'backup', interface: 'wire0', ...settings });
    expect(namespace.run('ipvsadm', ['-l', '--daemon'])).toMatch(
      /master sync daemon.*syncid=255.*backup sync daemon.*syncid=3/s,
    );

    const again = await refusal(ipvs.startSyncDaemon({ state: 'master', interface: 'wire0' }));
    expect(again).toMatchObject({ code: 'SYNC_EXISTS', errnoName: 'EEXIST', subject: 'master on wire0' });

    await ipvs.stopSyncDaemon('master');
    await ipvs.stopSyncDaemon('backup');
    expect(await ipvs.syncDaemons()).toEqual([]);
    const gone = await refusal(ipvs.stopSyncDaemon('backup'));
    expect(gone).toMatchObject({ code: 'SYNC_NOT_FOUND', errnoName: 'ESRCH' });
  });

  it('ipvsadm starts one that we read and stop', async () => {
    const { ipvs, namespace } = table;
    namespace.run('ipvsadm', ['--start-daemon', 'backup', '--mcast-interface', 'lo', '--syncid', '9']);
    expect(await ipvs.syncDaemons()).toMatchObject([{ state: 'backup', interface: 'lo', id: 9 }]);
    await ipvs.stopSyncDaemon('backup');
  });

  it('an interface that does not exist is refused', async () => {
    const error = await refusal(table.ipvs.startSyncDaemon({ state: 'master', interface: 'nowhere0' }));
    expect(error).toMatchObject({ code: 'INTERFACE_NOT_FOUND', errnoName: 'ENODEV', detail: '"nowhere0"' });
  });

  it('none starts while families are mixed, and none are mixed while one runs', async () => {
    const { ipvs } = table;
    const service = 'tcp://192.0.2.10:80';
    await ipvs.addService({ address: service });
    await ipvs.addDestination(service, { address: '[2001:db8::1]:80', forward: 'tunnel' });
    const start = { state: 'backup', interface: 'lo' };
    expect(await refusal(ipvs.startSyncDaemon(start))).toMatchObject({ code: 'SYNC_MIXED', errnoName: 'EINVAL' });

    await ipvs.removeDestination(service, '[2001:db8::1]:80');
    await ipvs.startSyncDaemon(start);
    const mixed = ipvs.addDestination(service, { address: '[2001:db8::2]:80', forward: 'tunnel' });
    expect(await refusal(mixed)).toMatchObject({ code: 'SYNC_MIXED', errnoName: 'EINVAL' });
    await ipvs.stopSyncDaemon('backup');
  });

  it.each([
    [{ state: 'slave', interface: 'lo' }, ['state']],
    [{ state: 'master', interface: '' }, ['interface']],
    [{ state: 'master', interface: 'sixteen-letters0' }, ['interface']],
    [{ state: 'master', interface: 'a b' }, ['interface']],
    [{ state: 'master', interface: 'lo', id: 256 }, ['id']],
    [{ state: 'master', interface: 'lo', group: '192.0.2.1' }, ['group']],
    [{ state: 'master', interface: 'lo', port: 0 }, ['port']],
    [{ state: 'master', interface: 'lo', ttl: 256 }, ['ttl']],
    [{ state: 'master', interface: 'lo', maxLengthBytes: 70_000 }, ['maxLengthBytes']],
  ])('refuses %j', async (input, path) => {
    expect(await refusal(table.ipvs.startSyncDaemon(input))).toMatchObject({ code: 'INVALID_SYNC', path });
    expect(await table.ipvs.syncDaemons()).toEqual([]);
  });
});

describe('zero', () => {
  const table = kernelTable('zero');
  const first = 'udp://127.0.0.1:5301';
  const second = 'udp://127.0.0.1:5302';

  async function packets(service: string): Promise<number> {
    const { statistics, destinations } = await table.ipvs.service(service, { statistics: true });
    const counters = [statistics, ...destinations.map((destination) => destination.statistics)];
    return counters.reduce((sum, s) => sum + Number(s?.packetsIn), 0);
  }

  it('sets the counters of one service, or of all, to zero', async () => {
    const { ipvs, namespace } = table;
    for (const service of [first, second]) {
      await ipvs.addService({ address: service, scheduler: 'rr' });
      await ipvs.addDestination(service, { address: '127.0.0.2:53' });
      namespace.run('bash', ['-c', 'echo x >"/dev/udp/127.0.0.1/$0"', service.slice(-4)]);
    }
    // The kernel publishes its counters every two seconds.
    await expect.poll(() => packets(first), { timeout: 60_000, interval: 100 }).toBe(2);
    await expect.poll(() => packets(second), { timeout: 60_000, interval: 100 }).toBe(2);

    await ipvs.zero(first);
    expect([await packets(first), await packets(second)]).toEqual([0, 2]);
    await ipvs.zero();
    expect(await packets(second)).toBe(0);
  });

  it('of a service that is not there is refused', async () => {
    const error = await refusal(table.ipvs.zero('tcp://192.0.2.99:80'));
    expect(error).toMatchObject({ code: 'SERVICE_NOT_FOUND', subject: 'tcp://192.0.2.99:80' });
  });
});
