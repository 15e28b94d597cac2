/** Root does not use a state folder that another user can change: not for a table in memory, nor for one of the kernel. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { built, type CommandResult, command } from '../helpers/cli.ts';
import { kernelTable } from '../helpers/kernel-table.ts';

const table = kernelTable('statefolder');
const NOBODY = 65_534;
const WEB = 'tcp://192.0.2.1:80';

let place: string;
let victim: string;
let stateDir: string;
let file: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ipvs-state-'));
  chmodSync(place, 0o755);
  victim = join(place, 'victim');
  stateDir = join(place, 'st');
  file = join(place, 'web.yaml');
  mkdirSync(victim);
  for (let i = 1; i <= 131; i++) writeFileSync(join(victim, `${i}`), 'keep');
  writeFileSync(file, `services: [{ address: "${WEB}" }]`);
  mkdirSync(stateDir, { mode: 0o700 });
  return () => rmSync(place, { recursive: true, force: true });
});

const asNobody = (...words: string[]) =>
  command(['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...words]);

const inMemory = (): Promise<CommandResult> => {
  const words = ['--transport', 'memory', '--state', join(place, 't.json'), '--state-dir', stateDir];
  return command([process.execPath, built('cli/ipvs.js'), 'apply', file, '--yes', ...words]);
};
const inKernel = () => table.namespace.ipvs(['apply', file, '--yes', '--state-dir', stateDir]);
const byVerb = () => table.namespace.ipvs(['service', 'add', WEB, '--state-dir', stateDir]);

const refused = (detail: string) => ({
  status: 1,
  stdout: '',
  stderr: expect.stringMatching(new RegExp(`^ipvs: ${stateDir}: the state folder is not safe: ${detail}[^\n]*\n$`)),
});

describe.each([
  ['a table in memory', inMemory],
  ['a table of the kernel', inKernel],
  ['a single verb', byVerb],
])('%s', (_, change) => {
  it('is left alone if others can write to the state folder, and nothing of theirs is removed', async () => {
    chmodSync(stateDir, 0o777);
    for (const name of ['history', 'objects', `netns-${table.namespace.name}`])
      expect(await asNobody('ln', '-s', victim, join(stateDir, name))).toMatchObject({ status: 0 });
    expect(await change()).toEqual(refused('other users can write to it \\(mode 777\\); "chmod go-w '));
    expect(readdirSync(victim)).toHaveLength(131);
    expect((await table.ipvs.snapshot()).services).toEqual([]);
  });

  it('is left alone if another user owns it', async () => {
    chownSync(stateDir, NOBODY, NOBODY);
    expect(await change()).toEqual(refused('user 65534 owns it, and this is user 0; name a folder'));
    expect((await table.ipvs.snapshot()).services).toEqual([]);
  });

  it('is left alone if it is a link', async () => {
    rmSync(stateDir, { recursive: true });
    await command(['ln', '-s', victim, stateDir]);
    expect(await change()).toEqual(refused('it is a symbolic link; name the folder'));
    expect(readdirSync(victim)).toHaveLength(131);
  });

  it("is changed if the folder is root's own, or there is none yet", async () => {
    expect(await change()).toMatchObject({ status: 0 });
    rmSync(stateDir, { recursive: true });
    await command(['rm', '-f', join(place, 't.json')]);
    await table.ipvs.flush();
    expect(await change()).toMatchObject({ status: 0 });
  });
});
