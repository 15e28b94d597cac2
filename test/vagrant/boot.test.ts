/** A director that dies in the middle of an apply, by a signal and by its plug, and comes back by itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { address, type Client, enter, leave, machine, realServers, table, virtual } from './lab/lab.ts';
import { setUp } from './lab/report.ts';

const director = machine('director1');
const url = `http://${virtual.inet}/`;
const file = '/etc/ipvs-director/ipvs.yaml';

const committed = {
  services: [
    {
      address: `tcp://${virtual.inet}:80`,
      interface: 'eth1',
      scheduler: 'wrr',
      forward: 'direct',
      destinations: realServers.map(({ name }, index) => ({
        address: address(name, 'lan', 'inet'),
        weight: 3 - index,
      })),
    },
  ],
};
/** Long enough to be interrupted; what serves now would be changed first. */
const interrupted = {
  services: [
    { ...committed.services[0], scheduler: 'rr' },
    {
      address: 'tcp://192.0.2.1:1000-1999',
      destinations: Array.from({ length: 20 }, (_, i) => ({ address: `192.0.2.${i + 100}` })),
    },
  ],
};

let client: Client;
let before: string[];
setUp(async () => {
  client = await enter();
  await director.write(file, JSON.stringify(committed));
  await director.run('systemctl', 'enable', '--now', 'ipvs-director');
  before = await table(director);
});
afterAll(leave);

/** Begins to apply, and stops it where the kernel has a part of it: a fast machine would end it meanwhile. */
async function halfApplied(): Promise<void> {
  await director.write('/root/next.json', JSON.stringify(interrupted));
  await director.script(`
    rm -f /root/next.pid
    setsid sh -c 'echo $$ >/root/next.pid; exec ipvs apply /root/next.json --yes --force >/root/next.log 2>&1' >/dev/null 2>&1 </dev/null &
    for i in $(seq 3000); do
      if [ "$(grep -c ^TCP /proc/net/ip_vs)" -gt 100 ]; then kill -STOP "$(cat /root/next.pid)"; exit 0; fi
      [ ! -e /root/next.pid ] || kill -0 "$(cat /root/next.pid)" || { tail -n 5 /root/next.log >&2; exit 1; }
      sleep 0.005
    done
    exit 1`);
}

/** Pulls the plug, sees that nobody answers, and puts it in again: when that was, in ms since the epoch. */
async function powerCut(): Promise<number> {
  await director.powerOff();
  try {
    expect(await client.send({ url, count: 1, timeoutMs: 3000 })).toMatchObject({ failed: 1 });
  } finally {
    await director.powerOn();
  }
  return Date.now();
}

/** Waits until the director can be worked on, and its unit has ended, one way or the other. */
async function settled(): Promise<void> {
  await director.untilUp();
  const end = Date.now() + 300_000;
  const state = async () => (await director.attempt(['systemctl', 'is-active', 'ipvs-director'])).stdout;
  while (['activating\n', 'inactive\n'].includes(await state())) {
    if (Date.now() > end) throw new Error('the unit does not end');
    await sleep(1000);
  }
}

it('the unit has applied the file', async () => {
  expect(before.join('\n')).toContain(`-A -t ${virtual.inet}:80 -s wrr`);
  expect(await client.send({ url, count: 12 })).toMatchObject({ failed: 0 });
});

it('SIGKILL: recovery makes the table what it was', async () => {
  await halfApplied();
  await director.script('kill -KILL "$(cat /root/next.pid)"');
  expect(await table(director)).not.toEqual(before);
  expect(await client.send({ url, count: 12 })).toMatchObject({ failed: 0 });
  const { outcome } = JSON.parse(await director.run('ipvs', 'recover', '--json'));
  expect(outcome).toBe('undone');
  expect(await table(director)).toEqual(before);
});

it('power off: the unit brings back what was committed, by itself, though its file is refused', async () => {
  await halfApplied();
  // So that what comes back cannot come from the file.
  await director.write(file, '{ services: [{ address: nonsense }] }');
  await director.run('sync');
  const started = await powerCut();
  const end = started + 900_000;
  while ((await client.send({ url, count: 1, timeoutMs: 1000 })).failed > 0) {
    if (Date.now() > end) throw new Error('no request is answered');
    await sleep(200);
  }
  console.log(`from power-on to the first answered request: ${((Date.now() - started) / 1000).toFixed(1)} s`);
  await settled();
  expect(await client.send({ url, count: 30 })).toMatchObject({ failed: 0 });
  expect((await director.attempt(['systemctl', 'is-active', 'ipvs-director'])).stdout).toBe('failed\n');
  expect(await director.run('journalctl', '--boot', '--no-pager', '--unit', 'ipvs-director')).toContain(`${file}:1:`);
  expect(await table(director)).toEqual(before);
  expect(await director.run('ipvs', 'history')).toContain('recover');
});

it('a file that is right again is applied, after a boot too', async () => {
  await director.write(file, JSON.stringify(committed));
  await director.run('systemctl', 'restart', 'ipvs-director');
  expect(await table(director)).toEqual(before);
  await director.run('sync');
  await powerCut();
  await settled();
  expect((await director.attempt(['systemctl', 'is-active', 'ipvs-director'])).stdout).toBe('active\n');
  expect(await table(director)).toEqual(before);
  expect(await client.send({ url, count: 12 })).toMatchObject({ failed: 0 });
});
