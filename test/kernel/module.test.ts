/** The module ip_vs comes and goes: reading does not load it, changing does, and handles outlive it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { openIpvs } from '../../src/ipvs/ipvs.ts';
import { cli } from '../helpers/cli.ts';
import { kernelTable, refusal } from '../helpers/kernel-table.ts';

const table = kernelTable('module', { keep: true });

function loaded(): boolean {
  return existsSync('/proc/net/ip_vs');
}

/**
 * What holds ip_vs first: schedulers, engines, xt_ipvs where rules were made. Namespaces that were removed are
 * cleaned up only by and by.
 */
async function unload(): Promise<void> {
  for (let attempt = 0; attempt < 300 && loaded(); attempt++) {
    const holders = readdirSync('/sys/module/ip_vs/holders');
    if (spawnSync('modprobe', ['--remove', ...holders, 'ip_vs']).status !== 0) await sleep(100);
  }
  if (loaded()) throw new Error(`ip_vs cannot be unloaded: ${execFileSync('lsmod', { encoding: 'utf8' })}`);
}

describe('where ip_vs is not loaded', () => {
  beforeEach(async ({ skip }) => {
    if (!inject('ipvsLoadedByTests')) skip('ip_vs was loaded before the tests: it is not theirs to unload');
    await table.ipvs.flush();
    await unload();
  });

  // Not everything loads it by itself, and other files expect it.
  afterAll(() => {
    execFileSync('modprobe', ['ip_vs']);
  });

  it.each([
    ['info', () => table.ipvs.info()],
    ['snapshot', () => table.ipvs.snapshot()],
    ['service', () => table.ipvs.service('tcp://192.0.2.1:80')],
    ['destinations', () => table.ipvs.destinations('tcp://192.0.2.1:80')],
  ])('%s says so and does not load it', async (_, attempt) => {
    const error = await refusal(attempt());
    expect(error).toMatchObject({ code: 'IPVS_NOT_LOADED', kind: 'kernel' });
    expect(error.hint).toContain('modprobe ip_vs');
    expect(loaded()).toBe(false);
  });

  it('a change loads it', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'wrr' });
    expect(await table.ipvs.service('tcp://192.0.2.1:80')).toMatchObject({ scheduler: 'wrr' });
  });

  it('a change by the socket options loads it, a read does not', async () => {
    const sockopt = await openIpvs({ netns: table.namespace.name, transport: 'sockopt' });
    expect(await refusal(sockopt.snapshot())).toMatchObject({ code: 'IPVS_NOT_LOADED' });
    expect(loaded()).toBe(false);
    await sockopt.addService({ address: 'tcp://192.0.2.1:80', scheduler: 'wrr' });
    expect((await sockopt.snapshot()).services).toMatchObject([{ scheduler: 'wrr' }]);
    await sockopt.close();
  });

  it('a handle that was used before goes on, whatever number the family has then', async () => {
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    await table.ipvs.flush();
    await unload();
    // The kernel gives numbers in turn, so another family that comes in between takes the old one.
    spawnSync('modprobe', ['--remove', 'l2tp_netlink']);
    spawnSync('modprobe', ['l2tp_netlink']);
    execFileSync('modprobe', ['ip_vs']);

    expect(await table.ipvs.snapshot()).toEqual({ services: [] });
    expect(await table.ipvs.info()).toMatchObject({ version: '1.2.1' });
    await table.ipvs.addService({ address: 'tcp://192.0.2.1:80' });
    expect((await table.ipvs.snapshot()).services).toHaveLength(1);
  });

  it('"ipvs apply --dry-run" shows what it would do and does not load it', async () => {
    // Otherwise a warning says that the answers of servers are not forwarded.
    table.namespace.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
    const input = 'services: [{ address: "tcp://192.0.2.1:80", destinations: [{ address: 10.0.0.1 }] }]';
    const result = await cli(['apply', '-', '--dry-run', '--netns', table.namespace.name], { input });
    expect(result).toMatchObject({ status: 2, stderr: '' });
    expect(result.stdout).toContain('2 to add; 0 unchanged');
    expect(loaded()).toBe(false);
  });
});
