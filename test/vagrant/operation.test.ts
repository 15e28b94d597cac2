/** What an operator does while requests come: a real server is drained; the defense is switched on and off. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { address, apply, type Client, enter, leave, machine, realServers, virtual } from './lab/lab.ts';
import { setUp } from './lab/report.ts';

const director = machine('director1');
const service = `tcp://${virtual.inet}:80`;
const url = `http://${virtual.inet}/`;

let client: Client;
setUp(async () => {
  client = await enter();
});
afterAll(leave);

function web(more: object = {}) {
  const destinations = realServers.map(({ name }) => ({ address: address(name, 'lan', 'inet') }));
  const one = { address: service, interface: 'eth1', scheduler: 'rr', forward: 'direct', destinations };
  return { services: [one], ...more };
}

it('a real server is drained under load, and no request fails', async () => {
  // By direct routing a director sees only one side of the end of a connection, and keeps it for tcpFin.
  await apply(director, web({ timeouts: { tcpFin: '10s' } }));
  const away = address('real1', 'lan', 'inet');
  expect((await client.send({ url, count: 12 })).servers).toHaveProperty('real1');
  let isDraining = true;
  const load = (async () => {
    const outcomes = [];
    while (isDraining) outcomes.push(await client.send({ url, count: 20, concurrency: 2 }));
    return outcomes;
  })();
  await sleep(2000);
  // A destination that was there before has the connections of that time too, and those last two minutes.
  const drained = director.run('ipvs', 'drain', service, away, '--timeout', '3m', '--wait').finally(() => {
    isDraining = false;
  });
  const [outcomes] = await Promise.all([load, drained]);
  expect(outcomes.length).toBeGreaterThan(2);
  expect(outcomes.filter(({ failed }) => failed > 0)).toEqual([]);
  expect(outcomes[0]?.servers).toHaveProperty('real1');
  const after = await client.send({ url, count: 12 });
  expect(after.failed).toBe(0);
  expect(after.servers).not.toHaveProperty('real1');
});

describe('the defense, by its unit', () => {
  const settings = ['drop_entry', 'drop_packet', 'secure_tcp', 'am_droprate'];
  const values = async () =>
    (await director.run('sysctl', '-n', ...settings.map((name) => `net.ipv4.vs.${name}`))).split('\n');
  const engaged = async () => (await values())[0] === '3';

  async function until(what: () => Promise<boolean>, seconds: number): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!(await what())) {
      if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
      await sleep(500);
    }
  }

  let before: string[];
  setUp(async () => {
    // A table that is full with what a handful of connections leaves, and stays so.
    await apply(
      director,
      web({
        timeouts: { tcpFin: '2m' },
        defense: {
          preset: 'off',
          tableLimit: 10,
          levels: [
            { actions: ['drop-entry'], enter: { tableAbove: '50%' }, leave: { tableAbove: '10%' }, minHold: '1s' },
          ],
        },
      }),
    );
    before = await values();
    await client.send({ url, count: 40 });
  });

  it('starts with it, and defends', async () => {
    await director.run('systemctl', 'start', 'ipvs-defense');
    await until(engaged, 60);
    expect(await director.run('ipvs', 'defense', 'status')).toMatch(/drop_entry +always/);
  });

  it('a crash puts the settings back, and it starts again', async () => {
    await director.run('systemctl', 'kill', '--signal', 'KILL', 'ipvs-defense');
    await until(async () => !(await engaged()), 30);
    expect(await values()).toEqual(before);
    await client.send({ url, count: 40 });
    await until(engaged, 90);
  });

  it('ends with it, and the settings are what they were', async () => {
    await director.run('systemctl', 'stop', 'ipvs-defense');
    expect(await values()).toEqual(before);
    expect((await director.attempt(['systemctl', 'is-failed', 'ipvs-defense'])).stdout).toBe('inactive\n');
  });
});
