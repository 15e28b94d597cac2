/** Source NAT, marks and guards of services, on a real kernel: iptables-save as a witness, packets as the proof. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Director, type IntendedPlan, openDirector } from '../../src/director/director.ts';
import { chainPlaces, placeName } from '../../src/iptables/chain.ts';
import { KernelRuleHost } from '../../src/iptables/host.ts';
import { MasqueradeTable } from '../../src/iptables/masquerade-table.ts';
import { linesOfRule, placeOf } from '../../src/iptables/rules/own-rule.ts';
import { openIpvs } from '../../src/ipvs/ipvs.ts';
import { namespacePath } from '../../src/kernel/namespace.ts';
import { native } from '../../src/kernel/native.ts';
import { openRecord } from '../../src/record/record.ts';
import { wantedRules } from '../../src/resources/wanted-rules.ts';
import { parseState } from '../../src/state/document.ts';
import { KernelSysctls } from '../../src/sysctl/sysctls.ts';
import { natAbsence } from '../helpers/nat.ts';
import { type OneArm, otherVip, own, PORT, server, startOneArm, vip } from '../helpers/one-arm.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 100_000 });

const absent = await natAbsence('auto');

let lab: OneArm;
let folder: string;
let director: Director;

beforeEach(async ({ skip }) => {
  skip(absent !== undefined, absent);
  lab = await startOneArm();
  folder = mkdtempSync(join(tmpdir(), 'ipvs-one-arm-'));
  director = await openDirector({ netns: lab.director.name, stateDir: folder });
  return async () => {
    await director.close();
    rmSync(folder, { recursive: true });
    await lab.close();
  };
});
afterEach(() => {
  vi.unstubAllEnvs();
});

async function applied(text: string): Promise<void> {
  const result = await director.apply({ desired: parseState(text) }, { force: true });
  expect(result).toMatchObject({ outcome: 'applied', failed: [] });
}

async function planned(text: string): Promise<IntendedPlan> {
  return director.plan({ desired: parseState(text) });
}

/** What it prints, without what tells the time. */
function saved(program: string, ...args: readonly string[]): string[] {
  return lab.director
    .run(program, args)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Without the chains that iptables makes with a table. */
function rulesIn(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith('-A ') || line.startsWith(':IPVSD'));
}

function allSaved(...args: readonly string[]): string[] {
  return ['iptables-save', 'ip6tables-save'].flatMap((program) => saved(program, ...args));
}

/** How many came to each service, those that were not answered too. */
async function connections(): Promise<Record<string, bigint | undefined>> {
  const { services } = await director.ipvs.snapshot({ statistics: true });
  return Object.fromEntries(services.map(({ address, statistics }) => [address, statistics?.connections]));
}

