import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { identityOf } from '../../../src/kernel/identity.ts';
import { built } from '../../helpers/cli.ts';

const native = { openDatagram: () => -1, getOption: () => -1, close: () => 0 };

it('the namespace of process 1 is the host, also for whom its link is not to be seen', () => {
  const program = `
    const { identityOf } = await import(${JSON.stringify(built('kernel/identity.js'))});
    console.log(identityOf({ openDatagram: () => -1 }, '').name);`;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  // As a service has it whose capabilities are few. Without root there is none to begin with.
  const without = process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-sys_ptrace'] : [];
  const [file = '', ...args] = [...without, ...node];
  const first = statSync('/proc/1/net/dev').ino === statSync('/proc/self/net/dev').ino;
  expect(execFileSync(file, args, { encoding: 'utf8' })).toMatch(first ? /^host\n$/ : /^(netns|inode)-/);
});

it('the identity is of this boot', () => {
  expect(identityOf(native, '').table).toMatch(/^[0-9a-f-]{36}\/inode-\d+$/);
});
