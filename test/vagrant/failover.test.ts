/**
 * A download goes on, byte for byte, while the virtual address moves to the other director, which knows of the
 * connection by the kernel's sync daemon.
 */
import { afterAll, beforeEach, expect, it } from 'vitest';
import {
  address,
  apply,
  clearDirectors,
  launch,
  leave,
  machine,
  prepare,
  virtual,
  withoutSecondDirector,
} from './lab/lab.ts';
import { setUp } from './lab/report.ts';

const port = 8080;
const rate = 100_000;
/** So long a download takes, undisturbed: longer than everything that happens meanwhile. */
const seconds = 90;
const bytes = rate * seconds;

interface Progress {
  readonly received: number;
  readonly intact?: boolean;
  readonly longestGapMs?: number;
  readonly error?: string;
}

/** Both directors have the services; one has the address, and tells the other of its connections. */
function description(active: boolean) {
  return {
    sync: [{ state: active ? 'master' : 'backup', interface: 'eth1', id: 7 }],
    sysctls: { sync_threshold: '3 10' },
    services: [
      {
        address: `tcp://${virtual.inet}:${port}`,
        ...(active && { interface: 'eth1' }),
        scheduler: 'rr',
        forward: 'direct',
        destinations: [{ address: address('real1', 'lan', 'inet') }],
      },
    ],
  };
}

setUp(async () => {
  if (withoutSecondDirector) return;
  await prepare();
  await launch(machine('real1'), 'test/vagrant/lab/download.mjs', 'serve', ...[port, bytes, rate].map(String));
});
beforeEach(async ({ skip }) => {
  if (withoutSecondDirector) skip(withoutSecondDirector);
  await clearDirectors();
  await apply(machine('director2'), description(false));
  await apply(machine('director1'), description(true));
});
afterAll(leave);

/** Starts a download, does something to it when a part of it has come, and returns how it ended. */
async function downloadDuring(happening: () => Promise<void>): Promise<Progress> {
  const client = await launch(
    machine('client'),
    'test/vagrant/lab/download.mjs',
    'fetch',
    ...[virtual.inet, port, bytes].map(String),
  );
  const next = async (): Promise<Progress> => JSON.parse(await client.line(300_000));
  try {
    while ((await next()).received < bytes / 10);
    const known = { state: 'ESTABLISHED', destination: `${address('real1', 'lan', 'inet')}:${port}` };
    expect(await connections('director2')).toContainEqual(expect.objectContaining(known));
    expect(await packets('director2')).toBe(0);
    await happening();
    for (;;) {
      const progress = await next();
      if (progress.intact !== undefined) return progress;
    }
  } finally {
    await client.end();
  }
}

async function connections(name: string): Promise<Record<string, unknown>[]> {
  const lines = await machine(name).run('ipvs', 'connections', '--json');
  return lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** How many packets the director has sent on. */
async function packets(name: string): Promise<number> {
  const { services } = JSON.parse(await machine(name).run('ipvs', 'list', '--stats', '--json'));
  return Number(services[0].statistics.packetsIn);
}

/** Takes over: director2 gets the address, and tells the client so, unasked. */
async function takeOver(): Promise<void> {
  // A gratuitous request, RFC 5227: the sender's address is the target's.
  const filter = `arp[6:2] = 1 and arp src host ${virtual.inet} and arp dst host ${virtual.inet}`;
  const listen = 'exec timeout 300 tcpdump -c 1 -lnnei eth1 "$1" 2>&1';
  const tcpdump = await machine('client').start('sh', '-c', listen, 'sh', filter);
  try {
    while (!(await tcpdump.line()).startsWith('listening on'));
    await apply(machine('director2'), description(true));
    const own = await machine('director2').run('cat', '/sys/class/net/eth1/address');
    expect(await tcpdump.line()).toContain(`${own.trim()} > ff:ff:ff:ff:ff:ff`);
  } finally {
    await tcpdump.end();
  }
}

it('handed over: the address is withdrawn from one and added to the other', async () => {
  const end = await downloadDuring(async () => {
    await apply(machine('director1'), { ...description(false), sync: [] });
    await takeOver();
  });
  console.log(`handed over: longest gap ${end.longestGapMs} ms`);
  expect(end).toMatchObject({ received: bytes, intact: true });
  expect(end).not.toHaveProperty('error');
  expect(await packets('director2')).toBeGreaterThan(10);
});

it('power cut: the other one takes over from nobody', async () => {
  const director1 = machine('director1');
  let isOff = false;
  try {
    const end = await downloadDuring(async () => {
      await director1.powerOff();
      isOff = true;
      await takeOver();
    });
    console.log(`power cut: longest gap ${end.longestGapMs} ms`);
    expect(end).toMatchObject({ received: bytes, intact: true });
    expect(end).not.toHaveProperty('error');
    expect(await packets('director2')).toBeGreaterThan(10);
  } finally {
    if (isOff) {
      await director1.powerOn();
      await director1.untilUp();
      await prepare([director1]);
    }
  }
});
