/** What a user gets, on a machine without a compiler: the tarball by npm, and the Debian package. */
import { afterAll, describe, expect, it } from 'vitest';
import { machine } from './lab/lab.ts';
import { setUp } from './lab/report.ts';

// It balances nothing in the other tests.
const host = machine('client');

async function list(folder: string): Promise<string[]> {
  return (await host.run('find', folder, '-name', '*ipvs*', '-not', '-path', '/proc/*')).split('\n').filter(Boolean);
}

/** The product reaches the kernel, and a peer sees it. */
async function balances(): Promise<void> {
  await host.run('ipvs', 'service', 'add', 'tcp://192.0.2.1:80', '--scheduler', 'wrr');
  await host.run('ipvs', 'destination', 'add', 'tcp://192.0.2.1:80', '192.0.2.11', '--weight', '3');
  expect(await host.run('ipvsadm', '-Sn')).toBe(
    '-A -t 192.0.2.1:80 -s wrr\n-a -t 192.0.2.1:80 -r 192.0.2.11:80 -m -w 3\n',
  );
  expect(JSON.parse(await host.run('ipvs', 'list', '--json'))).toMatchObject({
    services: [{ address: 'tcp://192.0.2.1:80', destinations: [{ address: '192.0.2.11:80', weight: 3 }] }],
  });
}

describe.sequential('without a compiler', () => {
  setUp(async () => {
    await host.script(
      'dpkg --purge ipvs-director 2>/dev/null || true; npm uninstall --global ipvs-director; ipvsadm -C',
    );
  });
  afterAll(async () => {
    await host.run('ipvsadm', '-C');
  });

  it('there is none', async () => {
    expect((await host.attempt(['sh', '-c', 'command -v cc c++ gcc g++ make'])).stdout).toBe('');
  });

  it('the tarball is installed by npm, balances, and goes', async () => {
    const from = '--offline --cache /srv/product/cache --no-audit --no-fund';
    await host.script(`npm install --global ${from} /srv/product/*.tgz`, { timeoutMs: 300_000 });
    await balances();
    expect(await host.run('ipvs', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    await host.run('ipvsadm', '-C');
    await host.run('npm', 'uninstall', '--global', 'ipvs-director');
    expect(await list('/usr/local/lib/node_modules')).toEqual([]);
  });

  it('the Debian package has command, units, man page and completion', async () => {
    await host.script('dpkg --install /srv/product/*.deb');
    await balances();
    const units = ['ipvs-director.service', 'ipvs-defense.service', 'ipvs-drain.service', 'ipvs-drain.path'];
    await host.run('systemd-analyze', 'verify', ...units);
    expect(await host.run('man', '--where', 'ipvs')).toMatch(/ipvs\.8\.gz$/m);
    expect(await host.run('bash', '-c', '. /usr/share/bash-completion/completions/ipvs; complete -p ipvs')).toMatch(
      / ipvs$/m,
    );
    // Nobody's traffic is balanced because a package was installed.
    for (const unit of ['ipvs-director', 'ipvs-defense', 'ipvs-drain.path'])
      expect((await host.attempt(['systemctl', 'is-enabled', unit])).stdout).toBe('disabled\n');
  });

  it('its removal leaves the table and the record, its purge nothing but the table', async () => {
    await host.run('dpkg', '--remove', 'ipvs-director');
    expect((await host.attempt(['sh', '-c', 'command -v ipvs'])).stdout).toBe('');
    expect(await host.run('ipvsadm', '-Sn')).toContain('-a -t 192.0.2.1:80 -r 192.0.2.11:80');
    expect(await list('/var/lib/ipvs-director')).not.toEqual([]);
    await host.run('dpkg', '--purge', 'ipvs-director');
    for (const folder of ['/etc', '/usr', '/var/lib'])
      expect(
        (await list(folder)).filter((path) => /(?<!netfilter)\/(ipvs[-_]d|ipvs$|ipvs\.8|_ipvs$)/.test(path)),
      ).toEqual([]);
  });
});