/** As if its process had ended when it had written chains so often. */
async function directorThatDiesAfter(steps: number): Promise<Director> {
  const path = namespacePath(lab.director.name);
  class Dying extends MasqueradeTable {
    #left = steps;
    override async execute(...args: Parameters<MasqueradeTable['execute']>) {
      const results = await super.execute(...args);
      if (--this.#left === 0) throw new Error('died');
      return results;
    }
  }
  return new Director({
    ipvs: await openIpvs({ netns: lab.director.name }),
    ...openRecord(path, { stateDir: folder }),
    sysctls: new KernelSysctls(native(), path),
    masquerade: new Dying({ host: new KernelRuleHost({ native: native(), namespacePath: path }) }),
  });
}

function sysctl(name: string): string {
  return lab.director.run('cat', [`/proc/sys/${name.replaceAll('.', '/')}`]).trim();
}

const destinations = `destinations: [{ address: "${server.inet}:${PORT}" }, { address: "[${server.inet6}]:${PORT}" }]`;

/** A service of each kind, on both families; `more` is said of each of them. */
function described(more: string): string {
  return `services:
  - { address: [tcp://${vip.inet}:80, "tcp://[${vip.inet6}]:80"], ${more}, ${destinations} }
  - { address: [udp://${vip.inet}:53, "udp://[${vip.inet6}]:53"], ${more}, ${destinations} }
  - address: [fwmark:7, fwmark:7/inet6]
    ${more}
    match:
      - { address: [${vip.inet}, "${vip.inet6}"], protocol: tcp, ports: [8000-8010, 9000] }
      - { address: [${otherVip.inet}, "${otherVip.inet6}"], in: arm0, protocol: [tcp, udp], ports: 443 }
    ${destinations}
`;
}

const ONE_ARM = described('sourceNat: true');
const everywhere = (['inet', 'inet6'] as const).flatMap(
  (family) =>
    [
      ['tcp', vip[family], 80],
      ['udp', vip[family], 53],
      ['tcp', vip[family], 8003],
      ['tcp', vip[family], 9000],
      ['tcp', otherVip[family], 443],
      ['udp', otherVip[family], 443],
    ] as const,
);

describe('services behind one arm', () => {
  test('are seen from the address of the director, and answer; without sourceNat they answer past it', async () => {
    await applied(described('sourceNat: false'));
    expect(lab.ask(['tcp', vip.inet, 80], ['tcp', vip.inet6, 80], ['udp', vip.inet, 53])).toEqual([
      'silent',
      'silent',
      'silent',
    ]);
    await applied(ONE_ARM);
    const seen = lab.ask(...everywhere);
    expect(seen).toEqual(
      everywhere.map(([, address]) => [address.includes(':') ? own.inet6 : own.inet, expect.any(Number)]),
    );
    // The kernel adds counters up every two seconds.
    await vi.waitFor(
      async () =>
        expect(await connections()).toEqual({
          [`tcp://${vip.inet}:80`]: 2n,
          [`tcp://[${vip.inet6}]:80`]: 2n,
          [`udp://${vip.inet}:53`]: 2n,
          [`udp://[${vip.inet6}]:53`]: 1n,
          'fwmark:7': 4n,
          'fwmark:7/inet6': 4n,
        }),
      { timeout: 20_000, interval: 1000 },
    );
    await applied('services: []');
    expect(allSaved().filter((line) => line.includes('IPVSD'))).toEqual([]);
  });

  test('are told from others on their address, and those of a service on every port too', async () => {
    await applied(`services:
  - { address: tcp://${vip.inet}:0, persistence: { timeout: 300s }, sourceNat: true, destinations: [{ address: ${server.inet} }] }
  - { address: tcp://${vip.inet}:80, destinations: [{ address: "${server.inet}:${PORT}" }] }
`);
    expect(lab.ask(['tcp', vip.inet, PORT], ['tcp', vip.inet, 80])).toEqual([[own.inet, expect.any(Number)], 'silent']);
  });

  test('have rules that iptables-save prints as they were written, and leave all others as they were', async () => {
    const foreign = [
      ...['*nat', '[3:180] -A POSTROUTING -s 10.9.0.0/24 -j MASQUERADE', 'COMMIT'],
      ...[
        '*mangle',
        ':OTHER - [0:0]',
        '[0:0] -A PREROUTING -d 10.9.0.0/24 -j OTHER',
        '[0:0] -A OTHER -j RETURN',
        'COMMIT',
      ],
      ...['*filter', '[0:0] -A INPUT -s 10.9.0.0/24 -p tcp -m tcp --dport 22 -j DROP', 'COMMIT\n'],
    ].join('\n');
    lab.director.run('iptables-restore', ['--counters'], { input: foreign });
    const before = saved('iptables-save', '-c');
    const text = `${ONE_ARM}  - { address: tcp://${otherVip.inet}:22, rejectUnserved: true }\n`;
    const [state, none] = [parseState(text), parseState('services: []')];
    await applied(text);
    for (const place of chainPlaces) {
      const program = place.family === 'inet' ? 'iptables-save' : 'ip6tables-save';
      const own = [...wantedRules(state).values()].filter(({ name }) => placeName(placeOf(name)) === placeName(place));
      const printed = saved(program, '-t', place.chain.table).filter((line) =>
        line.startsWith(`-A ${place.chain.name}`),
      );
      expect(printed.sort()).toEqual(
        own.flatMap(({ rule }) => linesOfRule(rule).map((line) => `-A ${place.chain.name} ${line}`)).sort(),
      );
      const jumps = saved(program).filter((line) => line.endsWith(`-j ${place.chain.name}`));
      expect(jumps).toHaveLength(own.length > 0 ? 1 : 0);
    }
    expect(saved('iptables-save', '-c').filter((line) => !line.includes('IPVSD'))).toEqual(before);
    const written = saved('iptables-save', '-c');
    expect((await planned(text)).changes).toEqual([]);
    await director.apply({ desired: state });
    expect(saved('iptables-save', '-c')).toEqual(written);
    await director.apply({ desired: none });
    expect(saved('iptables-save', '-c')).toEqual(before);
  });

  test('are planned with what they need, watched, mended, and undone with it', async () => {
    const service = `{ address: tcp://${vip.inet}:80, sourceNat: true, destinations: [{ address: ${server.inet}:${PORT} }] }`;
    const file = join(folder, 'state.yaml');
    writeFileSync(file, `services: [${service}]\n`);
    const words = ['--state-dir', folder];
    expect(await lab.director.ipvs([...words, 'plan', file])).toMatchObject({
      status: 2,
      stdout: [
        '~ sysctl net.ipv4.ip_forward  0 → 1',
        '      sourceNat needs it: what servers answer is forwarded',
        '      sets some settings of all interfaces to those of a router, or of a host; an undo does not bring back what single ones had',
        '~ sysctl net.ipv4.vs.conntrack  0 → 1',
        '      sourceNat needs it: iptables sees connections of IPVS, from new ones on',
        `+ tcp://${vip.inet}:80  wlc`,
        '    + source NAT  from an address of this host',
        '          real servers see an address of this host instead of the client, from new connections on',
        `    + ${server.inet}:${PORT}  masquerade, weight 1`,
        '3 to add, 2 to change; 1 unchanged\n',
      ].join('\n'),
    });
    await applied(`services: [${service}]`);
    lab.director.run('iptables', ['-t', 'nat', '-D', 'IPVSD-POSTROUTING', '1']);
    expect((await director.drift()).differences).toMatchObject([
      { subject: `tcp://${vip.inet}:80 source NAT`, kind: 'missing', owner: 'ours' },
    ]);
    await applied(`services: [${service}]`);
    expect((await director.drift()).differences).toEqual([]);
    expect(lab.ask(['tcp', vip.inet, 80])).toEqual([[own.inet, expect.any(Number)]]);
    expect(await lab.director.ipvs([...words, 'diff', 'kernel', '2'])).toMatchObject({
      stdout: expect.stringContaining('no change'),
    });
    await director.apply((await director.undoIntent(1)).intent, { force: true });
    expect(allSaved().filter((line) => line.includes('IPVSD'))).toEqual([]);
    expect([sysctl('net.ipv4.ip_forward'), sysctl('net.ipv4.vs.conntrack')]).toEqual(['0', '0']);
  });

  test('are as before where a later step is refused', async () => {
    await applied(ONE_ARM);
    const before = rulesIn(allSaved());
    const text = `${ONE_ARM}  - { address: tcp://${vip.inet}:81, sourceNat: true, rejectUnserved: true, scheduler: nosuch }\n`;
    const result = await director.apply({ desired: parseState(text) });
    expect(result).toMatchObject({ outcome: 'undone', stuck: [] });
    expect(result.failed).toHaveLength(1);
    expect(rulesIn(allSaved())).toEqual(before);
  });

  test('are those of before or those that are wanted, wherever an apply died', async () => {
    const old = parseState(`services: [{ address: tcp://${vip.inet}:80, sourceNat: true, rejectUnserved: true }]`);
    const wanted = parseState(
      `services:\n  - { address: fwmark:7, sourceNat: true, match: [{ in: arm0 }] }\n  - { address: tcp://${vip.inet}:81, rejectUnserved: true }\n`,
    );
    const tables = [];
    for (const desired of [wanted, old]) {
      expect(await director.apply({ desired }, { force: true })).toMatchObject({ outcome: 'applied' });
      tables.push(rulesIn(allSaved()));
    }
    const [after, before] = tables;
    const outcomes = [];
    for (let steps = 1; ; steps++) {
      await using dying = await directorThatDiesAfter(steps);
      const ended = await dying.apply({ desired: wanted }, { force: true }).catch((error: Error) => error.message);
      if (ended !== 'died') {
        expect([ended, rulesIn(allSaved())]).toEqual([expect.objectContaining({ outcome: 'applied' }), after]);
        break;
      }
      expect(director.isInterrupted).toBe(true);
      const recovery = await director.recover();
      const isDone = recovery?.outcome === 'finished';
      expect(rulesIn(allSaved())).toEqual(isDone ? after : before);
      expect((await director.plan({ desired: isDone ? wanted : old })).changes).toEqual([]);
      outcomes.push(recovery?.outcome);
      await director.apply({ desired: old }, { force: true });
    }
    // Source NAT and the guard come first, marks then; at last what leaves.
    expect(outcomes).toEqual(['undone', 'undone', 'finished']);
  });

  test('by tables of legacy', async ({ skip }) => {
    const missing = await natAbsence('legacy');
    skip(missing !== undefined, missing);
    vi.stubEnv('IPVS_DIRECTOR_IPTABLES', 'legacy');
    await using legacy = await openDirector({ netns: lab.director.name, stateDir: folder });
    const text = `services: [{ address: tcp://${vip.inet}:80, sourceNat: true, rejectUnserved: true, ${destinations.replace(/, {.*}/, '')} }]`;
    expect(await legacy.apply({ desired: parseState(text) })).toMatchObject({ outcome: 'applied' });
    expect(lab.ask(['tcp', vip.inet, 80], ['tcp', vip.inet, 81])).toEqual([[own.inet, expect.any(Number)], 'refused']);
    expect(saved('iptables-legacy-save').filter((line) => line.startsWith('-A'))).toHaveLength(7);
    expect((await legacy.plan({ desired: parseState(text) })).changes).toEqual([]);
    await legacy.apply({ desired: parseState('services: []') });
    expect(saved('iptables-legacy-save').filter((line) => line.includes('IPVSD'))).toEqual([]);
  });
});

describe('a guard', () => {
  const guarded = `services:
  - { address: [tcp://${vip.inet}:80, "tcp://[${vip.inet6}]:80"], rejectUnserved: true, sourceNat: true, ${destinations} }
  - address: [fwmark:7, fwmark:7/inet6]
    sourceNat: true
    match: [{ address: [${vip.inet}, "${vip.inet6}"], protocol: tcp, ports: 8000-8010 }]
    ${destinations}
`;

  test('refuses at once what no service serves, lets through what one does, and is of its address alone', async () => {
    await lab.listen(2222, vip.inet, own.inet, vip.inet6, own.inet6);
    expect(lab.ask(['tcp', vip.inet, 2222])).toEqual([[expect.any(String), expect.any(Number)]]);
    await applied(guarded);
    for (const family of ['inet', 'inet6'] as const) {
      expect(
        lab.ask(
          ['tcp', vip[family], 80],
          ['tcp', vip[family], 8001],
          ['icmp', vip[family], 0],
          ['tcp', own[family], 2222],
          ['udp', own[family], 2222],
          ['tcp', vip[family], 2222],
          ['udp', vip[family], 2222],
          ['tcp', vip[family], 8011],
        ),
      ).toEqual([
        [own[family], expect.any(Number)],
        [own[family], expect.any(Number)],
        [],
        [expect.any(String), expect.any(Number)],
        [expect.any(String), expect.any(Number)],
        'refused',
        'refused',
        'refused',
      ]);
    }
    await applied('services: []');
    expect(lab.ask(['tcp', vip.inet, 2222])).toEqual([[expect.any(String), expect.any(Number)]]);
    expect(allSaved().filter((line) => line.includes('IPVSD'))).toEqual([]);
  });

  test('says whom it cuts off, and follows the services of its address', async () => {
    await director.ipvs.addService({ address: `tcp://${vip.inet}:8888` });
    const [guard] = (await planned(guarded)).changes.filter(({ key }) => key === `guard ${vip.inet}`);
    expect(guard?.effects).toEqual([
      'new connections to other ports of the address are refused, those to daemons of this host too',
      `cuts off what is not in the file: tcp://${vip.inet}:8888`,
    ]);
    await applied(guarded);
    const more = `${guarded}  - { address: tcp://${vip.inet}:81, sourceNat: true, destinations: [{ address: ${server.inet}:${PORT} }] }\n`;
    // The guard goes with the service that is meant.
    const result = await director.apply({ desired: parseState(more) }, { targets: [`tcp://${vip.inet}:81`] });
    expect(result.done.map(({ key }) => key)).toContain(`guard ${vip.inet}`);
    expect(lab.ask(['tcp', vip.inet, 81], ['tcp', vip.inet, 8888])).toEqual([
      [own.inet, expect.any(Number)],
      'refused',
    ]);
  });
});

describe('refusals change nothing', () => {
  const text = `services: [{ address: fwmark:7, sourceNat: true, match: [{ in: none0 }], destinations: [{ address: ${server.inet} }] }]`;

  test('an interface that is not there', async () => {
    const before = allSaved();
    const { outcome, failed } = await director.apply({ desired: parseState(text) });
    expect([outcome, failed.map(({ error }) => error.message)]).toEqual([
      'undone',
      ['add marks fwmark:7: there is no such network interface: "none0"'],
    ]);
    expect(allSaved().filter((line) => line.includes('IPVSD'))).toEqual([]);
    expect(allSaved()).toEqual(expect.arrayContaining(before));
    expect([sysctl('net.ipv4.ip_forward'), (await director.ipvs.snapshot()).services]).toEqual(['0', []]);
  });

  test('a kernel without xt_ipvs', async () => {
    const real = execFileSync('sh', ['-c', 'command -v iptables-save'], { encoding: 'utf8' }).trim();
    const programs = {
      'iptables-save': `exec ${real} "$@"`,
      // So say both variants of 1.8.9 where the rule goes in the same commit.
      'iptables-restore': 'echo "Warning: Extension ipvs revision 0 not supported, missing kernel module?" >&2',
    };
    for (const [name, body] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    // In the namespace itself, where no other program is needed to come there.
    using table = new MasqueradeTable({ host: new KernelRuleHost({ native: native(), path: folder }) });
    const [result] = await table.check([
      { type: 'rule.add', rule: { kind: 'sourceNat', service: 'tcp://192.0.2.10:80' } },
    ]);
    expect(result?.error).toMatchObject({
      code: 'EXTENSION_UNAVAILABLE',
      operation: 'add source NAT',
      subject: 'tcp://192.0.2.10:80',
      hint: 'it needs the module xt_ipvs of the running kernel',
    });
  });
});
