/** The command `ipvs`, as people and scripts use it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Snapshot } from '../../src/ipvs/ipvs.ts';
import { built, type CommandOptions, type CommandResult, cli, command } from '../helpers/cli.ts';
import { done, kernelTable } from '../helpers/kernel-table.ts';
import { ip } from '../helpers/namespace.ts';

// Tests that follow each other build on each other.
const table = kernelTable('cli', { keep: true });

let folder: string;
beforeAll(() => {
  // Answers of masqueraded servers are forwarded; otherwise it warns.
  for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding'])
    table.namespace.run('sysctl', ['-qw', `net.${name}=1`]);
  folder = mkdtempSync(join(tmpdir(), 'ipvs-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What a command does: without a process of its own. */
function ipvs(args: readonly string[]): Promise<CommandResult> {
  return table.namespace.ipvs(args);
}

/** A process, which goes into the namespace by itself. */
function entering(args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return cli([...args, '--netns', table.namespace.name], options);
}

/** A process that is inside already. */
function inside(args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  const prefix = ['ip', 'netns', 'exec', table.namespace.name];
  return command([...prefix, process.execPath, built('cli/ipvs.js'), ...args], options);
}

/** What a command that did something prints. */
function said(stdout: string): CommandResult {
  return { status: 0, stdout, stderr: '' };
}

const web = 'tcp://192.0.2.1:80';
const calls = 'udp://[2001:db8::1]:5060';

