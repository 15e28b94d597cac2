/** A director on a real kernel: ownership, one writer, virtual addresses, other boots. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Director, type DirectorOptions, openDirector } from '../../src/director/director.ts';
import { native } from '../../src/kernel/native.ts';
import { lock } from '../../src/record/lock.ts';
import type { DesiredState } from '../../src/state/state.ts';
import { ipvsadm } from '../helpers/ipvsadm.ts';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';
import { ip, makeNamespace } from '../helpers/namespace.ts';
import { stateOf } from '../helpers/states.ts';

const table = kernelTable('director');
let stateDir: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ipvs-director-'));
  return () => rmSync(stateDir, { recursive: true, force: true });
});

async function withDirector<T>(work: (director: Director) => Promise<T>, options: DirectorOptions = {}): Promise<T> {
  const director = await openDirector({ netns: table.namespace.name, stateDir, ...options });
  try {
    return await work(director);
  } finally {
    await director.close();
  }
}

const apply = (desired: DesiredState) => withDirector((director) => director.apply({ desired }));
const WEB = 'tcp://192.0.2.1:80';
const web = stateOf({ [WEB]: { '10.0.0.1': 1, '10.0.0.2': 2 } });

describe('ownership', () => {
  it('what ipvsadm made is a conflict, until it is adopted; what it adds to a service of ours is drift', async () => {
    ipvsadm(table.namespace, '-A', '-t', '192.0.2.1:80', '-s', 'rr');
    expect(await refusal(apply(web))).toMatchObject({ code: 'NOT_OURS', subject: WEB });
    expect(await withDirector((director) => director.adopt([WEB]))).toEqual([WEB]);
    expect((await apply(web)).outcome).toBe('applied');

    ipvsadm(table.namespace, '-a', '-t', '192.0.2.1:80', '-r', '10.0.0.9', '-m');
    ipvsadm(table.namespace, '-e', '-t', '192.0.2.1:80', '-r', '10.0.0.1', '-m', '-w', '7');
    ipvsadm(table.namespace, '-A', '-u', '192.0.2.9:53', '-s', 'rr');
    const drift = await withDirector((director) => director.drift());
    expect(drift.differences.map(({ subject, detail, owner }) => [subject, detail, owner])).toEqual([
      [`10.0.0.1:80 of ${WEB}`, 'weight 7 → 1', 'ours'],
      [`10.0.0.9:80 of ${WEB}`, 'not described', 'foreign'],
    ]);
    expect(drift.foreign).toMatchObject([{ service: 'udp://192.0.2.9:53' }]);

    expect((await apply({ services: [] })).done.map(({ subject }) => subject)).toEqual([WEB]);
    expect((await table.ipvs.snapshot()).services.map(({ address }) => address)).toEqual(['udp://192.0.2.9:53']);
  });

  it('with its record lost nothing is ours', async () => {
    await apply(web);
    rmSync(stateDir, { recursive: true });
    expect(await refusal(apply(web))).toMatchObject({ code: 'NOT_OURS' });
    expect(await apply({ services: [] })).toMatchObject({ done: [] });
    expect((await table.ipvs.snapshot()).services).toHaveLength(1);
  });

  it('another namespace of the same name is another table', async () => {
    const first = makeNamespace('twice');
    const options = { netns: first.name };
    await withDirector((director) => director.apply({ desired: web }), options);
    first.remove();
    ip('netns', 'add', first.name);
    ip('-netns', first.name, 'link', 'set', 'lo', 'up');
    try {
      first.run('ipvsadm', ['-A', '-t', '192.0.2.1:80', '-s', 'rr']);
      expect(await refusal(withDirector((director) => director.apply({ desired: web }), options))).toMatchObject({
        code: 'NOT_OURS',
      });
      first.run('ipvsadm', ['-C']);
      expect(await withDirector((director) => director.recover(), options)).toMatchObject({ outcome: 'applied' });
      expect(await withDirector((director) => director.ipvs.service(WEB), options)).toMatchObject({ scheduler: 'wrr' });
    } finally {
      first.remove();
    }
  });

  it('a record that is damaged is said to be, and nothing is done', async () => {
    await apply(web);
    const ledger = join(stateDir, `netns-${table.namespace.name}`, 'ledger.json');
    writeFileSync(ledger, readFileSync(ledger, 'utf8').slice(0, 50));
    expect(await refusal(apply({ services: [] }))).toMatchObject({ code: 'STORE_DAMAGED', subject: ledger });
    expect((await table.ipvs.snapshot()).services).toHaveLength(1);
  });
});

describe('one writer', () => {
  it('waits for another, and then says who that is', async () => {
    const path = join(stateDir, `netns-${table.namespace.name}`, 'lock');
    const held = await lock(path, { native: native(), purpose: 'a test' });
    const waiting = withDirector((director) => director.apply({ desired: web }), { lockTimeoutMs: 60_000 });
    const refused = await refusal(withDirector((director) => director.apply({ desired: web }), { lockTimeoutMs: 100 }));
    expect(refused).toMatchObject({
      code: 'LOCKED',
      detail: expect.stringContaining(`"a test", process ${process.pid}`),
    });
    held.release();
    expect((await waiting).outcome).toBe('applied');
  });

  it('two that apply at once do it one after the other', async () => {
    const other = stateOf({ [WEB]: { '10.0.0.3': 1 }, 'udp://192.0.2.1:53': { '10.0.0.3': 1 } });
    const results = await Promise.all([apply(web), apply(other), apply(web), apply(other)]);
    expect(results.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'applied', 'applied']);
    const { services } = await table.ipvs.snapshot();
    expect([1, 2]).toContain(services.length);
    expect((await withDirector((director) => director.drift())).differences).toEqual([]);
  });

  it('a lock whose holder was killed holds nobody up', async () => {
    const path = join(stateDir, `netns-${table.namespace.name}`, 'lock');
    await apply(web);
    const hold = ['-c', 'exec 9>"$1"; flock 9; exec sleep 600', 'bash', path];
    const child = spawn('bash', hold, { stdio: 'ignore' });
    const isHeld = () => {
      const fd = native().lockFile(path);
      if (fd >= 0) native().close(fd);
      return fd < 0;
    };
    await expect.poll(isHeld, { timeout: 20_000 }).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect((await apply(web)).outcome).toBe('applied');
  });
});

describe('virtual addresses', () => {
  const both = stateOf(
    { 'tcp://192.0.2.50:80': { '10.0.0.1': 1 }, 'tcp://192.0.2.50:443': {}, 'tcp://[2001:db8::50]:80': {} },
    { interface: 'vip0' },
  );
  const held = () => table.namespace.run('ip', ['-o', 'address', 'show', 'dev', 'vip0']);

  beforeAll(() => {
    table.namespace.run('ip', ['link', 'add', 'vip0', 'type', 'dummy']);
    table.namespace.run('ip', ['link', 'set', 'vip0', 'up']);
  });

  it('come when their services are there, and go before these do', async () => {
    const { done } = await apply(both);
    expect(done.map(({ verb, subject }) => `${verb} ${subject}`).slice(-2)).toEqual([
      'add address 192.0.2.50/32 on vip0',
      'add address 2001:db8::50/128 on vip0',
    ]);
    expect(held()).toContain('192.0.2.50/32');
    expect(held()).toContain('2001:db8::50/128');

    const { done: undone } = await apply(stateOf({ 'tcp://[2001:db8::50]:80': {} }, { interface: 'vip0' }));
    expect(undone.map(({ verb, subject }) => `${verb} ${subject}`)[0]).toBe('delete address 192.0.2.50/32 on vip0');
    expect(held()).not.toContain('192.0.2.50');
    await apply({ services: [] });
    expect(held()).not.toContain('2001:db8::50');
  });

  it('one that is there already is a conflict, unless it is adopted', async () => {
    table.namespace.run('ip', ['address', 'add', '192.0.2.50/24', 'dev', 'vip0']);
    expect(await refusal(apply(both))).toMatchObject({ code: 'NOT_OURS' });
    const { outcome } = await withDirector((director) => director.apply({ desired: both }, { adopt: true }));
    expect(outcome).toBe('applied');
    expect(held()).toContain('192.0.2.50/24');
    await apply({ services: [] });
    expect(held()).toContain('192.0.2.50/24');
    table.namespace.run('ip', ['address', 'delete', '192.0.2.50/24', 'dev', 'vip0']);
  });

  it('one of ours and one of the host with another prefix length are two', async () => {
    await apply(both);
    table.namespace.run('ip', ['address', 'add', '192.0.2.50/24', 'dev', 'vip0']);
    table.namespace.run('ip', ['address', 'add', '192.0.2.49/24', 'dev', 'vip0']);
    await apply({ services: [] });
    expect(held()).not.toContain('192.0.2.50/32');
    expect(held()).toContain('192.0.2.50/24');
    expect(held()).toContain('192.0.2.49/24');
    table.namespace.run('ip', ['address', 'flush', 'dev', 'vip0', 'scope', 'global']);
  });

  it('one that a route has as its source is withdrawn by force alone', async () => {
    await apply(both);
    table.namespace.run('ip', ['route', 'add', '198.51.100.0/24', 'dev', 'vip0', 'src', '192.0.2.50']);
    expect(await refusal(apply({ services: [] }))).toMatchObject({
      code: 'WIDER_EFFECTS',
      detail:
        '192.0.2.50/32 on vip0: it is the source of routes: 198.51.100.0/24 on vip0; they do not come back by themselves, not even with the address',
    });
    expect(held()).toContain('192.0.2.50/32');
    await withDirector((director) => director.apply({ desired: { services: [] } }, { force: true }));
    expect(held()).not.toContain('192.0.2.50');
  });

  describe('routes that go with one', () => {
    const route = (...words: string[]) => table.namespace.run('ip', words.join(' ').split(' '));
    /** But for those of loopback, which the kernel makes for each address. */
    const routes = () => {
      const lines = ['-4', '-6'].flatMap((family) => route('-d', family, 'route show table all').split('\n'));
      return lines.filter((line) => line.startsWith('unicast')).sort();
    };
    const force = { force: true } as const;
    const undo = () =>
      withDirector(async (director) =>
        director.apply((await director.undoIntent()).intent, { ...force, command: 'undo' }),
      );
    beforeEach(async () => {
      await apply(both);
      return () => withDirector((director) => director.apply({ desired: { services: [] } }, force));
    });

    it('come back with a rollback and with an undo, as they were', async () => {
      route('route add default via 198.51.100.1 dev vip0 onlink');
      route('route add 198.51.100.0/24 dev vip0 src 192.0.2.50 metric 300 proto static');
      route(
        'route add 203.0.113.0/24 via 198.51.100.9 dev vip0 src 192.0.2.50 table 1000 tos 0x10 mtu 1400 initcwnd 20',
      );
      route('-6 route add 2001:db8:1::/48 dev vip0 src 2001:db8::50 metric 700 pref high');
      const before = routes();
      const abort = new AbortController();
      const rolledBack = await withDirector((director) =>
        director.apply(
          { desired: { services: [] } },
          { ...force, signal: abort.signal, onProgress: () => abort.abort() },
        ),
      );
      expect(rolledBack).toMatchObject({ outcome: 'undone', stuck: [] });
      expect(rolledBack.undone.filter(({ resource }) => resource === 'routes')).toHaveLength(4);
      expect(routes()).toEqual(before);

      await withDirector((director) => director.apply({ desired: { services: [] } }, force));
      expect(routes()).not.toEqual(before);
      expect(routes().filter((line) => line.includes(' dev vip0'))).not.toContainEqual(expect.stringContaining('src'));
      expect(await undo()).toMatchObject({ outcome: 'applied', failed: [], stuck: [] });
      expect(routes()).toEqual(before);
    });

    it('are named with the command that adds them where they do not come back, and the rest is undone', async () => {
      route('route add 198.51.100.0/24 dev vip0 src 192.0.2.50 metric 300 proto static');
      const hops = ['198.51.100.1', '198.51.100.2'].map((gateway) => `nexthop via ${gateway} dev vip0 onlink`);
      route('route add 203.0.113.0/24 src 192.0.2.50', ...hops);
      const before = routes();
      await withDirector((director) => director.apply({ desired: { services: [] } }, force));
      route('route add 198.51.100.0/24 dev lo metric 300');
      const { status, stdout, stderr } = await table.namespace.ipvs(['undo', '--yes', '--state-dir', stateDir]);
      expect({ status, last: stdout.trimEnd().split('\n').at(-1) }).toEqual({
        status: 1,
        last: '6 changes made, but for 2 things',
      });
      const again = 'ip route add 198.51.100.0/24 dev vip0 src 192.0.2.50 metric 300 proto 4';
      expect(stderr.split('\n').filter((line) => !line.startsWith('ipvs: warning: '))).toEqual([
        `ipvs: add route 198.51.100.0/24 on vip0: the route does not come back (EEXIST); add it again: ${again}`,
        expect.stringMatching(
          /^ipvs: add route 203\.0\.113\.0\/24: the route does not come back: .*several next hops; .*/,
        ),
        '',
      ]);
      expect(held()).toContain('192.0.2.50/32');
      expect((await table.ipvs.snapshot()).services).toHaveLength(3);
      route('route delete 198.51.100.0/24 dev lo metric 300');
      route(again.slice('ip '.length));
      route('route add 203.0.113.0/24 src 192.0.2.50', ...hops);
      expect(routes()).toEqual(before);
    });
  });

  it('one whose lifetime was changed gets it back when its removal is rolled back', async () => {
    const vip = ['2001:db8::50/128', 'dev', 'vip0'];
    await apply(both);
    expect(held()).toMatch(/2001:db8::50\/128 .*deprecated.*preferred_lft 0sec/);
    table.namespace.run('ip', ['address', 'change', ...vip, 'preferred_lft', 'forever']);
    const abort = new AbortController();
    const { outcome, undone } = await withDirector((director) =>
      director.apply({ desired: { services: [] } }, { signal: abort.signal, onProgress: () => abort.abort() }),
    );
    expect([outcome, undone.map(({ verb }) => verb)]).toEqual(['undone', ['add address', 'add address']]);
    expect(held()).toMatch(/2001:db8::50\/128 .*preferred_lft forever/);
    await apply({ services: [] });
    expect(held()).not.toContain('2001:db8::50');
  });

  it('an interface that is not there: everything is undone', async () => {
    const nowhere = stateOf({ 'tcp://192.0.2.51:80': { '10.0.0.1': 1 } }, { interface: 'nowhere0' });
    const result = await apply(nowhere);
    expect(result).toMatchObject({
      outcome: 'undone',
      failed: [{ error: { code: 'INTERFACE_NOT_FOUND' } }],
      stuck: [],
    });
    expect((await table.ipvs.snapshot()).services).toEqual([]);
  });
});

it('a folder that cannot be made is an error before anything is done', async () => {
  const file = join(stateDir, 'file');
  writeFileSync(file, '');
  expect(await refusal(withDirector((director) => director.apply({ desired: web }), { stateDir: file }))).toMatchObject(
    {
      code: 'FILE_UNWRITABLE',
      hint: expect.stringContaining('--state-dir'),
    },
  );
  expect((await table.ipvs.snapshot()).services).toEqual([]);
  expect(existsSync(file)).toBe(true);
});
