/** Plans that were kept, and `--target`, on a table in memory; run in this process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { command as apply } from '../../../src/cli/commands/apply.ts';
import { command as plan } from '../../../src/cli/commands/plan.ts';
import type { GlobalOptions } from '../../../src/cli/spec/global-options.ts';

const [A, B] = ['tcp://192.0.2.1:80', 'tcp://192.0.2.2:80'];
let folder: string;
let globals: GlobalOptions;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-kept-'));
  globals = { transport: 'memory', state: join(folder, 'table.json'), color: false };
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string) => join(folder, name);

function write(name: string, ...addresses: readonly string[]): string {
  writeFileSync(file(name), JSON.stringify({ services: addresses.map((address) => ({ address })) }));
  return file(name);
}

async function run(command: typeof apply, options: object) {
  const output: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => output.push(String(text)) > 0);
  vi.spyOn(console, 'error').mockImplementation((text) => void output.push(`${text}\n`));
  try {
    const status = await command.run({ ...globals, ...options } as GlobalOptions);
    return { status, output: output.join('') };
  } finally {
    vi.restoreAllMocks();
  }
}

test('one is shown, without the table that it is for', async () => {
  const out = file('plan');
  const made = await run(plan, { file: write('a.json', A, B), out });
  expect(made).toEqual({ status: 2, output: `+ ${A}  wlc\n+ ${B}  wlc\n2 to add; 0 unchanged\n` });
  expect(await run(plan, { file: out, transport: 'netlink', state: undefined })).toEqual(made);
  expect(JSON.parse((await run(plan, { file: out, json: true })).output)).toMatchObject({
    changes: [{ key: A }, { key: B }],
  });
});

test('is not shown otherwise than it was made', async () => {
  const out = file('plan');
  await run(plan, { file: write('a.json', A), out });
  for (const more of [{ adopt: true }, { target: A }, { prune: 'all' }, { maxChange: '5%' }, { out: file('other') }])
    await expect(run(plan, { file: out, ...more })).rejects.toThrow(/as it is/);
});

test('apply --dry-run of one does what apply does', async () => {
  const out = file('plan');
  await run(plan, { file: write('a.json', A, B), out });
  expect(await run(apply, { file: out, dryRun: true })).toMatchObject({ status: 2 });
  expect(await run(apply, { file: out, yes: true })).toMatchObject({ status: 0 });
  for (const how of [{ dryRun: true }, { yes: true }, {}])
    await expect(run(apply, { file: out, ...how })).rejects.toMatchObject({ code: 'PLAN_OUTDATED' });
});

test.each<[string, object]>([
  ['no changes', { changes: undefined }],
  [
    'a change without effects',
    { changes: [{ resource: 'services', phase: 'edit', verb: '', subject: '', key: '', of: '', detail: '' }] },
  ],
  ['a change that is none', { changes: [null] }],
  ['no conflicts', { conflicts: {} }],
  ['a stray that is none', { strays: ['x'] }],
  ['no options', { options: null }],
  ['no intent', { intent: 5 }],
])('one with %s is refused', async (_, wrong) => {
  const whole = {
    table: 'memory',
    changes: [],
    conflicts: [],
    strays: [],
    excess: [],
    unchanged: 0,
    options: {},
    intent: { desired: { services: [] } },
  };
  const kept = (plan: object) =>
    writeFileSync(file('plan'), JSON.stringify({ format: 'ipvs-director plan', version: 1, plan }));
  kept(whole);
  expect(await run(plan, { file: file('plan') })).toEqual({ status: 0, output: 'nothing to change; 0 unchanged\n' });
  kept({ ...whole, ...wrong });
  await expect(run(plan, { file: file('plan') })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
});

test('--target of a service that has left: nothing to change, every time', async () => {
  await run(apply, { file: write('a.json', A, B), yes: true });
  const without = { file: write('b.json', A), target: B, yes: true };
  expect(await run(apply, without)).toMatchObject({ status: 0, output: expect.stringContaining('1 change made') });
  for (let again = 0; again < 2; again++)
    expect(await run(apply, without)).toEqual({ status: 0, output: 'nothing to change; 0 unchanged\n' });
});
