/** What the search on a real kernel (test/kernel/model.test.ts) does not reach: time, traffic, and hosts without something. */
import { describe, expect, it } from 'vitest';
import { errno } from '../../../src/base/errors.ts';
import type { Destination } from '../../../src/ipvs/destination.ts';
import { apply } from '../../../src/ipvs/memory/model.ts';
import { type Profile, profileOf } from '../../../src/ipvs/memory/profile.ts';
import { emptyTable, type Table, type TableDestination } from '../../../src/ipvs/memory/table.ts';
import type { Operation } from '../../../src/ipvs/operation.ts';
import { normalizeService } from '../../../src/ipvs/service.ts';

const WEB = 'tcp://192.0.2.1:80';
const MARK = 'fwmark:7';

function destination(address: string, more: Partial<Destination> = {}): Destination {
  return { address, forward: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0, ...more };
}

const addService = (address: string, scheduler = 'rr'): Operation => ({
  type: 'service.add',
  service: normalizeService({ address, scheduler }),
});
const add = (service: string, address: string, more?: Partial<Destination>): Operation => ({
  type: 'destination.add',
  service,
  destination: destination(address, more),
});
const remove = (service: string, address: string): Operation => ({
  type: 'destination.delete',
  service,
  destination: address,
});

/** Carries them out and expects that all are done. */
function tableAfter(
  operations: readonly Operation[],
  { from = emptyTable, nowMs = 0, profile = profileOf() } = {},
): Table {
  return operations.reduce((table, operation) => {
    const applied = apply(table, operation, profile, nowMs);
    expect(applied.errno, JSON.stringify(operation)).toBe(0);
    return applied.table;
  }, from);
}

function refused(operation: Operation, given: Partial<Profile> = {}, from: Table = emptyTable): number {
  const { table, errno: code } = apply(from, operation, profileOf(given), 0);
  expect(table).toEqual(from);
  return code;
}

/** As traffic would have left it. */
function withTraffic(table: Table, traffic: Partial<TableDestination>): Table {
  return {
    ...table,
    services: table.services.map((service) => ({
      ...service,
      statistics: { connections: 9 },
      destinations: service.destinations.map((destination) => ({ ...destination, ...traffic })),
    })),
  };
}

const busy = { activeConnections: 3, statistics: { connections: 5 } };

describe('a deleted destination', () => {
  const web = tableAfter([addService(WEB), add(WEB, '10.0.0.1:80')]);
  const fresh = {
    ...destination('10.0.0.1:80'),
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
  };

  it('that is added again comes back with its connections and counters, and as it is wanted now', () => {
    const back = tableAfter([remove(WEB, '10.0.0.1:80'), add(WEB, '10.0.0.1:80', { weight: 7 })], {
      from: withTraffic(web, busy),
    });
    expect(back.services[0]?.destinations).toEqual([{ ...fresh, ...busy, weight: 7 }]);
    expect(back.trash).toEqual([]);
  });

  it.each<[string, Operation[]]>([
    ['the service was made anew', [{ type: 'service.delete', service: WEB }, addService(WEB)]],
    ['everything was flushed', [{ type: 'flush' }, addService(WEB)]],
  ])('without its counters where %s', (_, operations) => {
    const back = tableAfter([...operations, add(WEB, '10.0.0.1:80')], { from: withTraffic(web, busy) });
    expect(back.services[0]?.destinations).toEqual([{ ...fresh, activeConnections: 3 }]);
  });

  it('does not come back to another service, but to its firewall mark of the other family', () => {
    const gone = tableAfter([addService('tcp://192.0.2.1:81'), add('tcp://192.0.2.1:81', '10.0.0.1:80')], {
      from: tableAfter([remove(WEB, '10.0.0.1:80')], { from: withTraffic(web, busy) }),
    });
    expect(gone.services[1]?.destinations).toEqual([fresh]);

    const marks = tableAfter([addService(MARK), addService(`${MARK}/inet6`), add(MARK, '10.0.0.1:80')]);
    const crossed = tableAfter(
      [remove(MARK, '10.0.0.1:80'), add(`${MARK}/inet6`, '10.0.0.1:80', { forward: 'tunnel' })],
      {
        from: withTraffic(marks, busy),
      },
    );
    expect(crossed.services[1]?.destinations).toMatchObject([{ activeConnections: 3, forward: 'tunnel' }]);
  });

  it.each([
    // Looked through every minute from then on; idle since the first time; forgotten two minutes after it.
    [179_999, 5],
    [180_000, undefined],
    [86_400_000, undefined],
  ])('is forgotten after a while: back after %i ms', (nowMs, connections) => {
    const idle = { statistics: { connections: 5 } };
    const gone = tableAfter([remove(WEB, '10.0.0.1:80')], { from: withTraffic(web, idle) });
    const [back] = tableAfter([add(WEB, '10.0.0.1:80')], { from: gone, nowMs }).services;
    expect(back?.destinations[0]?.statistics?.connections).toBe(connections);
  });

  it('is never forgotten while connections refer to it, and then keeps a rhythm', () => {
    const gone = tableAfter([remove(WEB, '10.0.0.1:80')], { from: withTraffic(web, busy) });
    const later = tableAfter([{ type: 'zero' }], { from: gone, nowMs: 3_600_000_000 + 1 });
    expect(later.trash).toMatchObject([{ idleSinceMs: null, destination: busy }]);
    expect(later.sweepAtMs).toBe(3_600_000_000 + 60_000);
  });
});

