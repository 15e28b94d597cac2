/** An inner network behind a director: what outside sees of it, and that answers find their way back. */
import { afterAll, describe, expect, it } from 'vitest';
import { address, apply, clearDirectors, families, launch, leave, machine, prepare } from './lab/lab.ts';
import { setUp } from './lab/report.ts';

const director = machine('director1');
const inner = machine('real1');
const ports = [61000, 61999] as const;

setUp(async () => {
  await prepare();
  await clearDirectors();
  await launch(machine('client'), 'test/vagrant/lab/who.mjs', '8081');
  await apply(director, {
    services: [],
    masquerade: [
      { source: '10.45.0.0/24', out: 'eth1', ports: ports.join('-'), randomFully: true },
      { source: 'fd45::/64', out: 'eth1', ports: ports.join('-'), randomFully: true },
    ],
  });
});
afterAll(leave);

/** Opens connections from the inner address, and returns what the other side said of each. */
async function ask(family: 'inet' | 'inet6', count: number): Promise<string[]> {
  const from = address('real1', 'inner', family);
  const to = address('client', 'lan', family);
  const url = `http://${family === 'inet' ? to : `[${to}]`}:8081/`;
  const said = await inner.script(
    `for i in $(seq ${count}); do curl -gsS --max-time 20 --interface ${from} '${url}'; done`,
  );
  return said.trim().split('\n');
}

describe.each(families)('over %s', (family) => {
  it('outside sees the director, and ports of the range, each once', async () => {
    const seen = (await ask(family, 12)).map((line) => line.split(' '));
    expect(new Set(seen.map(([from]) => from))).toEqual(new Set([address('director1', 'lan', family)]));
    const used = seen.map(([, port]) => Number(port));
    expect(Math.min(...used)).toBeGreaterThanOrEqual(ports[0]);
    expect(Math.max(...used)).toBeLessThanOrEqual(ports[1]);
    expect(new Set(used).size).toBe(used.length);
  });

  it('the mappings tell which inner host has which port', async () => {
    const [line = ''] = await ask(family, 1);
    const port = Number(line.split(' ')[1]);
    const lines = await director.run('ipvs', 'masquerade', 'mappings', '--port', String(port), '--json');
    const mappings = lines
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one));
    expect(JSON.stringify(mappings)).toContain(address('real1', 'inner', family));
  });

  it('pings come back', async () => {
    await inner.run('ping', '-c', '3', '-I', address('real1', 'inner', family), address('client', 'lan', family));
  });
});

it('when the rules go, outside is not reached from inside any more', async () => {
  await apply(director, { services: [], masquerade: [] });
  for (const family of families) await expect(ask(family, 1)).rejects.toThrow(/curl: \((7|28)\)/);
  expect(await director.run('iptables-save')).not.toContain('IPVSD');
  expect(await director.run('ip6tables-save')).not.toContain('IPVSD');
});
