/** The signals, over files in memory: what is measured when, and what is missing why. */
import { describe, expect, test } from 'vitest';
import { IpvsError } from '../../../src/base/errors.ts';
import { countHalfOpen } from '../../../src/defense/half-open.ts';
import { normalizePolicy } from '../../../src/defense/policy.ts';
import { Sampler, type SamplerParts } from '../../../src/defense/sampler.ts';

const settings = normalizePolicy('balanced');
const memory = { totalBytes: 2 ** 30, freeBytes: 2 ** 28, buffersBytes: 2 ** 28, availableBytes: 3 * 2 ** 28 };

const line = (protocol: string, port: string, state: string) =>
  `${protocol} C0000207 ${port} C000020A 0050 0A00000B 1F90 ${state.padEnd(11)} ${'59'.padStart(7)}`;
const heading = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData';

interface World {
  connections: bigint;
  status: number | undefined;
  lines: string[];
  connMax: string | undefined;
  /** What a look at the table takes. */
  costMs: number;
  loaded: boolean;
  nowMs: number;
  snapshots: number;
  looks: number;
}

function world(more: Partial<World> = {}): { world: World; sampler: Sampler } {
  const w: World = {
    connections: 0n,
    status: 0,
    lines: [],
    connMax: '1073741824',
    costMs: 0,
    loaded: true,
    nowMs: 0,
    snapshots: 0,
    looks: 0,
    ...more,
  };
  const loaded = () => {
    if (!w.loaded) throw new IpvsError('IPVS_NOT_LOADED');
  };
  const counters = { packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };
  const parts = {
    ipvs: {
      totals: async () => {
        loaded();
        return {
          cpus: [
            { cpu: 0, connections: w.connections, ...counters },
            { cpu: 1, connections: 5n, ...counters },
          ],
        };
      },
      tableStatus: async () => {
        loaded();
        w.nowMs += w.status === undefined ? 0 : w.costMs;
        return w.status === undefined ? undefined : { connections: w.status };
      },
      snapshot: async () => {
        w.snapshots++;
        w.nowMs += w.costMs;
        const destination = { activeConnections: 10, inactiveConnections: 20, persistentConnections: 5 };
        return { services: [{ destinations: [destination, destination] }, { destinations: [destination] }] };
      },
    },
    connectionLines: async function* () {
      loaded();
      w.looks++;
      for (let at = 0; at < w.lines.length; at += 100) {
        w.nowMs += w.costMs;
        yield w.lines.slice(at, at + 100);
      }
    },
    sysctls: {
      read: (name: string) => {
        if (w.connMax === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { subject: name });
        return w.connMax;
      },
    },
    now: () => w.nowMs,
    memory: () => memory,
    pressure: () => 0.25,
  };
  return { world: w, sampler: new Sampler(parts as unknown as SamplerParts) };
}

describe('memory', () => {
  test('is a share of all of it, free and available', async () => {
    const { sampler } = world();
    expect(await sampler.sample(settings)).toMatchObject({
      memoryFree: { value: 0.5, atMs: 0 },
      memoryAvailable: { value: 0.75 },
      memoryPressure: { value: 0.25 },
    });
  });
});

describe('new connections', () => {
  test('are counted over all processors, from one look to the next', async () => {
    const { world: w, sampler } = world({ connections: 1000n });
    expect((await sampler.sample(settings)).newConnections).toEqual({ missing: 'it takes a second to count them' });
    w.nowMs = 2000;
    w.connections = 4000n;
    expect((await sampler.sample(settings)).newConnections).toEqual({ value: 1500, atMs: 2000 });
  });

  test('are not counted twice within half a second', async () => {
    const { world: w, sampler } = world();
    await sampler.sample(settings);
    w.nowMs = 1000;
    w.connections = 100n;
    await sampler.sample(settings);
    w.nowMs = 1100;
    w.connections = 900n;
    expect((await sampler.sample(settings)).newConnections).toEqual({ value: 100, atMs: 1000 });
  });

  test('are not known where the counters went back', async () => {
    const { world: w, sampler } = world({ connections: 1000n });
    await sampler.sample(settings);
    w.nowMs = 1000;
    w.connections = 10n;
    expect((await sampler.sample(settings)).newConnections).toHaveProperty('missing');
    w.nowMs = 2000;
    w.connections = 20n;
    expect((await sampler.sample(settings)).newConnections).toEqual({ value: 10, atMs: 2000 });
  });
});

