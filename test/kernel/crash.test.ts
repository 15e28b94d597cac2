/**
 * An apply that is killed after every single one of its operations: after recovery the table is the old one or the new
 * one, and a client that keeps requesting a service which neither changes never sees an error.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Director, openDirector } from '../../src/director/director.ts';
import type { DesiredState } from '../../src/state/state.ts';
import { built } from '../helpers/cli.ts';
import { configured, kernelTable } from '../helpers/kernel-table.ts';
import { stateOf } from '../helpers/states.ts';

const table = kernelTable('crash', { keep: true });
const folder = mkdtempSync(join(tmpdir(), 'ipvs-crash-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const UNCHANGED = 'tcp://192.0.2.5:80';
const unchanged = { [UNCHANGED]: { '127.0.0.5:8080': 1 } };

const OLD: DesiredState = stateOf({
  ...unchanged,
  'tcp://192.0.2.1:80': { '10.0.0.1': 1, '10.0.0.2': 2, '10.0.0.3': 3 },
  'tcp://192.0.2.2:80': { '10.0.0.1': 1, '10.0.0.2': 1 },
  'udp://192.0.2.3:53': { '10.0.0.1': 1, '10.0.0.2': 1 },
});
const NEW: DesiredState = {
  services: [
    ...stateOf({
      ...unchanged,
      'udp://192.0.2.3:53': { '10.0.0.2': 7, '10.0.0.6': 1 },
      'fwmark:4': { '10.0.0.1': 1, '10.0.0.2': 0, '10.0.0.3': 5 },
      'tcp://[2001:db8::6]:80': { '2001:db8::61': 1, '2001:db8::62': 4 },
      'tcp://192.0.2.7:80': { '10.0.0.1': 1, '10.0.0.2': 1, '10.0.0.3': 1, '10.0.0.4': 1 },
    }).services,
    ...stateOf({ 'tcp://192.0.2.1:80': { '10.0.0.1': 9, '10.0.0.4': 4, '10.0.0.3': 3 } }, { scheduler: 'sh' }).services,
  ],
  timeouts: { tcpSeconds: 60, udpSeconds: 30 },
};
const DEFAULTS: DesiredState['timeouts'] = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

async function withDirector<T>(work: (director: Director) => Promise<T>): Promise<T> {
  const director = await openDirector({ netns: table.namespace.name, stateDir: folder });
  try {
    return await work(director);
  } finally {
    await director.close();
  }
}

async function configuration() {
  return { services: configured(await table.ipvs.snapshot()), timeouts: await table.ipvs.timeouts() };
}

/** Applies in a process that dies after so many operations; whether it did. */
async function killedAfter(operations: number): Promise<boolean> {
  const program = fileURLToPath(new URL('../programs/apply-and-die.mjs', import.meta.url));
  const words = [program, table.namespace.name, folder, String(operations)];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(NEW));
  const [status, signal] = await once(child, 'close');
  if (signal === 'SIGKILL') return true;
  expect(status).toBe(0);
  return false;
}

let client: ChildProcess | undefined;
afterAll(async () => {
  if (client?.exitCode !== null) return;
  client.kill('SIGKILL');
  await once(client, 'close');
});

beforeAll(async () => {
  built('director/director.js');
  const { namespace } = table;
  namespace.run('ip', ['address', 'add', '192.0.2.5/32', 'dev', 'lo']);
  await withDirector((director) => director.apply({ desired: { ...OLD, timeouts: DEFAULTS } }));
  const program = fileURLToPath(new URL('../programs/requests.mjs', import.meta.url));
  const words = ['netns', 'exec', namespace.name, process.execPath, program, '127.0.0.5', '8080', '192.0.2.5', '80'];
  client = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: client.stdout as NodeJS.ReadableStream }), 'line');
  expect(line).toBe('ready');
});

it('leaves the old table or the new one, wherever it is killed', { timeout: 900_000 }, async () => {
  const old = await configuration();
  const outcomes: string[] = [];
  let wanted: Awaited<ReturnType<typeof configuration>> | undefined;
  for (let operations = 0; ; operations++) {
    if (!(await killedAfter(operations))) {
      wanted = await configuration();
      break;
    }
    const before = await configuration();
    const recovery = await withDirector((director) => director.recover());
    outcomes.push(recovery?.outcome ?? 'nothing');
    const after = await configuration();
    if (recovery?.outcome === 'undone') {
      expect(after, `killed after ${operations}`).toEqual(old);
    } else {
      expect(recovery?.outcome).toBe('finished');
      expect(after.services.map(({ address }) => address)).not.toContain('tcp://192.0.2.2:80');
      expect(before.services.length).toBeGreaterThanOrEqual(after.services.length);
      finished.push(after);
      // The next one begins with the old table again, whose deleted destinations come back in another place.
      await withDirector((director) => director.apply({ desired: { ...OLD, timeouts: DEFAULTS } }));
    }
  }
  expect(outcomes.length).toBeGreaterThanOrEqual(20);
  expect(outcomes).toContain('undone');
  expect(outcomes).toContain('finished');
  for (const table of finished) expect(sorted(table)).toEqual(sorted(wanted));
  console.log(`killed after each of ${outcomes.length} operations: ${count(outcomes)}; lost: 0`);

  client?.stdin?.end();
  const [line] = await once(createInterface({ input: client?.stdout as NodeJS.ReadableStream }), 'line');
  const { answered, failures } = JSON.parse(line);
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThan(outcomes.length);
});

const finished: Awaited<ReturnType<typeof configuration>>[] = [];

/** The order of destinations follows from the order in which they came. */
function sorted({ services, timeouts }: Awaited<ReturnType<typeof configuration>>) {
  const byAddress = (a: { address: string }, b: { address: string }) => (a.address < b.address ? -1 : 1);
  return { timeouts, services: services.map((s) => ({ ...s, destinations: [...s.destinations].sort(byAddress) })) };
}

function count(outcomes: readonly string[]): string {
  return ['undone', 'finished'].map((name) => `${outcomes.filter((o) => o === name).length} ${name}`).join(', ');
}
