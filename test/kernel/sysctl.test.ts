import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDirector } from '../../src/director/director.ts';
import { isOlder } from '../../src/ipvs/features.ts';
import { parseState } from '../../src/state/document.ts';
import { catalogue, sysctlFeature, sysctlSpec } from '../../src/sysctl/catalogue.ts';
import { normalizeSysctlValue, sameSysctlValue } from '../../src/sysctl/kind.ts';
import { openSysctls } from '../../src/sysctl/open.ts';
import type { SysctlTable } from '../../src/sysctl/sysctl-table.ts';
import { built, cli } from '../helpers/cli.ts';
import { ip, makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

const CONNTRACK = 'net.ipv4.vs.conntrack';

let namespace: TestNamespace;
let table: SysctlTable;
let folder: string;

beforeEach(async () => {
  namespace = makeNamespace('sysctl');
  folder = mkdtempSync(join(tmpdir(), 'ipvs-sysctl-'));
  table = await openSysctls({ netns: namespace.name });
  table.loadModule();
});
afterEach(() => {
  table.close();
  namespace.remove();
  rmSync(folder, { recursive: true });
});

function ipvs(...args: readonly string[]) {
  return namespace.ipvs(['--state-dir', folder, ...args]);
}

function described(sysctls: object): string {
  const file = join(folder, 'state.yaml');
  writeFileSync(file, JSON.stringify({ services: [], sysctls }));
  return file;
}

describe('the catalogue and the kernel', () => {
  test('know the same settings of IPVS', () => {
    const shown = namespace
      .run('ls', ['/proc/sys/net/ipv4/vs'])
      .trim()
      .split('\n')
      .map((name) => `net.ipv4.vs.${name}`);
    expect(shown.filter((name) => sysctlSpec(name) === undefined)).toEqual([]);
    const missing = catalogue.filter(({ name }) => name.startsWith('net.ipv4.vs.') && !shown.includes(name));
    for (const spec of missing) {
      const feature = sysctlFeature(spec);
      expect(feature && (isOlder(release(), feature) || feature.lackedBy !== undefined), spec.name).toBe(true);
    }
  });

  test('begin with the same values in a fresh namespace', () => {
    const states = table.list();
    expect(states.length).toBeGreaterThan(70);
    const different = states
      // Those of the host are as the host is; new interfaces inherit from "default", which may be the distribution's.
      .filter(({ name }) => sysctlSpec(name)?.scope === 'namespace' && !name.includes('.conf.'))
      .filter(({ name, value, default: fallback }) => {
        const kind = sysctlSpec(name)?.kind;
        return fallback !== null && kind && !sameSysctlValue(kind, value, fallback);
      });
    expect(different).toEqual([]);
  });

  test('agree on values: what is shown is normal', () => {
    for (const { name, value } of table.list()) {
      const kind = sysctlSpec(name)?.kind;
      if (kind) expect(normalizeSysctlValue(name, kind, value), name).toBe(value);
    }
  });

  const extremes = (spec: (typeof catalogue)[number]): string[] => {
    const { kind } = spec;
    if (kind.type === 'switch') return ['0', '1'];
    if (kind.type === 'mode') return ['0', '3'];
    if (kind.type !== 'number') return [];
    // The number of waiting messages may be larger than any number here; a table of conntrack is the host's.
    return [kind.least, kind.most].filter((value) => value < Number.MAX_SAFE_INTEGER).map(String);
  };
  const settable = catalogue.filter(
    (spec) => spec.name.startsWith('net.ipv4.vs.') && spec.scope === 'namespace' && extremes(spec).length > 0,
  );
  test.each(settable.map((spec) => [spec.name, spec] as const))('%s takes what is accepted for it', (name, spec) => {
    if (table.find(name) === undefined) return; // that it may be missing is tested above
    for (const value of extremes(spec)) {
      table.execute({ type: 'sysctl.set', name, value });
      expect(table.get(name).value).toBe(value);
    }
  });

  test('agree that negative drop rates, and more, are taken by the kernel and refused by us', () => {
    const write = (name: string, value: string) =>
      namespace.run('sh', ['-c', `echo ${value} >/proc/sys/net/ipv4/vs/${name}`]);
    for (const [name, value] of [
      ['am_droprate', '-1'],
      ['am_droprate', '0'],
      ['amemthresh', '-5'],
    ] as const) {
      write(name, value);
      expect(table.get(name).value).toBe(value);
      expect(() => table.set({ [name]: value })).toThrow(expect.objectContaining({ code: 'INVALID_SYSCTL' }));
    }
  });
});

describe('setting', () => {
  test('reaches another namespace and not this one', () => {
    const here = readFileSync('/proc/sys/net/ipv4/vs/conntrack', 'utf8').trim();
    const to = here === '1' ? '0' : '1';
    table.set({ conntrack: to });
    expect(table.get('conntrack').value).toBe(to);
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/vs/conntrack']).trim()).toBe(to);
    expect(readFileSync('/proc/sys/net/ipv4/vs/conntrack', 'utf8').trim()).toBe(here);
  });

  test('on a full disk it is done, and a warning says that the history does not know it', async () => {
    const full = join(folder, 'full');
    mkdirSync(full);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'full', full]).status).toBe(0);
    try {
      expect(() => writeFileSync(join(full, 'log'), Buffer.alloc(1 << 20))).toThrow('ENOSPC');
      expect(await cli(['--netns', namespace.name, '--state-dir', full, 'sysctl', 'set', 'conntrack=1'])).toEqual({
        status: 0,
        stdout: 'net.ipv4.vs.conntrack  0 → 1\n',
        stderr: expect.stringMatching(/^ipvs: warning: the command is done, but "ipvs history" .*ENOSPC.*\n$/),
      });
    } finally {
      spawnSync('umount', [full]);
    }
  });

  test('says which folder it needs where nothing can be written at all', async () => {
    expect(await cli(['--netns', namespace.name, '--state-dir', '/proc/none', 'sysctl', 'set', 'conntrack=1'])).toEqual(
      {
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^ipvs: \/proc\/none\/\S+\/lock: cannot write the file \(\w+\); .*--state-dir names another place\n$/,
        ),
      },
    );
    expect(table.get('conntrack').value).toBe('0');
  });

  test('sets all or nothing', () => {
    const absent = { code: 'SYSCTL_NOT_FOUND', subject: 'net.ipv4.conf.none.rp_filter' };
    expect(() => table.set({ conntrack: 1, 'net.ipv4.conf.none.rp_filter': 1 })).toThrow(
      expect.objectContaining(absent),
    );
    expect(table.get('conntrack').value).toBe('0');
  });

  test('of a kernel that refuses a value gives back what was set before', () => {
    if (table.find('net.ipv4.vs.est_cpulist') === undefined) return; // before 6.2 nothing that we accept is refused
    expect(() => table.set({ conntrack: 1, est_cpulist: '8191' })).toThrow(
      expect.objectContaining({ code: 'SYSCTL_FAILED', subject: 'net.ipv4.vs.est_cpulist' }),
    );
    expect(table.get('conntrack').value).toBe('0');
  });

  test('knows interfaces with dots in their names', () => {
    ip('-netns', namespace.name, 'link', 'add', 'v0.5', 'type', 'bridge');
    const name = 'net.ipv4.conf.v0/5.arp_ignore';
    table.set({ [name]: 1 });
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/conf/v0.5/arp_ignore']).trim()).toBe('1');
    expect(table.list()).toContainEqual({ name, value: '1', default: '0' });
  });
});