describe('one by one', () => {
  it('services are added', async () => {
    expect(await entering(['list'])).toEqual(said('no services\n'));
    expect(await entering(['service', 'add', web, '--scheduler', 'wrr'])).toEqual(said(`added ${web}\n`));

    const settings = ['-s', 'sh', '--scheduler-flags', 'sh-port,sh-fallback', '-p', '15m', '--netmask', '64'];
    expect(
      await ipvs(['service', 'add', 'udp://[2001:DB8:0::1]:5060', ...settings, '--engine', 'sip', '--one-packet']),
    ).toEqual(said(`added ${calls}\n`));

    expect(await table.ipvs.service(web)).toMatchObject({ scheduler: 'wrr', persistence: null });
    expect(await table.ipvs.service(calls)).toEqual({
      address: calls,
      scheduler: 'sh',
      schedulerFlags: ['sh-fallback', 'sh-port'],
      persistence: { timeoutSeconds: 900, netmask: 64, engine: 'sip' },
      onePacket: true,
      destinations: [],
    });
  });

  it('destinations are added', async () => {
    const limits = ['--weight', '3', '--upper-threshold', '100', '--lower-threshold', '50'];
    expect(await ipvs(['destination', 'add', web, '10.0.0.1:8080', ...limits])).toEqual(
      said(`added 10.0.0.1:8080 of ${web}\n`),
    );
    const tunnel = ['--tunnel', 'gue', '--tunnel-port', '6080', '--tunnel-checksum', 'csum', '-w', '0'];
    expect(await ipvs(['dest', 'add', web, '10.0.0.2', ...tunnel, '--json'])).toEqual(
      said(`${JSON.stringify({ done: 'added', subject: `10.0.0.2:80 of ${web}` }, null, 2)}\n`),
    );
    expect(await table.ipvs.destinations(web)).toMatchObject([
      { address: '10.0.0.2:80', weight: 0, forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } },
      { address: '10.0.0.1:8080', weight: 3, forward: 'masquerade', upperThreshold: 100, lowerThreshold: 50 },
    ]);
  });

  it('all of it is listed, as a table and as JSON', async () => {
    expect((await ipvs(['list'])).stdout.split('\n')).toEqual([
      'SERVICE                   SCHEDULER',
      '  DESTINATION             FORWARD               WEIGHT  ACTIVE  INACTIVE',
      'tcp://192.0.2.1:80        wrr',
      '  10.0.0.1:8080           masquerade                 3       0         0',
      '  10.0.0.2:80             tunnel gue:6080 csum       0       0         0',
      'udp://[2001:db8::1]:5060  sh sh-fallback sh-port, persistence 900s/64 sip, one-packet',
      '',
    ]);
    const { status, stdout, stderr } = await ipvs(['list', '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { services } = JSON.parse(stdout) as Snapshot;
    expect(services).toEqual([await table.ipvs.service(web), await table.ipvs.service(calls)]);
  });

  it('one is shown with its counters', async () => {
    const { stdout } = await ipvs(['service', 'show', web]);
    expect(stdout.split('\n').map((line) => line.trim().split(/\s{2,}/))).toEqual([
      ['service', web],
      ['scheduler', 'wrr'],
      ['persistence', 'none'],
      ['one-packet', 'no'],
      ['connections', '0'],
      ['packets', '0 in, 0 out'],
      ['bytes', '0 in, 0 out'],
      [''],
      expect.arrayContaining(['DESTINATION', 'FORWARD', 'WEIGHT', 'UPPER', 'LOWER']),
      ['10.0.0.2:80', 'tunnel gue:6080 csum', ...Array(9).fill('0')],
      ['10.0.0.1:8080', 'masquerade', '3', '100', '50', ...Array(6).fill('0')],
      [''],
    ]);
    const { stdout: json } = await ipvs(['service', 'show', web, '--json']);
    expect(JSON.parse(json)).toMatchObject({
      address: web,
      statistics: { connections: 0, rates: { bytesIn: 0 } },
      destinations: [{ statistics: { bytesOut: 0 } }, {}],
    });
  });

  it('they are edited, and what is not named stays', async () => {
    expect(await ipvs(['service', 'edit', calls, '--persistence', '60'])).toEqual(said(`edited ${calls}\n`));
    expect(await ipvs(['destination', 'edit', web, '10.0.0.1:8080', '-w', '0'])).toEqual(
      said(
        `10.0.0.1:8080 of ${web}: takes the last weight of ${web}, which then refuses new connections\nedited 10.0.0.1:8080 of ${web}\n`,
      ),
    );
    expect(await table.ipvs.service(calls)).toMatchObject({
      scheduler: 'sh',
      persistence: { timeoutSeconds: 60, netmask: 64, engine: 'sip' },
      onePacket: true,
    });
    expect((await table.ipvs.destinations(web))[1]).toMatchObject({ weight: 0, upperThreshold: 100 });
  });

  it('they are deleted', async () => {
    expect(await ipvs(['destination', 'delete', web, '10.0.0.2'])).toEqual(said(`deleted 10.0.0.2:80 of ${web}\n`));
    expect(await ipvs(['service', 'delete', calls])).toEqual(said(`deleted ${calls}\n`));
    expect((await table.ipvs.snapshot()).services).toMatchObject([
      { address: web, destinations: [{ address: '10.0.0.1:8080' }] },
    ]);
  });
});

describe('by a file', () => {
  const description = `
services:
  - address: ${web}
    scheduler: rr
    destinations: [{ address: 10.0.0.3 }, { address: 10.0.0.4, weight: 2 }]
`;

  const changes = [
    `~ ${web}  scheduler wrr → rr`,
    '      takes a grace period of RCU, some 10 ms',
    '      connections stay; new ones are spread by the new rule',
    '    + 10.0.0.3:80  masquerade, weight 1',
    '    + 10.0.0.4:80  masquerade, weight 2',
    '    ? 10.0.0.1:8080  not in the file, and kept: made by a verb',
    '2 to add, 1 to change; 0 unchanged',
  ];

  it('"apply --dry-run" shows the changes; "apply" wants to be sure', async () => {
    const path = file('web.yaml', description);
    const before = await table.ipvs.snapshot();

    expect(await ipvs(['apply', path, '--dry-run'])).toEqual({
      status: 2,
      stdout: `${changes.join('\n')}\n`,
      stderr: '',
    });
    // There is no terminal to ask on.
    const asked = await ipvs(['apply', path]);
    expect(asked).toMatchObject({ status: 64, stdout: '' });
    expect(asked.stderr).toContain('--yes');
    expect(await table.ipvs.snapshot()).toEqual(before);
  });

  it('"apply --yes" makes the changes, and then has nothing to change', async () => {
    const path = file('web.yaml', description);
    expect(await ipvs(['apply', path, '--yes'])).toEqual(said(`${[...changes, '3 changes made'].join('\n')}\n`));
    const again = await inside(['apply', path, '--yes']);
    expect(again).toEqual(said(expect.stringMatching(/^nothing to change; 3 unchanged$/m)));
    expect(await table.ipvs.service(web)).toMatchObject({
      scheduler: 'rr',
      destinations: [{ address: '10.0.0.3:80' }, { address: '10.0.0.4:80', weight: 2 }, { address: '10.0.0.1:8080' }],
    });
  });

  it('"apply --json" reads standard input and prints what it did', async () => {
    const input = description.replace('weight: 2', 'weight: 5');
    const dry = await entering(['apply', '-', '--dry-run', '--json'], { input });
    expect(dry).toMatchObject({ status: 2, stderr: '' });
    expect(JSON.parse(dry.stdout)).toMatchObject({
      changes: [{ verb: 'edit destination', detail: 'weight 2 → 5', phase: 'edit' }],
      unchanged: 2,
    });

    const real = await inside(['apply', '-', '--yes', '--json'], { input });
    expect(real).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(real.stdout)).toMatchObject({
      done: [{ verb: 'edit destination', subject: `10.0.0.4:80 of ${web}` }],
      failed: [],
      skipped: [],
      outcome: 'applied',
    });
    expect((await table.ipvs.destinations(web))[1]).toMatchObject({ weight: 5 });
  });

  it('a refusal of the kernel: exit status 1, and the table is as it was', async () => {
    const path = file(
      'refused.yaml',
      `services: [{ address: "${web}", scheduler: rr, destinations: [{ address: 127.255.255.255 }, { address: 10.0.0.5 }] }]`,
    );
    const { status, stdout, stderr } = await ipvs(['apply', path, '--yes']);
    expect(status).toBe(1);
    expect(stdout).toContain('1 change made, 1 refused, 2 not tried, 1 to undo them: the table is as it was');
    expect(stderr).toMatch(/^ipvs: add destination 127\.255\.255\.255:80 of .*EINVAL.*\n$/);
    expect((await table.ipvs.destinations(web)).map(({ address }) => address)).toEqual([
      '10.0.0.3:80',
      '10.0.0.4:80',
      '10.0.0.1:8080',
    ]);
  });
});

