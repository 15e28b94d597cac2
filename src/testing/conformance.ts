/**
 * What every backend does alike, in cases that any test runner can run: plain functions that throw AssertionError. The
 * profile says whose kernel it is, so that each case knows what to expect; it has the schedulers rr and wlc at least.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { ErrorCode } from '../base/errors.ts';
import type { Backend } from '../ipvs/backend.ts';
import { type Destination, type DestinationInput, normalizeDestination } from '../ipvs/destination.ts';
import type { Profile } from '../ipvs/memory/profile.ts';
import { emptyTable } from '../ipvs/memory/table.ts';
import type { Operation } from '../ipvs/operation.ts';
import { normalizeService, type VirtualService, type VirtualServiceInput } from '../ipvs/service.ts';

export interface ConformanceCase {
  readonly name: string;
  /** Empties the table first: services, daemons, timeouts. Throws AssertionError. */
  run(backend: Backend): Promise<void>;
}

/** Those of the cases that this profile can show. */
export function conformanceCases(profile: Profile): ConformanceCase[] {
  return cases
    .filter(({ needs = permitted }) => needs(profile))
    .map(({ name, run }) => ({
      name,
      async run(backend) {
        await empty(backend);
        await run(backend, profile);
      },
    }));
}

interface Case {
  readonly name: string;
  /** Default: that of `permitted`. */
  readonly needs?: (profile: Profile) => boolean;
  readonly run: (backend: Backend, profile: Profile) => Promise<void>;
}

const permitted = ({ permitted }: Profile) => permitted;
const usable = ({ permitted, loopback }: Profile) => permitted && loopback;
const netlink = ({ permitted, transport }: Profile) => permitted && transport === 'netlink';
const sockopt = ({ permitted, transport }: Profile) => permitted && transport === 'sockopt';
const ipv6 = (profile: Profile) => netlink(profile) && profile.ipv6;
const engines = (profile: Profile) => netlink(profile) && profile.engines.includes('sip');

const WEB = 'tcp://192.0.2.1:80';
const DNS = 'udp://192.0.2.1:53';
const NONE = 'tcp://192.0.2.9:80';
const WEB6 = 'tcp://[2001:db8::1]:80';
/** No kernel has a module of this name. */
const UNKNOWN = 'fastest';