describe('on the command line', () => {
  test('list, get, set, explain', async () => {
    const set = await ipvs('sysctl', 'set', 'conntrack=1', 'drop_entry=automatic', 'sync_threshold=5 60');
    expect(set).toMatchObject({
      status: 0,
      stdout:
        'net.ipv4.vs.conntrack  0 → 1\nnet.ipv4.vs.drop_entry  off → automatic\nnet.ipv4.vs.sync_threshold  3 50 → 5 60\n',
    });
    expect((await ipvs('sysctl', 'set', 'conntrack=1')).stdout).toBe('nothing to change\n');
    expect((await ipvs('sysctl', 'get', 'conntrack', 'sync_threshold')).stdout).toBe(
      'net.ipv4.vs.conntrack = 1\nnet.ipv4.vs.sync_threshold = 5 60\n',
    );
    expect((await ipvs('sysctl')).stdout).toMatch(/^net\.ipv4\.vs\.conntrack +1 \* +0 +Netfilter tracks/m);
    const listed = JSON.parse((await ipvs('sysctl', 'list', '--all', '--json')).stdout) as { name: string }[];
    expect(listed).toContainEqual({ name: 'net.ipv4.ip_forward', value: '0', default: '0', changed: false });
    const { stdout } = await ipvs('sysctl', 'explain', 'conn_max', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'net.ipv4.vs.conn_max', since: '7.2', default: '1073741824' });
  });

  test.each([
    [['set', 'conntrack'], 64, 'ipvs: a setting is written NAME=VALUE, not "conntrack"; see "ipvs sysctl --help"\n'],
    [['set', 'conntrack=1', 'conntrack=0'], 64, 'ipvs: conntrack is given twice; see "ipvs sysctl --help"\n'],
    [
      ['set', 'am_droprate=-1'],
      64,
      'ipvs: net.ipv4.vs.am_droprate: invalid setting of the kernel: below 0 it drops every new connection\n',
    ],
    [
      ['get', 'net.ipv4.conf.none.rp_filter'],
      1,
      'ipvs: read net.ipv4.conf.none.rp_filter: this kernel has no such setting; there is no such interface, or this kernel lacks it\n',
    ],
    [
      ['set', '__proto__=1'],
      64,
      'ipvs: "__proto__": invalid setting of the kernel: balancing does not depend on it; "ipvs sysctl list --all" shows what it depends on; all others are for sysctl(8)\n',
    ],
    [['guard', '--interval', '0'], 64, 'ipvs: --interval takes 1s to 1d; see "ipvs sysctl --help"\n'],
    [
      ['list', '--transport', 'memory'],
      64,
      'ipvs: a table in memory has no settings of a kernel; see "ipvs sysctl --help"\n',
    ],
  ])('%j is one clear line', async (args, status, stderr) => {
    expect(await ipvs('sysctl', ...args)).toEqual({ status, stdout: '', stderr });
  });
});

