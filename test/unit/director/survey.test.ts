import { expect, test } from 'vitest';
import type { Connection } from '../../../src/ipvs/connection.ts';
import { surveyed } from '../../../src/weights/survey.ts';

const WEB = 'tcp://192.0.2.10:80';
const ALL = 'tcp://192.0.2.11:0';
const MARK = 'fwmark:7';
const services = [
  { address: WEB, destinations: [{ address: '10.0.0.1:8080' }] },
  { address: ALL, destinations: [{ address: '10.0.0.2:0' }] },
  { address: MARK, destinations: [{ address: '10.0.0.3:0' }] },
];

function connection(client: string, service: string, destination: string, more: Partial<Connection> = {}): Connection {
  const none = { engine: null, engineData: null };
  return {
    kind: 'connection',
    client,
    service,
    destination,
    state: 'ESTABLISHED',
    expiresSeconds: 9,
    ...none,
    ...more,
  };
}

async function* each(connections: readonly Connection[]): AsyncGenerator<Connection> {
  yield* connections;
}

function survey(connections: readonly Connection[], ...places: (readonly [string, string])[]) {
  return surveyed(
    each(connections),
    services,
    places.map(([service, destination]) => ({ service, destination })),
  );
}

test('holders are counted by client, the most first', async () => {
  const template = { kind: 'template', state: 'ASSURED', expiresSeconds: 300 } as const;
  const { holders, stranded } = await survey(
    [
      connection('198.51.100.7:1', WEB, '10.0.0.1:8080'),
      connection('198.51.100.8:1', WEB, '10.0.0.1:8080', { state: 'TIME_WAIT', expiresSeconds: 100 }),
      connection('198.51.100.8:2', WEB, '10.0.0.1:8080'),
      connection('198.51.100.0', WEB, '10.0.0.1:8080', template),
      connection('198.51.100.9:1', WEB, '10.0.0.1:80'),
      connection('198.51.100.9:1', 'tcp://192.0.2.10:81', '10.0.0.1:8080'),
    ],
    [WEB, '10.0.0.1:8080'],
  );
  expect(holders.get(`${WEB} 10.0.0.1:8080`)).toEqual({
    connections: 3,
    templates: 1,
    states: { ESTABLISHED: 2, TIME_WAIT: 1 },
    longestSeconds: 300,
    clients: [
      { client: '198.51.100.8', connections: 2, templates: 0 },
      { client: '198.51.100.7', connections: 1, templates: 0 },
      { client: '198.51.100.0', connections: 0, templates: 1 },
    ],
    moreClients: 0,
  });
  expect(stranded).toEqual([WEB, 'tcp://192.0.2.10:81']);
});

test('a service on every port, and one of a mark, hold what shows another address', async () => {
  const { holders, stranded } = await survey(
    [
      connection('198.51.100.7:1', 'tcp://192.0.2.11:443', '10.0.0.2:443'),
      connection('198.51.100.7:2', 'udp://203.0.113.1:53', '10.0.0.3:53'),
      connection('198.51.100.7', MARK, '10.0.0.3:0', { kind: 'template' }),
      connection('198.51.100.7:3', WEB, '10.0.0.1:8080'),
    ],
    [ALL, '10.0.0.2:0'],
    [MARK, '10.0.0.3:0'],
  );
  expect([...holders].map(([key, { connections, templates }]) => [key, connections, templates])).toEqual([
    [`${ALL} 10.0.0.2:0`, 1, 0],
    [`${MARK} 10.0.0.3:0`, 1, 1],
  ]);
  expect(stranded).toEqual([]);
});

test('what is shown is bounded, what is counted is not', async () => {
  const many = Array.from({ length: 60_000 }, (_, i) =>
    connection(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1`, WEB, '10.0.0.1:8080'),
  );
  const { holders } = await survey(many, [WEB, '10.0.0.1:8080']);
  const held = holders.get(`${WEB} 10.0.0.1:8080`);
  expect(held).toMatchObject({ connections: 60_000, moreClients: 49_981 });
  expect(held?.clients).toHaveLength(20);
});

test('an invalid template is not of anything, and of nothing that is gone', async () => {
  const invalid = connection('198.51.100.0', 'tcp://192.0.2.10:65535', '10.0.0.1:65535', { kind: 'template' });
  expect(await survey([invalid], [WEB, '10.0.0.1:8080'])).toMatchObject({ stranded: [] });
});
