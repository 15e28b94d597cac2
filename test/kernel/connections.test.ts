/** What the kernel shows as files: connections, totals, helpers, the state of its tables. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connection, ConnectionFilter } from '../../src/index.ts';
import { openIpvs, ratesBetween } from '../../src/index.ts';
import { ipvsadm } from '../helpers/ipvsadm.ts';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';
import { startTraffic } from '../helpers/traffic.ts';

const table = kernelTable('connections', { keep: true });
const web = 'tcp://192.0.2.1:80';
const dns = 'udp://192.0.2.1:53';
const web6 = 'tcp://[2001:db8::1]:80';
const traffic: { stop(): Promise<void> }[] = [];

/** More than fit into any one read of the kernel's file. */
const DATAGRAMS = 300;

beforeAll(async () => {
  const { ipvs, namespace } = table;
  for (const address of ['192.0.2.1/32', '2001:db8::1/128']) {
    namespace.run('ip', ['address', 'add', address, 'dev', 'lo', ...(address.includes(':') ? ['nodad'] : [])]);
  }
  await ipvs.addService({ address: web, persistence: { timeoutSeconds: 600, netmask: 24 } });
  await ipvs.addDestination(web, { address: '127.0.0.1:8080' });
  await ipvs.addService({ address: dns });
  await ipvs.addDestination(dns, { address: '127.0.0.1:8080' });
  await ipvs.addService({ address: web6 });
  await ipvs.addDestination(web6, { address: '[::1]:8081' });
  traffic.push(
    await startTraffic(namespace, { server: ['127.0.0.1', 8080], service: ['192.0.2.1', 80], tcp: 3 }),
    await startTraffic(namespace, { server: ['127.0.0.1', 8081], service: ['192.0.2.1', 53], udp: DATAGRAMS }),
    await startTraffic(namespace, { server: ['::1', 8081], service: ['2001:db8::1', 80], tcp: 2 }),
  );
});
afterAll(() => Promise.all(traffic.map((one) => one.stop())));

async function connections(filter?: ConnectionFilter): Promise<Connection[]> {
  const all: Connection[] = [];
  for await (const connection of table.ipvs.connections(filter)) all.push(connection);
  return all;
}

describe('connections', () => {
  it('of a persistent service, and the template that pins their client', async () => {
    const [template, ...open] = (await connections({ service: web })).sort((a, b) => (a.kind < b.kind ? 1 : -1));
    expect(template).toMatchObject({ kind: 'template', client: '192.0.2.0', destination: '127.0.0.1:8080' });
    expect(template?.expiresSeconds).toBeGreaterThan(300);
    expect(open).toHaveLength(3);
    for (const connection of open) {
      const client = expect.stringMatching(/^192\.0\.2\.1:\d+$/);
      expect(connection).toMatchObject({ kind: 'connection', client, state: 'ESTABLISHED', engine: null });
      expect(connection.expiresSeconds).toBeGreaterThan(700);
    }
  });

  it('of IPv6', async () => {
    const client = expect.stringMatching(/^\[2001:db8::1\]:\d+$/);
    expect(await connections({ service: web6 })).toMatchObject(
      Array(2).fill({ client, service: web6, destination: '[::1]:8081', state: 'ESTABLISHED' }),
    );
  });

  it('are those that ipvsadm lists, however many', async () => {
    const all = await connections();
    expect(all).toHaveLength(1 + 3 + DATAGRAMS + 2);
    expect(new Set(all.map((connection) => `${connection.service} ${connection.client}`)).size).toBe(all.length);
    const rows = ipvsadm(table.namespace, '-l', '-c', '-n').filter((row) => /^(TCP|UDP)/.test(row));
    const peer = rows
      .map((row) => row.split(/\s+/))
      .map(([, , state, client, , destination]) => `${state} ${client} ${destination}`);
    const ours = all.map(
      ({ state, client, destination, kind }) =>
        `${state} ${kind === 'template' ? `${client}:0` : client} ${destination}`,
    );
    expect(ours.sort()).toEqual(peer.sort());
  });

  it('by filter: the idle time is that since the last packet', async () => {
    expect(await connections({ state: 'udp', kind: 'connection', idleUnderSeconds: 200 })).toHaveLength(DATAGRAMS);
    expect(await connections({ idleOverSeconds: 200 })).toEqual([]);
    expect(
      await connections({ client: '192.0.2.0/24', destination: '127.0.0.1:8080', state: ['established', 'assured'] }),
    ).toHaveLength(4);
    expect((await refusal(connections({ client: '192.0.2' }))).code).toBe('INVALID_ADDRESS');
  });

  it('left in the middle leave no descriptor behind', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for await (const { service } of table.ipvs.connections()) {
      expect(service).toMatch(/:\/\//);
      break;
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it('are those of one namespace alone, as long as the handle is open', async () => {
    const here = await openIpvs();
    const all: Connection[] = [];
    for await (const connection of here.connections()) all.push(connection);
    await here.close();
    expect(all).toEqual([]);
    expect((await refusal(here.totals())).code).toBe('CLOSED');
  });
});

describe('totals', () => {
  it('are the sum of the processors, which are always fresh', async () => {
    const { cpus } = await table.ipvs.totals();
    const sum = cpus.reduce((sum, { connections }) => sum + connections, 0n);
    expect(sum).toBe(BigInt(3 + DATAGRAMS + 2));
    await expect.poll(async () => (await table.ipvs.totals()).total.connections, { timeout: 20_000 }).toBe(sum);
  });

  it('rates between two snapshots count what happened in between', async () => {
    const before = await table.ipvs.snapshot({ statistics: true });
    const more = await startTraffic(table.namespace, {
      server: ['127.0.0.1', 8082],
      service: ['192.0.2.1', 53],
      udp: 50,
    });
    await more.stop();
    await sleep(5000); // the kernel publishes counters every 2 seconds
    const after = await table.ipvs.snapshot({ statistics: true });

    const seconds = ((after.readAtMs ?? 0) - (before.readAtMs ?? 0)) / 1000;
    const rates = new Map(ratesBetween(before, after).map(({ address, rates }) => [address, rates]));
    expect((rates.get(dns)?.connections ?? 0) * seconds).toBeCloseTo(50, 3);
    expect(rates.get(web6)).toMatchObject({ connections: 0 });
  });
});

describe('what else there is to see', () => {
  it('applications are those of ip_vs_app', async () => {
    expect(await table.ipvs.applications()).toBeInstanceOf(Array);
  });

  it('the state of the tables, where the kernel tells it', async () => {
    const status = await table.ipvs.tableStatus();
    const there = readdirSync('/proc/net').includes('ip_vs_status');
    expect(status !== undefined).toBe(there);
    if (status) expect(status).toMatchObject({ services: 3, connectionTable: { buckets: expect.any(Number) } });
  });
});