describe('around it', () => {
  it('"info" tells about the kernel, and --log-level what is done', async () => {
    expect(await ipvs(['info'])).toEqual(
      said(expect.stringMatching(/^version +1\.2\.1\ntransport +netlink\nconnection table +\w+.*\nhelpers +/)),
    );

    const { status, stdout, stderr } = await inside(['service', 'add', 'fwmark:9', '--log-level', 'info', '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ done: 'added', subject: 'fwmark:9' });
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ operation: 'service.add', subject: 'fwmark:9', msg: 'add service fwmark:9' }]);

    const refused = await inside(['service', 'add', 'fwmark:9', '--log-level', 'warn']);
    expect(refused.status).toBe(1);
    const [log = '', line] = refused.stderr.split('\n');
    expect(JSON.parse(log)).toMatchObject({ operation: 'service.add', code: 'SERVICE_EXISTS', errno: 17 });
    expect(line).toMatch(/^ipvs: add service fwmark:9: the service exists already \(EEXIST\)/);
  });

  it('--netns moves the whole program, and its pipes go with it', async () => {
    const path = `/run/netns/${table.namespace.name}`;
    const input = `services: [{ address: "${web}" }, { address: "fwmark:10", destinations: [{ address: 10.0.0.1 }] }]`;
    const script = 'set -o pipefail; cat | "$0" "$1" apply - --yes --netns "$2" | cat';
    expect(
      await command(['bash', '-c', script, process.execPath, built('cli/ipvs.js'), path], { input }),
    ).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('changes made'),
      stderr: '',
    });
    expect(await table.ipvs.destinations('fwmark:10')).toMatchObject([{ address: '10.0.0.1:0' }]);
    expect(ip('netns', 'identify', String(process.pid)).trim()).not.toBe(table.namespace.name);
  });

  it('a reader that leaves early is no error', async () => {
    await done(
      table.ipvs,
      Array.from({ length: 250 }, (_, i) => i).flatMap((i) => [
        {
          type: 'service.add' as const,
          service: {
            address: `fwmark:${1000 + i}`,
            scheduler: 'rr',
            schedulerFlags: [],
            persistence: null,
            onePacket: false,
          },
        },
        ...[1, 2, 3, 4, 5, 6, 7, 8].map((host) => ({
          type: 'destination.add' as const,
          service: `fwmark:${1000 + i}`,
          destination: {
            address: `10.0.0.${host}:80`,
            forward: 'masquerade' as const,
            weight: 1,
            upperThreshold: 0,
            lowerThreshold: 0,
          },
        })),
      ]),
    );
    // The status of a pipe is that of its last program that failed.
    const script = 'set -o pipefail; "$0" "$1" list --netns "$2" | head -1';
    expect(await command(['bash', '-c', script, process.execPath, built('cli/ipvs.js'), table.namespace.name])).toEqual(
      {
        status: 0,
        stdout: expect.stringMatching(/^SERVICE +SCHEDULER\n$/),
        stderr: '',
      },
    );
  });

  it('an output that cannot be written is one line and an error', async () => {
    const script = '"$0" "$1" schema >/dev/full';
    expect(await command(['bash', '-c', script, process.execPath, built('cli/ipvs.js')])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'ipvs: the output cannot be written: ENOSPC: no space left on device, write\n',
    });
  });

  it('nobody reads it, or the disk is full: what was to be done is done', async () => {
    const services = Array.from({ length: 300 }, (_, i) => ({
      address: `fwmark:${20_000 + i}`,
      destinations: [{ address: '10.0.0.1:80' }, { address: '10.0.0.2:80' }],
    }));
    const many = file('many.json', JSON.stringify({ services }));
    const few = file(
      'few.json',
      JSON.stringify({
        services: [...services, { address: 'fwmark:30000', destinations: [{ address: '10.0.0.1:80' }] }],
      }),
    );
    const run = (script: string, path: string) =>
      command([
        'ip',
        'netns',
        'exec',
        table.namespace.name,
        'bash',
        '-c',
        script,
        process.execPath,
        built('cli/ipvs.js'),
        path,
      ]);
    const [left, full] = [
      await run('set -o pipefail; "$0" "$1" apply "$2" --yes | head -1', many),
      await run('"$0" "$1" apply "$2" --yes >/dev/full', few),
    ];

    expect(left).toMatchObject({ status: 0, stderr: '' });
    expect(full).toMatchObject({ status: 1, stderr: expect.stringContaining('cannot be written: ENOSPC') });
    const marks = (await table.ipvs.snapshot()).services.filter(({ address }) => /^fwmark:[23]0/.test(address));
    expect(marks).toHaveLength(301);
    expect(marks.map(({ destinations }) => destinations.length).sort()).toEqual([1, ...Array(300).fill(2)]);
  });

  it('"flush" wants to be sure, and removes everything', async () => {
    const asked = await ipvs(['flush']);
    expect(asked).toMatchObject({ status: 64, stdout: '' });
    expect(asked.stderr).toContain('--yes');
    expect((await table.ipvs.snapshot()).services).not.toEqual([]);

    expect(await ipvs(['flush', '--yes'])).toEqual(said('removed all services\n'));
    expect(await table.ipvs.snapshot()).toEqual({ services: [] });
  });
});

