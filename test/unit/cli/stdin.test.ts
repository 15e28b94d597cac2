/** `-`: standard input, whatever it is. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { built, command } from '../../helpers/cli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-stdin-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const validate = (...args: readonly string[]) => [process.execPath, built('cli/ipvs.js'), 'validate', ...args];

test('a pipe that is non-blocking, and whose data come late', async () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY);
  // Node makes the first three descriptors of a child blocking; the shell leaves them as they are.
  const child = spawn('sh', ['-c', 'exec "$@" <&3', 'sh', ...validate('-')], {
    stdio: ['ignore', 'pipe', 'pipe', reader],
  });
  closeSync(reader);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text));
  const status = new Promise((resolve) => child.on('close', resolve));
  const early = await Promise.race([status, wait(2000, 'it waits')]);
  expect({ early, output }).toEqual({ early: 'it waits', output: '' });
  writeSync(writer, 'services:');
  await wait(200);
  writeSync(writer, ' []\n');
  closeSync(writer);
  expect({ status: await status, output }).toEqual({
    status: 0,
    output: 'stdin: valid: 0 services, 0 destinations\n',
  });
});

test('a pipe, and a file', async () => {
  const valid = { status: 0, stdout: 'stdin: valid: 0 services, 0 destinations\n', stderr: '' };
  expect(await command(validate('-'), { input: 'services: []\n' })).toEqual(valid);
  expect(await command(['sh', '-c', 'echo "services: []" >"$0/f" && "$@" <"$0/f"', folder, ...validate('-')])).toEqual(
    valid,
  );
});

test('a pipe by another name is refused, with a hint', async () => {
  const { status, stderr } = await command(validate('/dev/stdin'), { input: 'services: []\n' });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: 'ipvs: /dev/stdin: cannot read the file: it is not a regular file; "-" reads from a pipe\n',
  });
});