describe('in a file', () => {
  test('settings are planned, applied, verified, undone and watched', async () => {
    const file = described({ conntrack: 1, 'net.ipv4.ip_forward': true, secure_tcp: 'automatic' });
    expect(await ipvs('plan', file)).toMatchObject({
      status: 2,
      stdout: [
        '~ sysctl net.ipv4.ip_forward  0 → 1',
        '      sets some settings of all interfaces to those of a router, or of a host; an undo does not bring back what single ones had',
        '~ sysctl net.ipv4.vs.conntrack  0 → 1',
        '~ sysctl net.ipv4.vs.secure_tcp  off → automatic',
        '3 to change; 0 unchanged\n',
      ].join('\n'),
    });
    expect((await ipvs('apply', '--yes', file)).status).toBe(0);
    expect(table.get('conntrack').value).toBe('1');
    expect((await ipvs('plan', file)).stdout).toBe('nothing to change; 3 unchanged\n');
    table.set({ conntrack: 0 });
    expect((await ipvs('drift')).stdout).toMatch(/ours +net\.ipv4\.vs\.conntrack +0 → 1/);
    expect((await ipvs('diff', 'kernel', '1')).stdout).toContain('~ sysctl net.ipv4.vs.conntrack  0 → 1\n1 changed');
    expect((await ipvs('apply', '--yes', file)).stdout).toContain('0 → 1 (somebody changed it)');
    // The first apply, whose way back is what was there before it; the other one only mended.
    expect((await ipvs('undo', '1', '--yes')).status).toBe(0);
    expect(['conntrack', 'net.ipv4.ip_forward', 'secure_tcp'].map((name) => table.get(name).value)).toEqual([
      '0',
      '0',
      '0',
    ]);
  });

  test('an automatic mode that the kernel engaged is no drift', async () => {
    const file = described({ drop_packet: 'automatic' });
    await ipvs('apply', '--yes', file);
    namespace.run('sh', [
      '-c',
      'echo 2000000000 >/proc/sys/net/ipv4/vs/amemthresh; echo 0 >/proc/sys/net/ipv4/vs/drop_packet; echo 1 >/proc/sys/net/ipv4/vs/drop_packet',
    ]);
    expect(table.get('drop_packet').value).toBe('2');
    expect(await ipvs('drift')).toMatchObject({ status: 0, stdout: 'nothing differs\n' });
  });

  test('what this kernel lacks is refused before anything is done', async () => {
    const file = described({ conntrack: 1, 'net.ipv4.conf.none.rp_filter': 1 });
    const { status, stderr } = await ipvs('apply', '--yes', file);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('net.ipv4.conf.none.rp_filter: this kernel has no such setting'),
    });
    expect(table.get('conntrack').value).toBe('0');
  });

  test('a setting that comes with a scheduler is applied with the service that brings it', async () => {
    const LBLC = 'net.ipv4.vs.lblc_expiration';
    await using director = await openDirector({ netns: namespace.name, stateDir: folder });
    const { outcome, done, failed } = await director.apply({
      desired: parseState(
        'services: [{ address: tcp://192.0.2.1:80, scheduler: lblc, destinations: [] }]\nsysctls: { lblc_expiration: 60, conntrack: 1 }',
      ),
    });
    expect(failed.map(({ error }) => error.message)).toEqual([]);
    expect([outcome, done.at(-1)?.subject, table.get(LBLC).value]).toEqual(['applied', LBLC, '60']);
    const { intent } = await director.undoIntent();
    expect((await director.apply(intent)).outcome).toBe('applied');
    expect(table.get(LBLC).value).toBe('86400');
  });

  test('without such a service the error says what brings it, before anything is done', async () => {
    // Another test may have made the kernel load it. No table uses it now.
    spawnSync('modprobe', ['--remove', 'ip_vs_lblcr']);
    expect(table.find('net.ipv4.vs.lblcr_expiration')).toBeUndefined();
    await using director = await openDirector({ netns: namespace.name, stateDir: folder });
    const { failed } = await director.apply({
      desired: parseState('services: []\nsysctls: { lblcr_expiration: 60, conntrack: 1 }'),
    });
    expect(failed.map(({ error: { code, hint } }) => [code, hint])).toEqual([
      ['SYSCTL_NOT_FOUND', 'it comes with the scheduler lblcr: describe a service that uses it, or add one first'],
    ]);
    expect(table.get(CONNTRACK).value).toBe('0');
  });

  test('a director of another namespace reaches its settings', async () => {
    await using director = await openDirector({ netns: namespace.name, stateDir: folder });
    const { outcome } = await director.apply({ desired: { services: [], sysctls: { [CONNTRACK]: '1' } } });
    expect(outcome).toBe('applied');
    expect(namespace.run('cat', ['/proc/sys/net/ipv4/vs/conntrack']).trim()).toBe('1');
  });
});