describe('what is wrong is told in one line, and changes nothing', () => {
  let before: Snapshot;

  beforeAll(async () => {
    await table.ipvs.flush();
    await table.ipvs.addService({ address: web });
    await table.ipvs.addDestination(web, { address: '10.0.0.1' });
    before = await table.ipvs.snapshot();
  });

  async function refused(attempts: readonly (readonly [readonly string[], number, RegExp])[]): Promise<void> {
    for (const [args, status, line] of attempts) {
      const result = await ipvs(args);
      expect({ args, ...result }).toEqual({ args, status, stdout: '', stderr: expect.stringMatching(line) });
      expect(result.stderr).toMatch(/^ipvs: [^\n]+\n$/);
    }
    expect(await table.ipvs.snapshot()).toEqual(before);
  }

  it('services', async () => {
    const add = ['service', 'add'];
    await refused([
      [[...add, 'fwmark:1', '-s', 'fastest'], 1, /no such scheduler: "fastest" \(ENOENT\).*ip_vs_fastest/],
      [[...add, 'tcp://192.0.2.256:80'], 64, /malformed address: "192\.0\.2\.256"/],
      [[...add, 'tcp://192.0.2.1:65536'], 64, /invalid port: "65536"/],
      [['service', 'delete', 'fwmark:1'], 1, /delete service fwmark:1: there is no such service \(ESRCH\)/],
    ]);
  });

  it('destinations', async () => {
    const add = ['destination', 'add', web];
    await refused([
      [[...add, '10.0.0.1'], 1, /add destination 10\.0\.0\.1:80 of .*exists already \(EEXIST\)/],
      [[...add, '10.0.0.2', '--weight', '2147483648'], 64, /invalid weight: 2147483648/],
      [[...add, '[2001:db8::2]:80'], 64, /different address families.*tunnel/],
      [['dest', 'edit', web, '10.0.0.2', '-w', '1'], 1, /edit destination 10\.0\.0\.2:80 of .*no such destination/],
    ]);
  });

  it('what cannot be had', async () => {
    await refused([
      [['list', '--netns', 'no-such-namespace'], 1, /no such network namespace; "ip netns list"/],
      [['apply', '/no/such/file', '--yes'], 1, /\/no\/such\/file: cannot read the file \(ENOENT\)/],
      [['list', 'fwmark:1'], 1, /read service fwmark:1: there is no such service/],
      [['lsit'], 64, /there is no command "lsit"; did you mean "list"\?/],
      [['service', 'edit', web, '--netmask', '24'], 64, /which the service has not: say --persistence too/],
      [['service', 'add', 'fwmark:2', '--engine', 'sip'], 64, /say --persistence too/],
    ]);
  });

  it('a program without CAP_NET_ADMIN', async () => {
    const prefix = ['ip', 'netns', 'exec', table.namespace.name, 'setpriv', '--bounding-set=-net_admin'];
    const run = (...args: string[]) => command([...prefix, process.execPath, built('cli/ipvs.js'), ...args]);
    const [read, write] = await Promise.all([run('list'), run('flush', '--yes', '--json')]);

    expect(read).toMatchObject({ status: 1, stdout: '' });
    expect(read.stderr).toMatch(/^ipvs: read all services: not permitted \(EPERM\); .*CAP_NET_ADMIN.*\n$/);
    expect(write).toMatchObject({ status: 1, stdout: '' });
    expect(JSON.parse(write.stderr)).toMatchObject({ error: { code: 'PERMISSION_DENIED', errnoName: 'EPERM' } });
    expect(await table.ipvs.snapshot()).toEqual(before);
  });

  it('an addon that does not load', async () => {
    const garbage = file('garbage.node', 'not a shared object\n');
    const attempts = ['/dev/null', garbage].map((path) =>
      inside(['list'], { environment: { IPVS_DIRECTOR_ADDON: path } }),
    );
    const [nothing, wrong] = await Promise.all(attempts);

    expect(nothing).toMatchObject({ status: 1, stdout: '' });
    expect(nothing?.stderr).toMatch(/^ipvs: \/dev\/null: the native addon does not load[^\n]*\n$/);
    expect(wrong).toMatchObject({ status: 1, stdout: '' });
    expect(wrong?.stderr).toMatch(/^ipvs: .*garbage\.node: the native addon does not load: [^\n]*\n$/);
  });

  it('a file: every mistake on a line of its own, with its place', async () => {
    const path = file(
      'wrong.yaml',
      `services:
  - address: tcp://192.0.2.1:80
    schedular: rr
    destinations:
      - { address: 10.0.0.1, wieght: 2 }
`,
    );
    const twice = file(
      'twice.yaml',
      `services:
  - address: tcp://192.0.2.1:80
    destinations:
      - { address: 10.0.0.1 }
      - { address: "10.0.0.1:80" }
      - { address: 10.0.0.2, weight: -1 }
      - { address: "2001:db8::2" }
      - { address: 10.0.0.4, upperThreshold: 1, lowerThreshold: 2 }
  - address: tcp://192.0.2.1:80
  - address: tcp://192.0.2.1:0
  - address: "tcp://[2001:db8::1]:80"
    persistence: { netmask: 129 }
  - address: tcp://192.0.2.2:80
    persistence: { timeout: 50d }
  - address: tcp://192.0.2.300:80
`,
    );
    const [unknown, wrong] = await Promise.all([path, twice].map((path) => ipvs(['apply', path, '--yes'])));

    expect(unknown).toMatchObject({ status: 1, stdout: '' });
    expect(unknown?.stderr.trimEnd().split('\n')).toEqual([
      `${path}:3:5: services[0].schedular: there is no such key; did you mean "scheduler"?`,
      expect.stringMatching(/^ {8}schedular: /),
      '        ^',
      `${path}:5:30: services[0].destinations[0].wieght: there is no such key; did you mean "weight"?`,
      expect.stringContaining('wieght: '),
      `${' '.repeat(33)}^`,
    ]);

    expect(wrong).toMatchObject({ status: 1, stdout: '' });
    const lines = wrong?.stderr
      .trimEnd()
      .split('\n')
      .filter((line) => line.startsWith(`${twice}:`))
      .map((line) => line.replace(`${twice}:`, ''));
    expect(lines).toEqual([
      expect.stringMatching(/^5:\d+: services\[0\]\.destinations\[1\]\.address: 10\.0\.0\.1:80 is described twice/),
      expect.stringMatching(/^6:\d+: services\[0\]\.destinations\[2\]\.weight: .*-1/),
      expect.stringMatching(/^7:\d+: services\[0\]\.destinations\[3\]\.address: .*different address families/),
      expect.stringMatching(/^8:\d+: services\[0\]\.destinations\[4\]\.lowerThreshold: .*above the upper one/),
      expect.stringMatching(/^9:\d+: services\[1\]\.address: tcp:\/\/192\.0\.2\.1:80 is described twice/),
      expect.stringMatching(/^10:\d+: services\[2\]\.address: port 0 .*needs persistence/),
      expect.stringMatching(/^12:\d+: services\[3\]\.persistence\.netmask: .*129/),
      expect.stringMatching(/^14:\d+: services\[4\]\.persistence\.timeout: .*4320000/),
      expect.stringMatching(/^15:\d+: services\[5\]\.address: .*malformed address/),
    ]);
    expect(await table.ipvs.snapshot()).toEqual(before);
  });
});
