import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ConfigProblem, IpvsError } from '../../../src/base/errors.ts';
import type { Connection } from '../../../src/ipvs/connection.ts';
import type { Ipvs } from '../../../src/ipvs/ipvs.ts';
import { apply } from '../../../src/ipvs/memory/model.ts';
import { profileOf } from '../../../src/ipvs/memory/profile.ts';
import { emptyTable, type Table } from '../../../src/ipvs/memory/table.ts';
import { formatTable, parseTable } from '../../../src/ipvs/memory/table-file.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { operations } from '../../helpers/operation-arbitraries.ts';

describe('a table as a file', () => {
  it('is the same when it is read again, whatever was done to it', () => {
    const profile = profileOf();
    fc.assert(
      fc.property(fc.array(operations('netlink', profile), { maxLength: 40, size: 'max' }), (all) => {
        const table = all.reduce<Table>((table, operation) => apply(table, operation, profile, 1e12).table, emptyTable);
        expect(parseTable(formatTable(table), 'table.json')).toEqual(table);
      }),
    );
  });

  it.each(['', '{}', '{"services":[]}'])('is empty: %j', (text) => {
    expect(parseTable(text, 'table.json')).toEqual(emptyTable);
  });

  it('may leave out what is by default, and spell addresses as people do', () => {
    const { services, nextNumber } = parseTable(
      JSON.stringify({
        services: [
          { address: 'tcp://[2001:DB8::1]:80', persistence: {}, destinations: [{ address: '2001:db8:0::2' }] },
          { address: 'fwmark:7', number: 9, statistics: { connections: '18446744073709551615' } },
        ],
      }),
      'table.json',
    );
    expect(services).toMatchObject([
      {
        address: 'tcp://[2001:db8::1]:80',
        scheduler: 'wlc',
        persistence: { timeoutSeconds: 300, netmask: 128, engine: null },
        number: 10,
        destinations: [{ address: '[2001:db8::2]:80', weight: 1, forward: 'masquerade' }],
      },
      { address: 'fwmark:7', number: 9 },
    ]);
    expect(nextNumber).toBe(11);
  });

  it.each([
    ['{"services": [', 1],
    ['{"services": {}}', 1],
    ['{\n"servces": []}', 2],
    ['{"services": [\n{"address": "tcp://192.0.2.1"}]}', 2],
    ['{"services": [{"address": "fwmark:1"},\n{"address": "fwmark:1"}]}', 2],
    ['{"services": [{"address": "fwmark:1", "destinations": [\n{"address": "10.0.0.1", "weight": -1}]}]}', 2],
    ['{"services": [{"address": "fwmark:1", "statistics": \n{"connections": "many"}}]}', 2],
    ['{"syncDaemons": {"master": \n{"interface": "lo", "ttl": 256}}}', 2],
    ['{"services": [{"address": "fwmark:1", "persistence": {\n"netmask": 33}}]}', 2],
    ['{"services": [{"address": "fwmark:1/inet6", "persistence": {\n"netmask": "255.0.0.0"}}]}', 2],
    ['{"services": [{"address": "fwmark:1",\n"schedulerFlags": ["sh-port"]}]}', 2],
    ['{"services": [{"address": "fwmark:1", "number": 1}, {"address": "fwmark:2",\n"number": 1}]}', 2],
    ['{"services": [{"address": "fwmark:1"}],\n"nextNumber": 9007199254740991}', 2],
    [
      '{"trash": [{"of": "fwmark:1", "serviceNumber":\n0, "idleSinceMs": null, "destination": {"address": "10.0.0.1:80"}}]}',
      2,
    ],
  ])('is refused with the place of what is wrong: %j', (text, line) => {
    const [problem] = problemsOf(() => parseTable(text, 'table.json'));
    expect(problem).toMatchObject({ file: 'table.json', line });
  });
});

function problemsOf(action: () => unknown): readonly ConfigProblem[] {
  try {
    action();
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'CONFIG_INVALID') return error.problems;
    throw error;
  }
  return [];
}

async function listed(ipvs: Ipvs, client: string): Promise<Connection[]> {
  const connections: Connection[] = [];
  for await (const connection of ipvs.connections({ client })) connections.push(connection);
  return connections;
}

describe('openMemory', () => {
  it('shows what the state gives it, and gives its own', async () => {
    let nowMs = 0;
    const address = 'tcp://192.0.2.1:80';
    const destinations = [{ address: '10.0.0.1:80', statistics: { connections: 5, rates: { connections: 2 } } }];
    const connection = {
      kind: 'connection',
      client: '198.51.100.7:41234',
      service: address,
      destination: '10.0.0.1:80',
      state: 'ESTABLISHED',
      expiresSeconds: 899,
      engine: null,
      engineData: null,
    } as const;
    const ipvs = openMemory({
      state: { services: [{ address, destinations, statistics: { connections: 7 } }] },
      clock: () => nowMs,
      connections: [connection],
    });
    expect(ipvs.transport).toBe('memory');
    expect(await ipvs.totals()).toMatchObject({ total: { connections: 7n, rates: { connections: 0n } }, cpus: [] });
    expect(await listed(ipvs, '198.51.100.0/24')).toEqual([connection]);
    expect(await listed(ipvs, '192.0.2.0/24')).toEqual([]);

    await ipvs.removeDestination(address, '10.0.0.1');
    const [{ trash }, reopened] = [
      ipvs.state,
      openMemory({ state: JSON.parse(JSON.stringify(ipvs.state)), clock: () => nowMs }),
    ];
    expect(trash).toHaveLength(1);
    await reopened.addDestination(address, { address: '10.0.0.1' });
    const [back] = await reopened.destinations(address, { statistics: true });
    expect(back?.statistics).toMatchObject({ connections: 5n, rates: { connections: 2n } });

    nowMs = 3_600_000;
    await ipvs.addDestination(address, { address: '10.0.0.1' });
    expect((await ipvs.destinations(address, { statistics: true }))[0]?.statistics?.connections).toBe(0n);
  });

  it('refuses an edit that would lose what the socket options do not show', async () => {
    const state = { services: [{ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip' } }] };
    const ipvs = openMemory({ profile: { transport: 'sockopt' }, state });
    expect((await ipvs.service('udp://192.0.2.1:5060')).persistence?.engine).toBeNull();
    await expect(ipvs.editService('udp://192.0.2.1:5060', { scheduler: 'rr' })).rejects.toMatchObject({
      code: 'TRANSPORT_LACKS',
    });
  });
});