describe('a guard', () => {
  test('keeps what was applied, takes over what is applied later, and tells of changes', async () => {
    await ipvs('apply', '--yes', described({ conntrack: 1 }));
    const guard = spawn(process.execPath, [
      built('cli/ipvs.js'),
      '--netns',
      namespace.name,
      '--state-dir',
      folder,
      'sysctl',
      'guard',
      '--json',
    ]);
    try {
      let output = '';
      guard.stdout.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      const changed = async (name: string) => {
        const deadline = Date.now() + 60_000;
        while (!output.includes(`"name":"${name}"`) && Date.now() < deadline) await sleep(50);
        return output;
      };
      table.set({ conntrack: 0 });
      const [line = ''] = (await changed(CONNTRACK)).split('\n');
      expect(JSON.parse(line)).toMatchObject({
        event: 'sysctl-changed',
        name: CONNTRACK,
        from: '1',
        to: '0',
        outcome: 'restored',
      });
      expect(table.get('conntrack').value).toBe('1');
      await ipvs('apply', '--yes', described({ conntrack: 1, sloppy_tcp: 1 }));
      table.set({ sloppy_tcp: 0 });
      await changed('net.ipv4.vs.sloppy_tcp');
      expect(table.get('sloppy_tcp').value).toBe('1');
    } finally {
      guard.kill('SIGINT');
    }
    const status = await new Promise((resolve) => guard.on('close', resolve));
    expect(status).toBe(0);
    expect(readdirSync(folder).length).toBeGreaterThan(0);
  });
});
