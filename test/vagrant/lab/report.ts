/** After a failure: the tables of the directors are printed, and what all machines say of themselves is kept. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { directors, everybody } from './lab.ts';
import { labFolder } from './machine.ts';

const looks = `
  for look in 'ipvs list --exact' 'ipvsadm -Ln --stats' 'ipvsadm -Lnc' 'ipvs history' 'ip address' 'ip rule' \
    'ip route show table all' 'ip neighbour' iptables-save ip6tables-save 'conntrack -L' 'sysctl net.ipv4.vs' \
    'systemctl --failed' 'journalctl --boot --no-pager --lines 300'
  do
    printf '\\n== %s\\n' "$look"
    timeout 60 $look 2>&1 || true
  done`;

export async function report(name: string): Promise<void> {
  const folder = join(labFolder, 'failures', name.replaceAll(/[^\w.-]+/g, '-'));
  mkdirSync(folder, { recursive: true });
  const said = await Promise.allSettled(everybody.map((one) => one.script(looks)));
  said.forEach((result, index) => {
    const text = result.status === 'fulfilled' ? result.value : String(result.reason);
    writeFileSync(join(folder, `${everybody[index]?.name}.log`), text);
  });
  for (const director of directors) {
    const { stdout, stderr } = await director.attempt(['sh', '-c', 'ipvs list; ipvsadm -Ln'], { timeoutMs: 60_000 });
    console.log(`${director.name}:\n${stdout}${stderr}`);
  }
  console.log(`what all machines say of themselves: ${folder}`);
}

/** `beforeAll`, whose failure is reported as that of a test is. */
export function setUp(hook: () => Promise<void>): void {
  beforeAll(async () => {
    try {
      await hook();
    } catch (error) {
      await report(`${basename(expect.getState().testPath ?? '')} set-up`);
      throw error;
    }
  });
}