const cases: readonly Case[] = [
  {
    name: 'a service is read as it was added, by every read',
    async run(backend) {
      const service = { address: WEB, scheduler: 'rr', persistence: { timeoutSeconds: 360, netmask: 24 } };
      await done(backend, add(service));
      const expected = normalizeService(service);
      deepStrictEqual(await backend.service(WEB, {}), expected);
      deepStrictEqual(await backend.services({}), [expected]);
      deepStrictEqual(await backend.destinations(WEB, {}), []);
      deepStrictEqual(await backend.snapshot({}), [{ ...expected, destinations: [] }]);
    },
  },
  {
    name: 'what is not there is read as nothing',
    async run(backend) {
      strictEqual(await backend.service(NONE, {}), undefined);
      deepStrictEqual(await backend.destinations(NONE, {}), []);
      deepStrictEqual(await backend.snapshot({}), []);
    },
  },
  {
    name: 'services differ by protocol, address, port and mark',
    async run(backend) {
      const addresses = [
        WEB,
        'udp://192.0.2.1:80',
        'tcp://192.0.2.1:81',
        'tcp://192.0.2.2:80',
        'fwmark:80',
        'fwmark:81',
      ];
      await done(backend, ...addresses.map((address) => add({ address })));
      const read = (await backend.services({})).map(({ address }) => address);
      deepStrictEqual(read.sort(), addresses.sort());
      await done(backend, { type: 'service.delete', service: 'fwmark:80' }, { type: 'service.delete', service: WEB });
      strictEqual((await backend.services({})).length, addresses.length - 2);
    },
  },
  {
    name: 'a service that is there is not added again, whatever else is wrong',
    async run(backend) {
      await done(backend, add({ address: WEB, scheduler: 'rr' }));
      await refused(backend, add({ address: WEB, scheduler: UNKNOWN }), 'SERVICE_EXISTS', 'EEXIST');
      strictEqual((await backend.service(WEB, {}))?.scheduler, 'rr');
    },
  },
  {
    name: 'a service that is not there is neither edited, deleted, zeroed, nor given destinations, whatever else is wrong',
    async run(backend) {
      const odd = { ...destination('10.0.0.1:80', NONE), weight: -1 };
      const operations: Operation[] = [
        { type: 'service.edit', service: normalizeService({ address: NONE, scheduler: UNKNOWN }) },
        { type: 'service.delete', service: NONE },
        { type: 'service.delete', service: 'fwmark:99' },
        { type: 'zero', service: NONE },
        { type: 'destination.add', service: NONE, destination: odd },
        { type: 'destination.edit', service: NONE, destination: odd },
        { type: 'destination.delete', service: NONE, destination: odd.address },
      ];
      for (const operation of operations) await refused(backend, operation, 'SERVICE_NOT_FOUND', 'ESRCH');
    },
  },
  {
    name: 'a scheduler that the kernel lacks: nothing is added, nothing is edited',
    async run(backend) {
      await done(backend, add({ address: WEB, scheduler: 'rr' }));
      await refused(backend, add({ address: NONE, scheduler: UNKNOWN }), 'SCHEDULER_NOT_FOUND', 'ENOENT');
      const edit = { address: WEB, scheduler: UNKNOWN, onePacket: false, persistence: {} };
      await refused(backend, editService(edit), 'SCHEDULER_NOT_FOUND', 'ENOENT');
      deepStrictEqual(await backend.services({}), [normalizeService({ address: WEB, scheduler: 'rr' })]);
    },
  },
  {
    name: 'every scheduler that the kernel has is taken, with all its flags; "none" always',
    async run(backend, { schedulers }) {
      await done(backend, add({ address: DNS, scheduler: 'none' }));
      for (const scheduler of schedulers) {
        const service = { address: DNS, scheduler, schedulerFlags: ['flag-1', 'flag-2', 'flag-3'], onePacket: true };
        await done(backend, editService(service));
        deepStrictEqual(await backend.service(DNS, {}), normalizeService(service));
      }
    },
  },
  {
    name: 'an edit replaces every setting of a service, and keeps its destinations',
    needs: usable,
    async run(backend) {
      await done(backend, add({ address: DNS, schedulerFlags: ['flag-2'], persistence: {}, onePacket: true }));
      await done(backend, addTo(DNS, '10.0.1.1:53'), editService({ address: DNS, scheduler: 'rr' }));
      deepStrictEqual(await backend.snapshot({}), [
        { ...normalizeService({ address: DNS, scheduler: 'rr' }), destinations: [idle('10.0.1.1:53', DNS)] },
      ]);
    },
  },
  {
    name: 'masks with holes and empty ones are kept',
    async run(backend) {
      for (const netmask of ['255.0.255.0', '0.0.0.0', 1, 32]) {
        const service = normalizeService({ address: WEB, persistence: { netmask } });
        await done(backend, { type: 'service.add', service });
        deepStrictEqual(await backend.service(WEB, {}), service);
        await done(backend, { type: 'service.delete', service: WEB });
      }
    },
  },
  {
    name: 'a timeout of persistence is kept in ticks of 32 bits, and overflows',
    async run(backend, { hz }) {
      const persistence = (timeoutSeconds: number) => ({ timeoutSeconds, netmask: 32, engine: null });
      const longest = Math.floor((2 ** 32 - 1) / hz);
      for (const [given, read] of [
        [0, 0],
        [longest, longest],
        [longest + 1, Math.floor((((longest + 1) * hz) % 2 ** 32) / hz)],
      ] as const) {
        const service = { ...normalizeService({ address: WEB }), persistence: persistence(given) };
        await done(backend, { type: 'service.add', service });
        deepStrictEqual((await backend.service(WEB, {}))?.persistence, persistence(read));
        await done(backend, { type: 'service.delete', service: WEB });
      }
    },
  },
  {
    name: 'an engine is kept, and gone after an edit without it',
    needs: engines,
    async run(backend) {
      const sip = { address: DNS, persistence: { engine: 'sip' } };
      await done(backend, add(sip));
      deepStrictEqual(await backend.service(DNS, {}), normalizeService(sip));
      await done(backend, editService({ address: DNS, persistence: {} }));
      strictEqual((await backend.service(DNS, {}))?.persistence?.engine, null);
    },
  },
  {
    name: 'an engine that the kernel lacks is told from a scheduler that it lacks',
    needs: netlink,
    async run(backend, profile) {
      const with_ = (scheduler: string, engine: string): VirtualService => ({
        ...normalizeService({ address: DNS, scheduler }),
        persistence: { timeoutSeconds: 300, netmask: 32, engine },
      });
      const add = (service: VirtualService): Operation => ({ type: 'service.add', service });
      // Where IPv6 is off the scheduler cannot be asked for by itself.
      const code = profile.ipv6 ? 'ENGINE_NOT_FOUND' : 'SCHEDULER_NOT_FOUND';
      await refused(backend, add(with_('none', 'morse')), code, 'ENOENT');
      await refused(backend, add(with_(UNKNOWN, 'morse')), 'SCHEDULER_NOT_FOUND', 'ENOENT');
      const foreseen = await backend.moduleRefusal(with_('none', 'morse'));
      strictEqual(foreseen?.code, profile.ipv6 ? 'ENGINE_NOT_FOUND' : undefined);
      strictEqual(await backend.moduleRefusal(with_('none', '')), undefined);
    },
  },
  {
    name: 'the newest destination is the first; an edit keeps the place',
    needs: usable,
    async run(backend) {
      const all = ['10.0.2.1:80', '10.0.2.2:80', '10.0.2.3:8080'];
      await done(backend, add({ address: WEB }), ...all.map((address) => addTo(WEB, address)));
      await done(
        backend,
        editIn(WEB, '10.0.2.2:80', { weight: 9, forward: 'direct', upperThreshold: 5, lowerThreshold: 2 }),
      );
      deepStrictEqual(await backend.destinations(WEB, {}), [
        idle('10.0.2.3:8080', WEB),
        idle('10.0.2.2:80', WEB, { weight: 9, forward: 'direct', upperThreshold: 5, lowerThreshold: 2 }),
        idle('10.0.2.1:80', WEB),
      ]);
      await done(
        backend,
        { type: 'destination.delete', service: WEB, destination: '10.0.2.1:80' },
        addTo(WEB, '10.0.2.1:80'),
      );
      deepStrictEqual(
        (await backend.destinations(WEB, {})).map(({ address }) => address),
        ['10.0.2.1:80', '10.0.2.3:8080', '10.0.2.2:80'],
      );
    },
  },
  {
    name: 'a destination that is there is not added again; one that is not, neither edited nor deleted',
    needs: usable,
    async run(backend) {
      await done(backend, add({ address: WEB }), addTo(WEB, '10.0.3.1:80'));
      await refused(backend, addTo(WEB, '10.0.3.1:80', { weight: 9 }), 'DESTINATION_EXISTS', 'EEXIST');
      await refused(backend, editIn(WEB, '10.0.3.1:81', { forward: 'masquerade' }), 'DESTINATION_NOT_FOUND', 'ENOENT');
      const other = { type: 'destination.delete', service: WEB, destination: '10.0.3.2:80' } as const;
      await refused(backend, other, 'DESTINATION_NOT_FOUND', 'ENOENT');
      deepStrictEqual(await backend.destinations(WEB, {}), [idle('10.0.3.1:80', WEB)]);
    },
  },
  {
    name: 'weights and thresholds are looked at before the destination is',
    needs: usable,
    async run(backend) {
      await done(backend, add({ address: WEB }), addTo(WEB, '10.0.4.1:80', { weight: 2 ** 31 - 1 }));
      for (const settings of [{ weight: -1 }, { weight: 2 ** 31 }, { upperThreshold: 1, lowerThreshold: 2 }]) {
        for (const type of ['destination.add', 'destination.edit'] as const) {
          for (const address of ['10.0.4.1:80', '10.0.4.2:80']) {
            const operation = { type, service: WEB, destination: { ...destination(address, WEB), ...settings } };
            await refused(backend, operation, 'KERNEL_REFUSED', 'ERANGE');
          }
        }
      }
    },
  },
  {
    name: 'only addresses of hosts are destinations',
    needs: usable,
    async run(backend) {
      await done(backend, add({ address: WEB }));
      for (const ip of ['0.0.0.0', '224.0.0.1', '239.255.255.255', '255.255.255.255', '127.255.255.255'])
        await refused(backend, rawTo(WEB, `${ip}:80`), 'ADDRESS_NOT_USABLE', 'EINVAL');
      await done(backend, ...['127.0.0.1', '240.0.0.1'].map((ip) => rawTo(WEB, `${ip}:80`)));
    },
  },
  {
    name: 'before lo ever was up, no address of IPv4 is',
    needs: ({ permitted, loopback }) => permitted && !loopback,
    async run(backend) {
      await done(backend, add({ address: WEB }));
      for (const ip of ['10.0.5.1', '127.0.0.1'])
        await refused(backend, rawTo(WEB, `${ip}:80`), 'ADDRESS_NOT_USABLE', 'EINVAL');
    },
  },
  {
    name: 'services, marks and destinations of IPv6',
    needs: ipv6,
    async run(backend) {
      const service = { address: WEB6, persistence: { netmask: 64 } };
      await done(backend, add(service), addTo(WEB6, '[2001:db8::a]:80'));
      deepStrictEqual(await backend.snapshot({}), [
        { ...normalizeService(service), destinations: [idle('[2001:db8::a]:80', WEB6)] },
      ]);
      for (const ip of ['[::]', '[ff02::1]', '[fe80::1]', '[::ffff:10.0.0.1]'])
        await refused(backend, rawTo(WEB6, `${ip}:80`), 'ADDRESS_NOT_USABLE', 'EINVAL');
      // One mark is two services.
      await done(backend, add({ address: 'fwmark:6' }), add({ address: 'fwmark:6/inet6' }));
      await done(backend, { type: 'service.delete', service: 'fwmark:6' });
      strictEqual((await backend.service('fwmark:6/inet6', {}))?.address, 'fwmark:6/inet6');
      const odd = { ...normalizeService(service), persistence: { timeoutSeconds: 1, netmask: 129, engine: null } };
      await refused(backend, { type: 'service.edit', service: odd }, 'KERNEL_REFUSED', 'EINVAL');
    },
  },
  {
    name: 'where IPv6 is off, the family is refused',
    needs: (profile) => netlink(profile) && !profile.ipv6,
    async run(backend) {
      await done(backend, add({ address: WEB }));
      await refused(backend, add({ address: WEB6 }), 'FAMILY_NOT_SUPPORTED', 'EAFNOSUPPORT');
      await refused(backend, { type: 'service.delete', service: WEB6 }, 'FAMILY_NOT_SUPPORTED', 'EAFNOSUPPORT');
      await refused(backend, rawTo(WEB, '[2001:db8::a]:80'), 'FAMILY_NOT_SUPPORTED', 'EAFNOSUPPORT');
      await rejected(backend.service(WEB6, {}), 'FAMILY_NOT_SUPPORTED');
      deepStrictEqual(await backend.destinations(WEB6, {}), []);
    },
  },
  {
    name: 'tunnels are kept with their settings, and replaced by an edit',
    needs: (profile) => netlink(profile) && profile.loopback,
    async run(backend) {
      await done(backend, add({ address: WEB }));
      const gue = { tunnel: 'gue', port: 6080, checksum: 'csum' };
      await done(backend, addTo(WEB, '10.0.6.1:80', { forward: gue }));
      await done(backend, addTo(WEB, '10.0.6.2:80', { forward: { tunnel: 'gre', checksum: 'csum' } }));
      await done(backend, editIn(WEB, '10.0.6.2:80', { forward: 'tunnel' }));
      deepStrictEqual(
        (await backend.destinations(WEB, {})).map(({ forward }) => forward),
        ['tunnel', gue],
      );
      const without = { ...destination('10.0.6.1:80', WEB), forward: { ...gue, port: 0 } } as Destination;
      await refused(
        backend,
        { type: 'destination.edit', service: WEB, destination: without },
        'KERNEL_REFUSED',
        'EINVAL',
      );
    },
  },
  {
    name: 'families mix by tunnel only, and not together with a sync daemon',
    needs: (profile) => ipv6(profile) && profile.loopback,
    async run(backend) {
      const [mixed, start] = [rawTo(WEB, '[2001:db8::b]:80', 'tunnel'), startOn('lo')];
      await done(backend, add({ address: WEB }));
      await refused(backend, rawTo(WEB, '[2001:db8::b]:80', 'masquerade'), 'SYNC_MIXED', 'EINVAL');
      await done(backend, mixed);
      await refused(backend, start, 'SYNC_MIXED', 'EINVAL');
      await done(backend, { type: 'destination.delete', service: WEB, destination: '[2001:db8::b]:80' }, start);
      await refused(backend, mixed, 'SYNC_MIXED', 'EINVAL');
      await done(backend, { type: 'sync.stop', state: 'master' }, mixed);
      strictEqual((await backend.destinations(WEB, {})).length, 1);
    },
  },
  {
    name: 'what the socket options cannot express is refused, and changes nothing',
    needs: sockopt,
    async run(backend) {
      await done(backend, add({ address: WEB }));
      const daemon = { state: 'master', interface: 'lo', id: 0, ttl: 3 } as const;
      const operations: Operation[] = [
        add({ address: WEB6 }),
        add({ address: 'fwmark:7/inet6' }),
        add({ address: DNS, persistence: { engine: 'sip' } }),
        { type: 'zero', service: WEB6 },
        rawTo(WEB, '[2001:db8::b]:80', 'tunnel'),
        addTo(WEB, '10.0.7.1:80', { forward: { tunnel: 'gre' } }),
        { type: 'sync.start', daemon },
      ];
      for (const operation of operations) await refused(backend, operation, 'TRANSPORT_LACKS');
      await rejected(backend.service(WEB6, {}), 'TRANSPORT_LACKS');
      deepStrictEqual(await backend.snapshot({}), [{ ...normalizeService({ address: WEB }), destinations: [] }]);
      await rejected(backend.services({ statistics: true, counterBits: 64 }), 'TRANSPORT_LACKS');
      strictEqual(await backend.moduleRefusal(normalizeService({ address: WEB, scheduler: UNKNOWN })), undefined);
    },
  },
  {
    name: 'protocols: netlink takes any number, the socket options those that IPVS balances',
    async run(backend, { transport }) {
      const service = { ...normalizeService({ address: WEB }), address: 'ip-1://192.0.2.1:80' };
      if (transport === 'sockopt')
        return refused(backend, { type: 'service.add', service }, 'KERNEL_REFUSED', 'EFAULT');
      await done(backend, { type: 'service.add', service });
      deepStrictEqual(await backend.services({}), [service]);
    },
  },
  {
    name: 'a refusal does not stop the rest; there is one result for each, in order',
    async run(backend) {
      const operations: Operation[] = [
        add({ address: WEB }),
        add({ address: WEB }),
        { type: 'service.delete', service: NONE },
        add({ address: DNS }),
      ];
      const results = await backend.execute(operations);
      deepStrictEqual(
        results.map(({ operation }) => operation),
        operations,
      );
      const codes = results.map(({ error }) => error?.code);
      deepStrictEqual(codes, [undefined, 'SERVICE_EXISTS', 'SERVICE_NOT_FOUND', undefined]);
      const [, second, third] = results;
      deepStrictEqual([second?.error?.operation, second?.error?.subject], ['add service', WEB]);
      deepStrictEqual([third?.error?.operation, third?.error?.subject], ['delete service', NONE]);
      deepStrictEqual(await backend.execute([]), []);
    },
  },
  {
    name: 'flush removes services, and leaves timeouts and daemons',
    async run(backend) {
      await done(backend, add({ address: WEB }), add({ address: 'fwmark:8' }), startOn('lo'));
      await done(backend, { type: 'timeouts.set', timeouts: { udpSeconds: 45 } }, { type: 'flush' }, { type: 'flush' });
      deepStrictEqual(await backend.services({}), []);
      strictEqual((await backend.timeouts()).udpSeconds, 45);
      strictEqual((await backend.syncDaemons()).length, 1);
    },
  },
  {
    name: 'counters are read where they are asked for, and zeroed',
    needs: usable,
    async run(backend) {
      await done(backend, add({ address: WEB }), addTo(WEB, '10.0.8.1:80'));
      await done(backend, { type: 'zero', service: WEB }, { type: 'zero' });
      const none = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };
      const [service] = await backend.snapshot({ statistics: true });
      deepStrictEqual(service?.statistics, { ...none, rates: none });
      deepStrictEqual(service?.destinations[0]?.statistics, { ...none, rates: none });
      ok(!('statistics' in ((await backend.service(WEB, {})) ?? {})));
    },
  },
  {
    name: 'by the socket options the service 0.0.0.0:0 stands for all when it is zeroed',
    needs: sockopt,
    async run(backend) {
      await done(backend, { type: 'zero', service: 'tcp://0.0.0.0:0' });
    },
  },
  {
    name: 'timeouts: what is not named, or 0, stays; all are checked before any is set',
    async run(backend, { hz }) {
      const longest = Math.floor((2 ** 31 - 1) / hz);
      await done(backend, { type: 'timeouts.set', timeouts: { tcpSeconds: longest, udpSeconds: 0 } });
      const odd = { type: 'timeouts.set', timeouts: { udpSeconds: 5, tcpFinSeconds: longest + 1 } } as const;
      await refused(backend, odd, 'KERNEL_REFUSED', 'EINVAL');
      deepStrictEqual(await backend.timeouts(), { ...emptyTable.timeouts, tcpSeconds: longest });
    },
  },
  {
    name: 'a master and a backup run side by side, one of each',
    async run(backend, { transport }) {
      const shown = (daemon: object, more: object) => (transport === 'netlink' ? { ...daemon, ...more } : daemon);
      const more = { group: '224.0.0.81', port: 8848, ttl: 1 };
      await done(backend, startOn('lo', 'backup', 9), startOn('lo', 'master', 5));
      await refused(backend, startOn('lo', 'master', 6), 'SYNC_EXISTS', 'EEXIST');
      await refused(backend, startOn('nowhere0', 'master'), 'INTERFACE_NOT_FOUND', 'ENODEV');
      deepStrictEqual(await backend.syncDaemons(), [
        shown({ state: 'master', interface: 'lo', id: 5 }, { ...more, maxLengthBytes: 1472 }),
        shown({ state: 'backup', interface: 'lo', id: 9 }, { ...more, maxLengthBytes: 65_507 }),
      ]);
      await done(backend, { type: 'sync.stop', state: 'master' });
      await refused(backend, { type: 'sync.stop', state: 'master' }, 'SYNC_NOT_FOUND', 'ESRCH');
      deepStrictEqual(
        (await backend.syncDaemons()).map(({ state }) => state),
        ['backup'],
      );
    },
  },
  {
    name: 'settings of a daemon are brought into their range',
    needs: netlink,
    async run(backend) {
      const settings = { interface: 'lo', id: 0, group: '239.1.2.3', port: 9000, ttl: 7 } as const;
      await done(backend, { type: 'sync.start', daemon: { state: 'backup', ...settings, maxLengthBytes: 1 } });
      await done(backend, { type: 'sync.start', daemon: { state: 'master', ...settings, maxLengthBytes: 65_535 } });
      deepStrictEqual(await backend.syncDaemons(), [
        { state: 'master', ...settings, maxLengthBytes: 65_507 },
        { state: 'backup', ...settings, maxLengthBytes: 1024 },
      ]);
    },
  },
  {
    name: 'mh takes no service of more than 4093 destinations, which stays as it was',
    needs: (profile) => usable(profile) && profile.schedulers.includes('mh'),
    async run(backend) {
      const addresses = Array.from({ length: 4094 }, (_, i) => `10.9.${i >> 8}.${i & 0xff}:80`);
      await done(backend, add({ address: DNS, scheduler: 'rr' }), ...addresses.map((address) => rawTo(DNS, address)));
      const edit = editService({ address: DNS, scheduler: 'mh', onePacket: true });
      await refused(backend, edit, 'KERNEL_REFUSED', 'EINVAL');
      deepStrictEqual(await backend.service(DNS, {}), normalizeService({ address: DNS, scheduler: 'rr' }));
      const first = addresses[0] as string;
      await done(backend, { type: 'destination.delete', service: DNS, destination: first }, edit);
      strictEqual((await backend.service(DNS, {}))?.scheduler, 'mh');
    },
  },
  {
    name: 'the version is told',
    async run(backend, { transport }) {
      const { version, text } = await backend.info();
      ok(/^\d+\.\d+\.\d+$/.test(version));
      strictEqual(
        text?.startsWith(`IP Virtual Server version ${version} (size=`),
        transport === 'sockopt' || undefined,
      );
    },
  },
  {
    name: 'without the privilege nothing is done, and nothing read',
    needs: ({ permitted }) => !permitted,
    async run(backend) {
      const operations: Operation[] = [add({ address: WEB }), { type: 'flush' }, { type: 'zero' }, startOn('nowhere0')];
      for (const operation of operations) await refused(backend, operation, 'PERMISSION_DENIED', 'EPERM');
      const reads = [
        backend.info(),
        backend.services({}),
        backend.service(WEB, {}),
        backend.destinations(WEB, {}),
        backend.snapshot({}),
        backend.timeouts(),
        backend.syncDaemons(),
      ];
      for (const read of reads) await rejected(read, 'PERMISSION_DENIED');
    },
  },
];

