/** Deleted destinations with connections come back: on the kernel, and in the model as on the kernel. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Destination } from '../../src/ipvs/destination.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { type MemoryIpvs, openMemory } from '../../src/testing/index.ts';
import { done, kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('trash', { keep: true });
const HOST = '127.0.0.53';
const VIRTUAL = '192.0.2.53';

beforeAll(() => table.namespace.run('ip', ['address', 'add', `${VIRTUAL}/32`, 'dev', 'lo']));

/** One datagram to the port, with a firewall mark or without (SO_MARK is 36). */
function send(port: number, mark = 0): void {
  const program = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 36, ${mark})
s.sendto(b"question", ("${VIRTUAL}", ${port}))`;
  table.namespace.run('/usr/bin/python3', ['-c', program]);
}

function destination(port: number, more: Partial<Destination> = {}): Destination {
  const settings = { forward: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0 } as const;
  return { address: `${HOST}:${port}`, ...settings, ...more };
}

/** A service on which one connection goes on, and the same in memory. */
async function connected(address: string, port: number, mark?: number): Promise<MemoryIpvs> {
  const { ipvs } = table;
  await ipvs.flush();
  await ipvs.addService({ address, scheduler: 'rr' });
  await done(ipvs, [{ type: 'destination.add', service: address, destination: destination(port) }]);
  send(port, mark);
  // The kernel publishes counters every two seconds.
  const read = () => ipvs.service(address, { statistics: true });
  const counted = { connections: 1n, packetsIn: 1n };
  const once = { statistics: counted, destinations: [{ inactiveConnections: 1, statistics: counted }] };
  await expect.poll(read, { timeout: 60_000, interval: 200 }).toMatchObject(once);
  const statistics = { connections: 1, packetsIn: 1 };
  const destinations = [{ ...destination(port), inactiveConnections: 1, statistics }];
  return openMemory({ state: { services: [{ address, scheduler: 'rr', statistics, destinations }] } });
}

/** Without bytes and rates, which are not the model's. */
async function shown(ipvs: Pick<MemoryIpvs, 'snapshot'>) {
  const { services } = await ipvs.snapshot({ statistics: true });
  return services.map(({ address, statistics, destinations }) => ({
    address,
    connections: statistics?.connections,
    destinations: destinations.map(({ address, weight, forward, inactiveConnections, statistics }) => ({
      ...{ address, weight, forward, inactiveConnections },
      connections: statistics?.connections,
      packetsIn: statistics?.packetsIn,
    })),
  }));
}

describe('a deleted destination comes back', () => {
  const udp = (port: number) => `udp://${VIRTUAL}:${port}`;
  const gone = (service: string, port: number): Operation[] => [
    { type: 'destination.delete', service, destination: `${HOST}:${port}` },
  ];
  const back = (service: string, port: number, more?: Partial<Destination>): Operation[] => [
    { type: 'destination.add', service, destination: destination(port, more) },
  ];
  const service = (address: string) => ({ address, scheduler: 'rr', schedulerFlags: [], persistence: null });
  const made = (address: string): Operation[] => [
    { type: 'service.add', service: { ...service(address), onePacket: false } },
  ];

  // The kernel remembers them for minutes: each test has a port of its own.
  it.each<[string, string, number, number | undefined, Operation[]]>([
    [
      'with its connections and counters',
      udp(5301),
      5301,
      undefined,
      [...gone(udp(5301), 5301), ...back(udp(5301), 5301, { weight: 5 })],
    ],
    [
      'without its counters to a service that was made anew',
      udp(5302),
      5302,
      undefined,
      [{ type: 'service.delete', service: udp(5302) }, ...made(udp(5302)), ...back(udp(5302), 5302)],
    ],
    ['after a flush', udp(5303), 5303, undefined, [{ type: 'flush' }, ...made(udp(5303)), ...back(udp(5303), 5303)]],
    [
      'to the same mark of the other family',
      'fwmark:7',
      5304,
      7,
      [...made('fwmark:7/inet6'), ...gone('fwmark:7', 5304), ...back('fwmark:7/inet6', 5304, { forward: 'tunnel' })],
    ],
    ['zeroed', udp(5305), 5305, undefined, [{ type: 'zero' }, ...gone(udp(5305), 5305), ...back(udp(5305), 5305)]],
  ])('%s', async (_, address, port, mark, operations) => {
    const memory = await connected(address, port, mark);
    await done(memory, operations);
    await done(table.ipvs, operations);
    const [ours, theirs] = [await shown(memory), await shown(table.ipvs)];
    expect(ours.flatMap(({ destinations }) => destinations)).toMatchObject([{ inactiveConnections: 1 }]);
    const byAddress = (a: { address: string }, b: { address: string }) => (a.address < b.address ? -1 : 1);
    expect(ours.sort(byAddress)).toEqual(theirs.sort(byAddress));
  });
});
