/** What is remembered of a table, and the commands around it: history, undo, diff, drift, owners. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Director, openDirector } from '../../src/director/director.ts';
import { native } from '../../src/kernel/native.ts';
import { lock } from '../../src/record/lock.ts';
import type { DesiredState } from '../../src/state/state.ts';
import { built, type CommandResult, command } from '../helpers/cli.ts';
import { ipvsadm } from '../helpers/ipvsadm.ts';
import { configured, kernelTable, refusal } from '../helpers/kernel-table.ts';
import { stateOf } from '../helpers/states.ts';

// Tests that follow each other build on each other.
const table = kernelTable('history', { keep: true });
const WEB = 'tcp://192.0.2.1:80';

let folder: string;
let stateDir: string;
/** The record of this namespace. */
const record = (...names: string[]) => join(stateDir, `netns-${table.namespace.name}`, ...names);
const fresh = async () => {
  stateDir = mkdtempSync(join(folder, 'record-'));
  await table.ipvs.flush();
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-history-'));
  // Answers of masqueraded servers are forwarded; otherwise it warns.
  for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding'])
    table.namespace.run('sysctl', ['-qw', `net.${name}=1`]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Its record is in `stateDir`. */
function ipvs(...args: readonly string[]): Promise<CommandResult> {
  return table.namespace.ipvs([...args, '--state-dir', stateDir]);
}

async function lines(...args: readonly string[]): Promise<string[]> {
  const { status, stdout, stderr } = await ipvs(...args);
  expect({ args, stderr, status }).toEqual({ args, stderr: '', status: expect.toBeOneOf([0, 2]) });
  return stdout.trimEnd().split('\n');
}

async function json(...args: readonly string[]) {
  return JSON.parse((await lines(...args, '--json')).join('\n'));
}

async function withDirector<T>(work: (director: Director) => Promise<T>): Promise<T> {
  const director = await openDirector({ netns: table.namespace.name, stateDir, lockTimeoutMs: 100 });
  try {
    return await work(director);
  } finally {
    await director.close();
  }
}

const made = () => JSON.parse(readFileSync(record('ledger.json'), 'utf8')).made;
const one = 'services: [{ address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1 }] }]';
const two =
  'services: [{ address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1, weight: 5 }, { address: 10.0.0.2 }] }]';

describe('verbs', () => {
  beforeAll(fresh);

  it('remember what they make', async () => {
    await lines('service', 'add', WEB);
    await lines('destination', 'add', WEB, '10.0.0.1');
    await lines('service', 'add', 'fwmark:7');
    await lines('sync', 'start', 'backup', '-i', 'lo');
    expect(made()).toEqual([WEB, `${WEB} 10.0.0.1:80`, 'fwmark:7', 'sync backup']);
  });

  it('edit what others made, which does not make it ours', async () => {
    ipvsadm(table.namespace, '-A', '-u', '192.0.2.1:53', '-s', 'rr');
    ipvsadm(table.namespace, '-a', '-t', '192.0.2.1:80', '-r', '10.0.0.2', '-m');
    await lines('service', 'edit', 'udp://192.0.2.1:53', '-s', 'wrr');
    await lines('destination', 'edit', WEB, '10.0.0.2', '-w', '3');
    expect((await lines('list', '--owner')).map((line) => line.split(/ {2,}/, 3).join(' '))).toEqual([
      'SERVICE OWNER SCHEDULER',
      ' DESTINATION OWNER',
      'udp://192.0.2.1:53 foreign wrr',
      `${WEB} verb wlc`,
      ' 10.0.0.1:80 verb',
      ' 10.0.0.2:80 foreign',
      'fwmark:7 verb wlc',
    ]);
    expect((await json('list', WEB, '--owner')).services).toMatchObject([
      { owner: 'verb', destinations: [{ owner: 'foreign' }, { owner: 'verb' }] },
    ]);
  });

  it('forget what they take away', async () => {
    await lines('destination', 'delete', WEB, '10.0.0.1');
    await lines('sync', 'stop', 'backup');
    expect(made()).toEqual([WEB, 'fwmark:7']);
    await lines('service', 'delete', 'fwmark:7');
    await lines('zero');
    expect(made()).toEqual([WEB]);
    await lines('flush', '--yes');
    expect(made()).toEqual([]);
  });

  it('a service that a file describes and a verb deletes is missing, until the next apply', async () => {
    const path = file('one.yaml', one);
    await lines('apply', path, '--yes');
    expect(await ipvs('service', 'delete', WEB)).toEqual({
      status: 0,
      stdout: `${WEB}: deletes 1 destination with it\ndeleted ${WEB}\n`,
      stderr: `ipvs: warning: ${WEB}: ${path} describes it: the next apply creates it again\n`,
    });
    expect((await json('drift')).differences).toMatchObject([
      { subject: WEB, kind: 'missing', owner: 'ours' },
      { subject: `10.0.0.1:80 of ${WEB}`, kind: 'missing', owner: 'ours' },
    ]);
    await lines('apply', path, '--yes');
    expect(await lines('drift')).toEqual(['nothing differs']);
  });

  it('wait for whoever changes the table, and do nothing before', async () => {
    const held = await lock(record('lock'), { native: native(), purpose: 'a test' });
    try {
      await withDirector(async (director) => {
        const added = director.verb('service add', { makes: ['fwmark:9'] }, (ipvs) =>
          ipvs.addService({ address: 'fwmark:9' }),
        );
        expect(await refusal(added)).toMatchObject({ code: 'LOCKED', detail: expect.stringContaining('"a test"') });
        await expect(director.ipvs.service('fwmark:9')).rejects.toMatchObject({ code: 'SERVICE_NOT_FOUND' });
      });
      expect((await lines('list'))[2]).toMatch(WEB);
    } finally {
      held.release();
    }
  });

  it('do nothing where the record cannot be written', async () => {
    const run = ['ip', 'netns', 'exec', table.namespace.name, process.execPath, built('cli/ipvs.js')];
    const before = await table.ipvs.snapshot();
    for (const verb of [
      ['service', 'add', 'fwmark:9'],
      ['flush', '--yes'],
    ]) {
      expect(await command([...run, ...verb, '--state-dir', '/dev/null/record'])).toEqual({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(
          /^ipvs: \/dev\/null\/record\/.*: cannot write the file \(\w+\); .*--state-dir.*\n$/,
        ),
      });
    }
    expect(await table.ipvs.snapshot()).toEqual(before);
    const environment = { IPVS_DIRECTOR_STATE_DIR: '/dev/null/other' };
    const { stderr } = await command([...run, 'flush', '--yes'], { environment });
    expect(stderr).toMatch(/^ipvs: \/dev\/null\/other\//);
  });
});

describe('the history', () => {
  beforeAll(fresh);

  it('is empty, and nothing can be undone or compared', async () => {
    expect(await lines('history')).toEqual(['nothing was applied']);
    expect((await ipvs('undo', '--yes')).stderr).toMatch(
      /^ipvs: undo: there is no such entry: nothing was applied; .*\n$/,
    );
    expect((await ipvs('diff')).stderr).toMatch(/^ipvs: diff: there is no such entry: nothing was applied; .*\n$/);
    expect(existsSync(record('ledger.json'))).toBe(false);
  });

  it('has what was applied, and what was refused', async () => {
    await lines('apply', file('one.yaml', one), '--yes');
    await lines('apply', file('two.yaml', two), '--yes');
    const refused = two.replace('10.0.0.2', '127.255.255.255');
    expect(await ipvs('apply', file('refused.yaml', refused), '--yes')).toMatchObject({ status: 1 });
    const [head, third, ...rest] = await lines('history');
    expect(head).toMatch(/^ID {2}WHEN +WHO +COMMAND +OUTCOME +CHANGES +FILE$/);
    expect(third).toMatch(/^ 3 {2}\d{4}-\S+Z +\S+ +apply +undone +2 +\S+refused\.yaml$/);
    expect(rest).toEqual([expect.stringMatching(/^ 2 .* applied +2 /), expect.stringMatching(/^ 1 .* applied +2 /)]);
    expect((await json('history')).entries.map(({ id }: { id: number }) => id)).toEqual([3, 2, 1]);
  });

  it('shows an entry as it was', async () => {
    expect((await lines('history', 'show', '2')).slice(5)).toEqual([
      'outcome  applied',
      'before   1 service, 1 destination (entry 1)',
      'after    1 service, 2 destinations',
      '',
      `  ${WEB}`,
      '    + 10.0.0.2:80  masquerade, weight 1',
      '    ~ 10.0.0.1:80  weight 1 → 5',
      '1 added, 1 changed',
    ]);
    expect((await lines('history', 'show', '3'))[6]).toMatch(/^error +add destination 127\.255\.255\.255:80 .*EINVAL/);
  });

  it('is compared: entries, files and the kernel', async () => {
    expect(await ipvs('diff')).toMatchObject({ status: 0, stdout: 'from entry 3 to kernel\nno change\n' });
    const there = await ipvs('diff', '1', '2');
    expect(there).toMatchObject({ status: 2, stdout: expect.stringContaining('    + 10.0.0.2:80  masquerade') });
    const back = await ipvs('diff', 'kernel', file('one.yaml', one));
    expect(back).toMatchObject({ status: 2, stdout: expect.stringContaining('    - 10.0.0.2:80  masquerade') });
    ipvsadm(table.namespace, '-A', '-f', '3', '-s', 'rr');
    expect((await json('diff', '2')).changes).toMatchObject([{ verb: 'add service', key: 'fwmark:3', detail: 'rr' }]);
  });

  it('is undone, and the undo is undone', async () => {
    const now = await table.ipvs.destinations(WEB);
    expect(await ipvs('undo', '--dry-run')).toMatchObject({
      status: 2,
      stdout: expect.stringContaining('- 10.0.0.2:80  was not there before'),
    });
    expect((await ipvs('undo')).stderr).toContain('--yes');
    expect(await table.ipvs.destinations(WEB)).toEqual(now);
    expect((await lines('undo', '--yes')).at(-1)).toBe('2 changes made');
    expect(await table.ipvs.destinations(WEB)).toMatchObject([{ address: '10.0.0.1:80', weight: 1 }]);
    expect((await lines('history'))[1]).toMatch(/ undo 2 +applied +2 +\S+one\.yaml$/);
    await lines('undo', '--yes');
    expect((await lines('history'))[1]).toMatch(/ undo 4 +applied +2 +\S+two\.yaml$/);
    expect(await table.ipvs.destinations(WEB)).toEqual(now);
  });

  it('goes back over several entries at once, to nothing in the end', async () => {
    await lines('undo', '1', '--yes');
    expect(configured(await table.ipvs.snapshot()).map(({ address }) => address)).toEqual(['fwmark:3']);
  });
});

describe('drift', () => {
  beforeAll(async () => {
    await fresh();
    await lines('apply', file('two.yaml', two), '--yes');
  });

  it('is what somebody changed, since it was seen first', async () => {
    expect(await ipvs('drift')).toEqual({ status: 0, stdout: 'nothing differs\n', stderr: '' });
    ipvsadm(table.namespace, '-e', '-t', '192.0.2.1:80', '-r', '10.0.0.1', '-m', '-w', '9');
    ipvsadm(table.namespace, '-d', '-t', '192.0.2.1:80', '-r', '10.0.0.2');
    ipvsadm(table.namespace, '-a', '-t', '192.0.2.1:80', '-r', '10.0.0.3', '-m');
    ipvsadm(table.namespace, '-A', '-f', '3', '-s', 'rr');
    await lines('service', 'add', 'fwmark:4');
    const { status, stdout } = await ipvs('drift');
    expect({ status, lines: stdout.trimEnd().split('\n') }).toEqual({
      status: 2,
      lines: [
        expect.stringMatching(/^SINCE +WHOSE +WHAT +IS → SHOULD BE$/),
        expect.stringMatching(
          /^\S+Z {2}ours +10\.0\.0\.2:80 of tcp:\/\/192\.0\.2\.1:80 +missing: masquerade, weight 1$/,
        ),
        expect.stringMatching(/^\S+Z {2}ours +10\.0\.0\.1:80 of tcp:\/\/192\.0\.2\.1:80 +weight 9 → 5$/),
        expect.stringMatching(/^\S+Z {2}foreign +10\.0\.0\.3:80 of tcp:\/\/192\.0\.2\.1:80 +not described$/),
        expect.stringMatching(/^\S+Z {2}verb +fwmark:4 +not described$/),
        '4 differences; 1 service of others',
      ],
    });
    const since = (difference: { since: string }) => difference.since;
    const [first, again] = [(await json('drift')).differences.map(since), (await json('drift')).differences.map(since)];
    expect(again).toEqual(first);
    expect((await json('drift', '--all')).differences.at(-1)).toMatchObject({ subject: 'fwmark:3', owner: 'foreign' });
  });

  it('from a file says what was never applied', async () => {
    const { differences } = await json('drift', file('one.yaml', one));
    expect(differences[0]).toMatchObject({ subject: `10.0.0.1:80 of ${WEB}`, detail: 'weight 9 → 1', pending: true });
  });

  it('is looked at again and again', async () => {
    const watching = ['drift', '--watch', '1s', '--json', '--state-dir', stateDir];
    const interrupt = { afterLines: 2, atMostMs: 60_000 };
    const { status, stdout, stderr } = await table.namespace.ipvs(watching, { interrupt });
    expect({ status, stderr }).toEqual({ status: 2, stderr: '' });
    const frames = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(frames.length).toBeGreaterThan(1);
    for (const { differences } of frames) expect(differences).toHaveLength(4);
  });

  it('goes with the next apply, but for what others made', async () => {
    await lines('apply', file('two.yaml', two), '--yes');
    expect((await json('drift')).differences.map(({ key }: { key: string }) => key)).toEqual([
      `${WEB} 10.0.0.3:80`,
      'fwmark:4',
    ]);
    const { applied } = JSON.parse(readFileSync(record('drift.json'), 'utf8'));
    expect(Object.keys(applied)).toEqual([`${WEB} 10.0.0.3:80`, 'fwmark:4', 'fwmark:3']);
  });
});

describe('owners', () => {
  beforeAll(fresh);

  it('are changed without touching the kernel', async () => {
    ipvsadm(table.namespace, '-A', '-t', '192.0.2.1:80', '-s', 'wlc');
    ipvsadm(table.namespace, '-a', '-t', '192.0.2.1:80', '-r', '10.0.0.1', '-m');
    ipvsadm(table.namespace, '-A', '-f', '3', '-s', 'rr');
    const before = await table.ipvs.snapshot();
    const path = file('one.yaml', one);
    expect(await ipvs('apply', path, '--yes')).toMatchObject({ status: 1, stderr: expect.stringContaining('--adopt') });
    expect(await lines('adopt', WEB)).toEqual([`adopted ${WEB}`]);
    expect(await lines('adopt', WEB)).toEqual(['nothing to adopt: all of it is ours']);
    expect(made()).toEqual([WEB, `${WEB} 10.0.0.1:80`]);
    expect(await json('adopt', '--all')).toEqual({ done: 'adopted', services: ['fwmark:3'] });
    expect((await lines('apply', path, '--yes')).at(-1)).toMatch(/^nothing to change; 2 unchanged; 1 not in the file/);

    expect(await lines('disown', 'fwmark:3')).toEqual(['disowned fwmark:3']);
    expect(await lines('disown', '--all')).toEqual([`disowned ${WEB}`]);
    expect(await lines('disown', '--all')).toEqual(['nothing to disown: no service is ours']);
    expect(await ipvs('apply', path, '--dry-run')).toMatchObject({ status: 1 });
    expect(await table.ipvs.snapshot()).toEqual(before);
  });
});

describe('recovery', () => {
  beforeEach(async () => {
    await fresh();
    await withDirector((director) => director.apply({ desired: { services: [] } }));
  });
  const applied = () => lines('apply', file('two.yaml', two), '--yes');
  /** As if it had been another boot. */
  const reboot = async () => {
    const path = record('ledger.json');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/"table": "[^"]*"/g, '"table": "another boot/1"'));
    await table.ipvs.flush();
  };

  it('has nothing to do', async () => {
    expect(await lines('recover')).toEqual(['nothing to recover']);
    expect(await json('recover')).toEqual({ outcome: 'nothing' });
  });

  it('applies after a reboot what was applied last', async () => {
    await applied();
    await reboot();
    expect(await lines('recover')).toEqual([
      'after a reboot, applied again what was applied last:',
      `+ ${WEB}  wlc`,
      '    + 10.0.0.1:80  masquerade, weight 5',
      '    + 10.0.0.2:80  masquerade, weight 1',
      '3 added',
      '3 changes made',
    ]);
    expect((await lines('history'))[1]).toMatch(/ recover +applied +3 +\S+two\.yaml$/);
    expect(await lines('recover')).toEqual(['nothing to recover']);
  });

  it('does not take over then what others made meanwhile, unless it is told to', async () => {
    await applied();
    await reboot();
    ipvsadm(table.namespace, '-A', '-t', '192.0.2.1:80', '-s', 'wlc');
    expect(await ipvs('recover')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--adopt takes it over'),
    });
    expect((await lines('recover', '--adopt')).at(-1)).toBe('2 changes made');
  });

  /** An apply that adds a service, and dies before its other changes. */
  const interrupted = (web: DesiredState) =>
    withDirector(async (director) => {
      const desired = { services: [...web.services, ...stateOf({ 'fwmark:5': {} }).services] };
      const onProgress = () => {
        throw new Error('it dies');
      };
      await expect(director.apply({ desired }, { onProgress })).rejects.toThrow('it dies');
      expect(existsSync(record('journal.json'))).toBe(true);
    });
  const before = stateOf({ [WEB]: { '10.0.0.1': 1, '10.0.0.2': 1 } });
  const addresses = async () => configured(await table.ipvs.snapshot()).map(({ address }) => address);

  it('undoes an apply that was interrupted', async () => {
    await withDirector((director) => director.apply({ desired: before }));
    await interrupted(stateOf({ [WEB]: { '10.0.0.1': 7, '10.0.0.2': 1 } }));
    expect(await lines('recover')).toEqual([
      expect.stringMatching(
        /^"apply" by \S+, begun \S+Z, was interrupted: undone, 1 change made: the table is as it was$/,
      ),
    ]);
    expect(await addresses()).toEqual([WEB]);
    expect((await lines('history'))[1]).toMatch(/ apply +undone +2 /);
  });

  it('finishes one that had only removals to do, whatever command comes next', async () => {
    await withDirector((director) => director.apply({ desired: before }));
    await interrupted(stateOf({ [WEB]: { '10.0.0.1': 1 } }));
    await lines('service', 'add', 'fwmark:6');
    expect(existsSync(record('journal.json'))).toBe(false);
    expect(await addresses()).toEqual(['fwmark:5', 'fwmark:6', WEB]);
    expect(await table.ipvs.destinations(WEB)).toMatchObject([{ address: '10.0.0.1:80' }]);
    expect(made()).toEqual(['fwmark:6']);
  });
});

describe('what is wrong is told in one line', () => {
  beforeAll(fresh);

  it.each([
    ['history show', 64, /an argument is missing/],
    ['history show x', 64, /an entry of the history is a number, .* not "x"/],
    ['history show 99', 1, /99: there is no such entry; "ipvs history"/],
    ['history 3', 64, /unknown argument: "?3/],
    ['undo 0', 64, /an entry of the history is a number/],
    ['undo 7 --yes', 1, /7: there is no such entry/],
    ['diff 7', 1, /7: there is no such entry/],
    ['diff /no/such/file', 1, /\/no\/such\/file: cannot read the file \(ENOENT\)/],
    ['diff 1 2 3', 64, /unknown argument/],
    ['drift /no/such/file', 1, /\/no\/such\/file: cannot read the file \(ENOENT\)/],
    ['drift --watch 0s', 64, /--watch takes 1s to 1d/],
    ['adopt', 64, /say which services, or --all/],
    ['adopt --all fwmark:1', 64, /--all is every service: name none/],
    ['adopt fwmark:1', 1, /adopt fwmark:1: there is no such service/],
    ['adopt 192.0.2.1', 64, /malformed address/],
    ['disown', 64, /say which services, or --all/],
    ['disown fwmark:1', 1, /disown fwmark:1: there is no such service: it is not ours/],
    ['recover now', 64, /unknown argument/],
  ])('ipvs %s', async (line, status, message) => {
    const result = await ipvs(...line.split(' '));
    expect(result).toEqual({ status, stdout: '', stderr: expect.stringMatching(message) });
    expect(result.stderr).toMatch(/^ipvs: [^\n]+\n$/);
  });
});