/** Where that is not permitted, it fails and nothing was there. */
async function empty(backend: Backend): Promise<void> {
  await backend.execute([
    { type: 'flush' },
    { type: 'sync.stop', state: 'master' },
    { type: 'sync.stop', state: 'backup' },
    { type: 'timeouts.set', timeouts: emptyTable.timeouts },
  ]);
}

async function done(backend: Backend, ...operations: readonly Operation[]): Promise<void> {
  for (const { error } of await backend.execute(operations)) if (error) throw error;
}

async function refused(backend: Backend, operation: Operation, code: ErrorCode, errnoName?: string): Promise<void> {
  const [result] = await backend.execute([operation]);
  const { error } = result ?? {};
  deepStrictEqual(
    [error?.code, error?.errnoName],
    [code, errnoName],
    `${JSON.stringify(operation)}: ${error?.message}`,
  );
}

async function rejected(read: Promise<unknown>, code: ErrorCode): Promise<void> {
  const outcome = await read.then(
    () => 'read',
    (error: { code?: unknown }) => error.code,
  );
  strictEqual(outcome, code);
}

function add(input: VirtualServiceInput): Operation {
  return { type: 'service.add', service: normalizeService(input) };
}

function editService(input: VirtualServiceInput): Operation {
  return { type: 'service.edit', service: normalizeService(input) };
}

type Settings = Omit<DestinationInput, 'address'>;

function addTo(service: string, address: string, settings: Settings = {}): Operation {
  return { type: 'destination.add', service, destination: destination(address, service, settings) };
}

function editIn(service: string, address: string, settings: Settings): Operation {
  return { type: 'destination.edit', service, destination: destination(address, service, settings) };
}

/** Past the checks at the door. */
function rawTo(service: string, address: string, forward: Destination['forward'] = 'masquerade'): Operation {
  const limits = { weight: 1, upperThreshold: 0, lowerThreshold: 0 };
  return { type: 'destination.add', service, destination: { address, forward, ...limits } };
}

function destination(address: string, service: string, settings: Settings = {}): Destination {
  return normalizeDestination({ address, ...settings }, service);
}

/** As it is read before there was traffic. */
function idle(address: string, service: string, settings: Settings = {}) {
  const connections = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  return { ...destination(address, service, settings), ...connections };
}

function startOn(name: string, state: 'master' | 'backup' = 'master', id = 0): Operation {
  return { type: 'sync.start', daemon: { state, interface: name, id } };
}