describe('the table', () => {
  test.each([
    ['what the policy says', { tableLimit: 1000 }, '500', 0.1, 1000],
    ['conn_max, where it is set', { tableLimit: null }, '500', 0.2, 500],
    ['by memory, where conn_max is the default', { tableLimit: null }, '1073741824', 100 / 524_288, 524_288],
    ['by memory, before there was conn_max', { tableLimit: null }, undefined, 100 / 524_288, 524_288],
  ])('has a limit: %s', async (_, limit, connMax, value, of) => {
    const { sampler } = world({ status: 100, connMax });
    expect((await sampler.sample({ ...settings, ...limit })).table).toEqual({ value, atMs: 0, of });
  });

  test('is the sum of what destinations have, before the kernel told', async () => {
    const { sampler } = world({ status: undefined });
    expect((await sampler.sample({ ...settings, tableLimit: 1050 })).table).toEqual({ value: 0.1, atMs: 0, of: 1050 });
  });

  test('is looked at as often as its cost allows: a twentieth of the time', async () => {
    const { world: w, sampler } = world({ status: undefined, costMs: 200 });
    for (let second = 1; second <= 40; second++) {
      w.nowMs = second * 1000;
      await sampler.sample(settings);
    }
    expect(w.snapshots).toBe(10); // 4 seconds apart
  });

  test('grows older meanwhile', async () => {
    const { world: w, sampler } = world({ status: 7, costMs: 500 });
    const first = (await sampler.sample(settings)).table;
    w.nowMs = 9000;
    expect((await sampler.sample(settings)).table).toEqual(first);
    expect(first).toMatchObject({ atMs: 500 });
  });
});

describe('half-open entries', () => {
  test('are those of TCP whose handshake is under way', () => {
    const lines = [
      heading,
      line('TCP', 'D98C', 'SYN_RECV'),
      line('TCP', 'D98D', 'SYNACK'),
      line('TCP', 'D98E', 'ESTABLISHED'),
      line('TCP', '0000', 'NONE'),
      line('UDP', 'D98C', 'UDP'),
      line('IP ', '0000', 'NONE'),
      'TCP 2001:0db8:0000:0000:0000:0000:0000:0001 D98C 2001:0db8:0000:0000:0000:0000:0000:0002 0050 2001:0db8:0000:0000:0000:0000:0000:0003 1F90 SYN_RECV         59',
      'nonsense',
      '',
    ];
    expect(countHalfOpen(lines)).toEqual({ entries: 4, halfOpen: 3 });
  });

  test('are looked for among so many entries, and no more', async () => {
    const half = [line('TCP', 'D98C', 'SYN_RECV'), line('TCP', 'D98C', 'ESTABLISHED')];
    const { world: w, sampler } = world({ lines: Array(5000).fill(half).flat(), costMs: 1 });
    expect((await sampler.sample({ ...settings, sampleEntries: 250 })).halfOpen).toMatchObject({ value: 0.5, of: 250 });
    expect(w.nowMs).toBe(3 + 1); // three pieces, and the table
  });

  test('are looked for no longer than the time allows', async () => {
    const { sampler } = world({ lines: Array(5000).fill(line('TCP', 'D98C', 'SYN_RECV')), costMs: 20 });
    const seen = await sampler.sample({ ...settings, leastEntries: 100 });
    expect(seen.halfOpen).toMatchObject({ of: 300 }); // 60 ms, at least 50
  });

  test('are looked for longer until there are as many as mean something', async () => {
    const { sampler } = world({ lines: Array(5000).fill(line('TCP', 'D98C', 'SYN_RECV')), costMs: 20 });
    expect((await sampler.sample(settings)).halfOpen).toMatchObject({ of: 500 });
  });

  test('are not known of a table that is slow to read: it is not a small one', async () => {
    const { sampler } = world({ lines: Array(5000).fill(line('TCP', 'D98C', 'SYN_RECV')), costMs: 100 });
    const missing = 'the table is slow to read: only 200 TCP entries in 200 ms';
    expect((await sampler.sample(settings)).halfOpen).toEqual({ missing });
  });

  test('of an empty table are none', async () => {
    const { sampler } = world({ lines: [heading] });
    expect((await sampler.sample(settings)).halfOpen).toEqual({ value: 0, atMs: 0, of: 0 });
  });
});

test('without ip_vs only memory is known, and nothing fails', async () => {
  const { world: w, sampler } = world({ loaded: false });
  const missing = { missing: 'ip_vs is not loaded' };
  expect(await sampler.sample(settings)).toMatchObject({
    memoryFree: { value: 0.5 },
    newConnections: missing,
    table: missing,
    halfOpen: missing,
  });
  w.loaded = true;
  expect(await sampler.sample(settings)).toMatchObject({ table: { value: 0 }, halfOpen: { value: 0 } });
});
