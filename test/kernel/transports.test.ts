/** The socket options as a way into the kernel, held against netlink and ipvsadm. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ipvs, openIpvs } from '../../src/ipvs/ipvs.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { native } from '../../src/kernel/native.ts';
import { built, command } from '../helpers/cli.ts';
import { services } from '../helpers/kernel-arbitraries.ts';
import { codes, configured, done, kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('transports');
const WEB = 'tcp://192.0.2.1:80';

let sockopt: Ipvs;
beforeAll(async () => {
  sockopt = await openIpvs({ netns: table.namespace.name, transport: 'sockopt' });
});
afterAll(() => sockopt.close());

/** Both ways show the same, counters included. */
async function expectSameTable(): Promise<void> {
  const [ours, theirs] = [await sockopt.snapshot(), await table.ipvs.snapshot()];
  const byAddress = (a: { address: string }, b: { address: string }) => (a.address < b.address ? -1 : 1);
  expect(ours.services.toSorted(byAddress)).toEqual(theirs.services.toSorted(byAddress));
}

describe('by the socket options', () => {
  it('every verb does what it does by netlink', async () => {
    await sockopt.addService({ address: WEB, scheduler: 'wrr', persistence: { timeoutSeconds: 360, netmask: 24 } });
    await sockopt.addService({ address: 'udp://192.0.2.1:53', scheduler: 'sh', schedulerFlags: ['sh-port'] });
    await sockopt.addService({ address: 'sctp://192.0.2.1:3868', scheduler: 'rr' });
    await sockopt.addService({ address: 'fwmark:7', scheduler: 'rr', onePacket: true });
    await sockopt.addDestination(WEB, {
      address: '10.0.0.11:8080',
      weight: 3,
      upperThreshold: 100,
      lowerThreshold: 50,
    });
    await sockopt.addDestination(WEB, { address: '10.0.0.12', forward: 'direct', weight: 0 });
    await sockopt.addDestination(WEB, { address: '10.0.0.13', forward: 'tunnel' });
    await sockopt.addDestination('fwmark:7', { address: '10.0.0.14:0' });
    await expectSameTable();
    expect(table.namespace.run('ipvsadm', ['-Sn']).split('\n')).toEqual(
      expect.arrayContaining([
        '-A -t 192.0.2.1:80 -s wrr -p 360 -M 255.255.255.0',
        // It leaves out the thresholds.
        '-a -t 192.0.2.1:80 -r 10.0.0.11:8080 -m -w 3',
        expect.stringMatching(/^-a -t 192.0.2.1:80 -r 10.0.0.13:80 -i -w 1/),
        '-a -f 7 -r 10.0.0.14:0 -m -w 1',
      ]),
    );

    await sockopt.editService(WEB, { scheduler: 'wlc', persistence: null });
    await sockopt.editDestination(WEB, '10.0.0.11:8080', { weight: 9 });
    await sockopt.editService('fwmark:7', { scheduler: 'wrr' });
    await sockopt.removeDestination(WEB, '10.0.0.12');
    await expectSameTable();
    expect(await sockopt.service(WEB)).toMatchObject({
      scheduler: 'wlc',
      persistence: null,
      destinations: [{ address: '10.0.0.13:80' }, { address: '10.0.0.11:8080', weight: 9, upperThreshold: 100 }],
    });

    await sockopt.removeService('fwmark:7');
    await sockopt.zero(WEB);
    await sockopt.zero();
    expect((await table.ipvs.snapshot()).services).toHaveLength(3);
    await sockopt.flush();
    expect(await table.ipvs.snapshot()).toEqual({ services: [] });
  });

  it('timeouts, sync daemons and info', async () => {
    await sockopt.setTimeouts({ udpSeconds: 45 });
    expect(await sockopt.timeouts()).toEqual({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 45 });
    expect(await table.ipvs.timeouts()).toEqual(await sockopt.timeouts());

    await sockopt.startSyncDaemon({ state: 'backup', interface: 'lo', id: 5 });
    expect(await sockopt.syncDaemons()).toEqual([{ state: 'backup', interface: 'lo', id: 5 }]);
    expect(await table.ipvs.syncDaemons()).toMatchObject([{ state: 'backup', interface: 'lo', id: 5 }]);
    expect(await refusal(sockopt.startSyncDaemon({ state: 'backup', interface: 'lo' }))).toMatchObject({
      code: 'SYNC_EXISTS',
    });
    await sockopt.stopSyncDaemon('backup');
    expect(await refusal(sockopt.stopSyncDaemon('backup'))).toMatchObject({ code: 'SYNC_NOT_FOUND' });
    expect(await refusal(sockopt.startSyncDaemon({ state: 'master', interface: 'nowhere0' }))).toMatchObject({
      code: 'INTERFACE_NOT_FOUND',
    });
    const text = expect.stringMatching(/^IP Virtual Server version \d+\.\d+\.\d+ \(size=\d+\)$/);
    expect(await sockopt.info()).toEqual({ ...(await table.ipvs.info()), text });
  });

  it('any service that they can express is the same by both ways', async () => {
    const expressible = services.filter(({ address, persistence }) => {
      const text = String(address);
      return !text.includes('[') && !text.includes('inet6') && !persistence?.engine;
    });
    await fc.assert(
      fc.asyncProperty(expressible, expressible, async (input, other) => {
        await table.ipvs.flush();
        await sockopt.addService(input);
        const expected = { ...normalizeService(input), destinations: [] };
        expect(await sockopt.service(input.address)).toEqual(expected);
        expect(await table.ipvs.service(input.address)).toEqual(expected);

        const edited = normalizeService({ ...other, address: input.address, onePacket: false });
        await done(sockopt, [{ type: 'service.edit', service: edited }]);
        expect(await sockopt.service(input.address)).toEqual({ ...edited, destinations: [] });
      }),
      { numRuns: 60 },
    );
  });

  it('a marked service that was made with another protocol is found all the same', async () => {
    // struct ip_vs_service_user, as a program of another time would fill it in: udp, mark 9, rr.
    const bytes = new Uint8Array(44);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 17, true);
    view.setUint32(12, 9, true);
    bytes.set([0x72, 0x72], 16);
    const addon = native();
    const fd = addon.openDatagram(`/run/netns/${table.namespace.name}`);
    expect(addon.setOption(fd, 0, 1154, bytes)).toBe(0);
    addon.close(fd);

    await sockopt.addDestination('fwmark:9', { address: '10.0.0.1:0' });
    await sockopt.editService('fwmark:9', { scheduler: 'wrr' });
    await expectSameTable();
    await sockopt.removeService('fwmark:9');
    expect((await sockopt.snapshot()).services).toEqual([]);
  });

  it('refusals are those of netlink', async () => {
    await sockopt.addService({ address: WEB });
    await sockopt.addDestination(WEB, { address: '10.0.0.1' });
    const none = 'tcp://192.0.2.9:80';
    const destination = {
      address: '10.0.0.1:80',
      forward: 'masquerade',
      weight: 1,
      upperThreshold: 0,
      lowerThreshold: 0,
    };
    const operations = [
      { type: 'service.add', service: normalizeService({ address: WEB }) },
      { type: 'service.edit', service: normalizeService({ address: none }) },
      { type: 'service.add', service: normalizeService({ address: none, scheduler: 'nosuch' }) },
      { type: 'service.delete', service: none },
      { type: 'service.delete', service: 'fwmark:99' },
      { type: 'zero', service: none },
      { type: 'destination.add', service: none, destination },
      { type: 'destination.add', service: WEB, destination },
      { type: 'destination.add', service: WEB, destination: { ...destination, address: '127.255.255.255:80' } },
      { type: 'destination.edit', service: WEB, destination: { ...destination, address: '10.0.0.2:80' } },
      { type: 'destination.delete', service: WEB, destination: '10.0.0.2:80' },
      { type: 'service.delete', service: WEB },
    ] as unknown as Operation[];
    const expected = [
      'SERVICE_EXISTS',
      'SERVICE_NOT_FOUND',
      'SCHEDULER_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'SERVICE_NOT_FOUND',
      'DESTINATION_EXISTS',
      'ADDRESS_NOT_USABLE',
      'DESTINATION_NOT_FOUND',
      'DESTINATION_NOT_FOUND',
      undefined,
    ];
    expect(codes(await sockopt.execute(operations.slice(0, -1)))).toEqual(expected.slice(0, -1));
    expect(codes(await table.ipvs.execute(operations))).toEqual(expected);
  });

  it.each<[string, (ipvs: Ipvs) => Promise<unknown>]>([
    ['a service of IPv6', (ipvs) => ipvs.addService({ address: 'tcp://[2001:db8::1]:80' })],
    ['a mark of IPv6', (ipvs) => ipvs.addService({ address: 'fwmark:7/inet6' })],
    ['reading a service of IPv6', (ipvs) => ipvs.service('tcp://[2001:db8::1]:80')],
    ['zeroing a service of IPv6', (ipvs) => ipvs.zero('tcp://[2001:db8::1]:80')],
    ['an engine', (ipvs) => ipvs.addService({ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip' } })],
    ['gue', (ipvs) => ipvs.addDestination(WEB, { address: '10.0.0.1', forward: { tunnel: 'gue', port: 6080 } })],
    ['a destination of IPv6', (ipvs) => ipvs.addDestination(WEB, { address: '[2001:db8::2]:80', forward: 'tunnel' })],
    ['settings of a daemon', (ipvs) => ipvs.startSyncDaemon({ state: 'backup', interface: 'lo', port: 9000 })],
  ])('%s is refused, and nothing is changed', async (_, attempt) => {
    await table.ipvs.addService({ address: WEB });
    expect(await refusal(attempt(sockopt))).toMatchObject({
      code: 'TRANSPORT_LACKS',
      hint: expect.stringContaining('netlink'),
    });
    expect(configured(await table.ipvs.snapshot())).toEqual([
      { ...normalizeService({ address: WEB }), destinations: [] },
    ]);
  });

  it('an edit that would lose what the options do not show is refused', async () => {
    const sip = 'udp://192.0.2.1:5060';
    await table.ipvs.addService({ address: sip, persistence: { engine: 'sip' } });
    const forward = { tunnel: 'gre', port: 0, checksum: 'csum' };
    await table.ipvs.addDestination(sip, { address: '10.0.0.1', forward });

    const lost = { code: 'TRANSPORT_LACKS', detail: expect.stringContaining('would be lost') };
    expect(await refusal(sockopt.editService(sip, { scheduler: 'rr' }))).toMatchObject(lost);
    expect(await refusal(sockopt.editDestination(sip, '10.0.0.1', { weight: 5 }))).toMatchObject(lost);
    expect(await table.ipvs.service(sip)).toMatchObject({
      persistence: { engine: 'sip' },
      destinations: [{ forward, weight: 1 }],
    });

    await sockopt.editDestination(sip, '10.0.0.1', { weight: 5, forward: 'tunnel' });
    await sockopt.editService(sip, { persistence: { engine: null } });
    expect(await table.ipvs.service(sip)).toMatchObject({
      persistence: { engine: null },
      destinations: [{ forward: 'tunnel', weight: 5 }],
    });
  });

  it('destinations of IPv6, which they leave out, are not passed over in silence', async () => {
    await table.ipvs.addService({ address: WEB });
    await table.ipvs.addDestination(WEB, { address: '10.0.0.1', forward: 'tunnel' });
    await table.ipvs.addDestination(WEB, { address: '[2001:db8::2]:80', forward: 'tunnel' });
    expect(await refusal(sockopt.snapshot())).toMatchObject({ code: 'TRANSPORT_LACKS', subject: WEB });
    expect(await refusal(sockopt.service(WEB))).toMatchObject({ code: 'TRANSPORT_LACKS' });
    expect((await table.ipvs.service(WEB)).destinations).toHaveLength(2);

    await table.ipvs.addService({ address: 'fwmark:9' });
    const { services } = await sockopt.snapshot({ partial: true });
    const part = { destinations: [{ address: '10.0.0.1:80' }], incomplete: 'the service has destinations of IPv6' };
    expect(services.find(({ address }) => address === WEB)).toMatchObject(part);
    expect(services.find(({ address }) => address === 'fwmark:9')).not.toHaveProperty('incomplete');
    for (const words of [['list'], ['list', WEB], ['list', '--stats']]) {
      const { status, stdout, stderr } = await table.namespace.ipvs([...words, '--transport', 'sockopt']);
      expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
      expect(stdout).toMatch(
        / {2}10\.0\.0\.1:80 .*\n {2}! not all destinations are shown: the service has destinations of IPv6$/m,
      );
      expect(stdout.includes('fwmark:9')).toBe(!words.includes(WEB));
    }
  });

  it('counters are those of netlink', async () => {
    const service = 'udp://127.0.0.1:5303';
    await sockopt.addService({ address: service, scheduler: 'rr' });
    await sockopt.addDestination(service, { address: '127.0.0.2:53' });
    table.namespace.run('bash', ['-c', 'echo hello >/dev/udp/127.0.0.1/5303']);
    const statistics = async (ipvs: Ipvs) => (await ipvs.service(service, { statistics: true })).statistics;
    // The kernel publishes them every two seconds.
    await expect.poll(() => statistics(sockopt), { timeout: 60_000, interval: 100 }).toMatchObject({ packetsIn: 1n });
    const { rates: _, ...counters } = (await statistics(table.ipvs)) ?? {};
    expect(await statistics(sockopt)).toMatchObject({ ...counters, bytesIn: 34n, connections: 1n });
  });
});

describe('counters of 64 bits', () => {
  it('are refused by the socket options where they are asked for, and are what netlink has', async () => {
    await table.ipvs.addService({ address: WEB });
    const options = { statistics: true, counterBits: 64 } as const;
    for (const read of [sockopt.snapshot(options), sockopt.service(WEB, options), sockopt.destinations(WEB, options)])
      expect(await refusal(read)).toMatchObject({ code: 'TRANSPORT_LACKS', detail: 'counters of 64 bits' });
    expect((await sockopt.snapshot({ counterBits: 64 })).services).toHaveLength(1);
    expect((await table.ipvs.snapshot(options)).services[0]?.statistics?.connections).toBe(0n);
    expect(await refusal(table.ipvs.snapshot({ counterBits: 16 as 32 }))).toMatchObject({ code: 'INVALID_OPTION' });
  });
});

describe('a snapshot by netlink takes the short cut only where it tells everything', () => {
  it('tunnels, IPv6, engines, mixed families and empty services', async () => {
    const { ipvs } = table;
    const six = 'tcp://[2001:db8::1]:80';
    await ipvs.addService({ address: WEB });
    await ipvs.addDestination(WEB, { address: '10.0.0.1', forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } });
    await ipvs.addDestination(WEB, { address: '[2001:db8::2]:80', forward: 'tunnel' });
    await ipvs.addService({ address: 'tcp://192.0.2.2:80' });
    await ipvs.addDestination('tcp://192.0.2.2:80', { address: '[2001:db8::3]:80', forward: 'tunnel' });
    await ipvs.addService({ address: six });
    await ipvs.addDestination(six, { address: '[2001:db8::4]:80', weight: 4 });
    await ipvs.addService({ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip' } });
    await ipvs.addService({ address: 'fwmark:7' });
    await ipvs.addDestination('fwmark:7', { address: '10.0.0.7:0', weight: 7 });

    const quick = await ipvs.snapshot();
    const thorough = await ipvs.snapshot({ statistics: true });
    expect(quick.services).toHaveLength(5);
    // Sorted: Linux 7 gives its table another size, and so another order, some time after services came.
    expect(configured(quick)).toEqual(configured(thorough));
  });

  it('and by netlink alone where the options are closed', async () => {
    const closed = { ...native(), openDatagram: () => -13 };
    const path = `/run/netns/${table.namespace.name}`;
    const ipvs = new Ipvs(new NetlinkBackend({ native: closed, namespacePath: path }));
    await ipvs.addService({ address: WEB });
    await ipvs.addDestination(WEB, { address: '10.0.0.1' });
    expect(await ipvs.snapshot()).toEqual(await table.ipvs.snapshot());
    await ipvs.close();
  });
});

describe('auto', () => {
  it('takes netlink where that is permitted, and has asked nothing before the first call', async () => {
    const ipvs = await openIpvs({ netns: table.namespace.name });
    expect(ipvs.transport).toBeUndefined();
    await ipvs.info();
    expect(ipvs.transport).toBe('netlink');
    await ipvs.close();
  });

  it('takes the socket options in a user namespace, says why once, and works', async () => {
    const program = `
      import { openIpvs } from ${JSON.stringify(built('index.js'))};
      const lines = [];
      const log = (level) => (details, message) => lines.push([level, details, message]);
      const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
      const ipvs = await openIpvs({ logger });
      await ipvs.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'rr' });
      await ipvs.addDestination('tcp://192.0.2.1:80', { address: '127.0.0.1' });
      const { services } = await ipvs.snapshot();
      console.log(JSON.stringify({ transport: ipvs.transport, services, warnings: lines.filter(([l]) => l === 'warn') }));
      await ipvs.totals();
      console.error(JSON.stringify(await ipvs.tableStatus() ?? 'not for this user'));
      await ipvs.close();
    `;
    const run = ['bash', '-c', 'ip link set lo up && exec "$@"', 'bash', process.execPath, '--input-type=module'];
    const { status, stdout, stderr } = await command(['unshare', '--user', '--map-root-user', '--net', ...run], {
      input: program,
    });
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringMatching(/^("not for this user"|\{.*\})\n$/),
    });
    expect(JSON.parse(stdout)).toMatchObject({
      transport: 'sockopt',
      services: [{ address: 'tcp://192.0.2.1:80', destinations: [{ address: '127.0.0.1:80' }] }],
      warnings: [['warn', { transport: 'sockopt', code: 'PERMISSION_DENIED', errno: 1 }, expect.any(String)]],
    });
  });

  it("keeps netlink's refusal where the options are refused too", async () => {
    const program = `
      import { openIpvs } from ${JSON.stringify(built('index.js'))};
      const ipvs = await openIpvs();
      const { code, message } = await ipvs.snapshot().catch((error) => error);
      console.log(JSON.stringify({ transport: ipvs.transport, code, message }));
      await ipvs.close();
    `;
    const powerless = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'];
    const run = ['ip', 'netns', 'exec', table.namespace.name, ...powerless, process.execPath, '--input-type=module'];
    const { stdout, stderr } = await command(run, { input: program });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      transport: 'netlink',
      code: 'PERMISSION_DENIED',
      message: 'read all services: not permitted (EPERM)',
    });
  });
});