describe('counters', () => {
  const from = withTraffic(tableAfter([addService(WEB), addService(MARK), add(WEB, '10.0.0.1:80')]), busy);

  it('are zeroed with those of the destinations; connections are not', () => {
    const { services } = tableAfter([{ type: 'zero', service: WEB }], { from });
    expect(services[0]).not.toHaveProperty('statistics');
    expect(services[0]?.destinations).toMatchObject([{ activeConnections: 3 }]);
    expect(services[0]?.destinations[0]).not.toHaveProperty('statistics');
    expect(services[1]?.statistics).toEqual({ connections: 9 });
    expect(tableAfter([{ type: 'zero' }], { from }).services[1]).not.toHaveProperty('statistics');
  });

  it('survive edits', () => {
    const edits: Operation[] = [
      { type: 'service.edit', service: normalizeService({ address: WEB, scheduler: 'sh' }) },
      { type: 'destination.edit', service: WEB, destination: destination('10.0.0.1:80', { weight: 0 }) },
    ];
    const { services } = tableAfter(edits, { from });
    expect(services[0]).toMatchObject({ scheduler: 'sh', statistics: { connections: 9 } });
    expect(services[0]?.destinations).toMatchObject([{ weight: 0, ...busy }]);
  });
});

describe('hosts and kernels', () => {
  const web = tableAfter([addService(WEB), addService('tcp://[2001:db8::1]:80')]);

  it('without the privilege nothing else is looked at', () => {
    expect(refused(addService(WEB, 'fastest'), { permitted: false }, web)).toBe(errno.EPERM);
    expect(refused({ type: 'flush' }, { permitted: false }, web)).toBe(errno.EPERM);
  });

  it('without IPv6: the family comes before what is there', () => {
    const without = { ipv6: false };
    expect(refused(addService('tcp://[2001:db8::1]:80'), without, web)).toBe(errno.EAFNOSUPPORT);
    expect(refused({ type: 'zero', service: 'tcp://[2001:db8::9]:80' }, without)).toBe(errno.EAFNOSUPPORT);
    expect(refused(add(WEB, '[2001:db8::2]:80', { weight: -1 }), without, web)).toBe(errno.EAFNOSUPPORT);
  });

  it('whose lo never was up takes no destination of IPv4, except from the trash', () => {
    const down = profileOf({ loopback: false });
    expect(refused(add(WEB, '10.0.0.1:80'), down, web)).toBe(errno.EINVAL);
    const gone = tableAfter([add(WEB, '10.0.0.1:80'), remove(WEB, '10.0.0.1:80')], { from: web });
    expect(tableAfter([add(WEB, '10.0.0.1:80')], { from: gone, profile: down }).services[0]?.destinations).toHaveLength(
      1,
    );
  });

  it('without a scheduler, an engine, an interface', () => {
    expect(refused(addService(WEB, 'mh'), { schedulers: ['rr'] })).toBe(errno.ENOENT);
    const sip = normalizeService({ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip' } });
    expect(refused({ type: 'service.add', service: sip }, { engines: [] })).toBe(errno.ENOENT);
    const daemon = { state: 'master', interface: 'eth1', id: 0 } as const;
    expect(refused({ type: 'sync.start', daemon })).toBe(errno.ENODEV);
    expect(refused({ type: 'sync.start', daemon: { ...daemon, interface: 'toString' } })).toBe(errno.ENODEV);
  });

  it('a sync daemon takes the length of its messages from the interface', () => {
    const jumbo = profileOf({ interfaces: { eth0: { mtu: 9000, multicast6: true } } });
    const start = (state: 'master' | 'backup'): Operation => ({
      type: 'sync.start',
      daemon: { state, interface: 'eth0', id: 0, group: 'ff02::81' },
    });
    expect(tableAfter([start('master'), start('backup')], { profile: jumbo }).syncDaemons).toMatchObject({
      master: { maxLengthBytes: 1452 },
      backup: { maxLengthBytes: 8952 },
    });
  });
});

it('a table is the same after JSON', () => {
  const table = tableAfter([addService(WEB), add(WEB, '10.0.0.1:80'), remove(WEB, '10.0.0.1:80')]);
  expect(JSON.parse(JSON.stringify(table))).toEqual(table);
});
