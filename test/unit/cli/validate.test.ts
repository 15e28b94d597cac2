/** `ipvs validate`, run in this process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { command } from '../../../src/cli/commands/validate.ts';
import type { GlobalOptions } from '../../../src/cli/spec/global-options.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ipvs-validate-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

/** Writes the files and validates them; what it prints names them without their folder. */
async function validate(files: Readonly<Record<string, string | null>>, options: object = {}) {
  const stdout: string[] = [];
  const stderr: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => stdout.push(String(text)) > 0);
  vi.spyOn(console, 'error').mockImplementation((text) => void stderr.push(`${text}\n`));
  for (const [name, text] of Object.entries(files)) if (text !== null) writeFileSync(join(folder, name), text);
  const file = Object.keys(files).map((name) => join(folder, name));
  const status = await command.run({ file, ...options } as GlobalOptions);
  vi.restoreAllMocks();
  const told = (lines: readonly string[]) => lines.join('').replaceAll(`${folder}/`, '');
  return { status, stdout: told(stdout), stderr: told(stderr) };
}

const WEB =
  'services: [{ address: "tcp://192.0.2.1:80-81", destinations: [{ address: 10.0.0.1 }, { address: 10.0.0.2 }] }]';

test('says what a valid file holds', async () => {
  const one = '{"services": [{"address": "fwmark:1", "destinations": [{"address": "10.0.0.1"}]}]}';
  expect(await validate({ 'web.yaml': WEB, 'one.json': one, 'none.yaml': 'services: []' })).toEqual({
    status: 0,
    stdout:
      'web.yaml: valid: 2 services, 4 destinations\none.json: valid: 1 service, 1 destination\nnone.yaml: valid: 0 services, 0 destinations\n',
    stderr: '',
  });
});

test.each(['', '# nothing yet\n', '---\n', '{}'])(
  'refuses %j, as a file that was cut off would take everything away',
  async (text) => {
    const { status, stderr } = await validate({ 'web.yaml': text });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^web\.yaml:\d+:\d+: it says nothing; a table without services is described by "services: \[\]"/,
    );
  },
);

test('tells all that is wrong with any of them, with the place and a caret', async () => {
  const files = {
    'a.yaml': 'services:\n  - { address: fwmark:1, shceduler: wrr }\n  - { address: fwmark:0 }\n',
    'good.yaml': WEB,
    'b.yaml': 'timeout: { tcp: 5m }\n',
    'missing.yaml': null,
  };
  expect(await validate(files)).toEqual({
    status: 1,
    stdout: 'good.yaml: valid: 2 services, 4 destinations\n',
    stderr: `a.yaml:2:26: services[0].shceduler: there is no such key; did you mean "scheduler"?
      - { address: fwmark:1, shceduler: wrr }
                             ^
a.yaml:3:16: services[1].address: invalid firewall mark: "0"; a mark is a number from 1 to 4294967295
      - { address: fwmark:0 }
                   ^
b.yaml:1:1: timeout: there is no such key; did you mean "timeouts"?
    timeout: { tcp: 5m }
    ^
ipvs: missing.yaml: cannot read the file (ENOENT)
`,
  });
});

test('at most 100 problems, then how many more', async () => {
  const file = (problems: number) => `services:\n${'  - { address: fwmark:0 }\n'.repeat(problems)}`;
  const lines = async (problems: number) => (await validate({ 'a.yaml': file(problems) })).stderr.split('\n');
  expect((await lines(100)).slice(297)).toEqual([
    'a.yaml:101:16: services[99].address: invalid firewall mark: "0"; a mark is a number from 1 to 4294967295',
    '      - { address: fwmark:0 }',
    '                   ^',
    '',
  ]);
  expect((await lines(250)).slice(300)).toEqual(['... and 150 more', '']);
  const { stdout } = await validate({ 'a.yaml': file(250) }, { json: true });
  expect(JSON.parse(stdout)[0].problems).toHaveLength(250);
});

test('nothing that a terminal obeys, in names of files and in what they say', async () => {
  const name = '\x1b[2J\nroot.yaml';
  const escaped = '\\u001b[2J\\u000aroot.yaml';
  expect(await validate({ [name]: 'services: []' })).toMatchObject({
    stdout: `${escaped}: valid: 0 services, 0 destinations\n`,
  });
  expect(await validate({ [name]: 'services: [{ address: "\x9b31m" }]' })).toMatchObject({
    stderr: expect.stringMatching(
      /^\\u001b\[2J\\u000aroot\.yaml:1:23: services\[0\]\.address: malformed address: "\\u009b31m";.*\n {4}services: \[\{ address: " 31m" \}\]\n +\^\n$/,
    ),
  });
  expect(await validate({ [`missing${name}`]: null })).toMatchObject({
    stderr: `ipvs: missing${escaped}: cannot read the file (ENOENT)\n`,
  });
});

test('each is for itself', async () => {
  expect(await validate({ 'a.yaml': WEB, 'b.yaml': WEB })).toMatchObject({ status: 0 });
});

test('what does not prevent anything is told too', async () => {
  expect(await validate({ 'a.yaml': 'services: [{ address: fwmark:1, scheduler: wrrr }]' })).toEqual({
    status: 0,
    stdout: 'a.yaml: valid: 1 service, 0 destinations\n',
    stderr: `a.yaml:1:44: warning: services[0].scheduler: Linux has no scheduler "wrrr"; did you mean "wrr"?
    services: [{ address: fwmark:1, scheduler: wrrr }]
                                               ^
`,
  });
});

test('--no-resolve asks for no host, and checks all else', async () => {
  const text = (more: string) => `services:
  - address: [tcp://192.0.2.1:80, "tcp://[2001:db8::1]:80"]
    destinations: [{ address: a.invalid }, { address: "a.invalid:81" }, { address: b.invalid${more} }]
`;
  expect(await validate({ 'a.yaml': text('') }, { resolve: false })).toEqual({
    status: 0,
    stdout: 'a.yaml: valid: 2 services, 6 destinations, 2 hosts not resolved\n',
    stderr: '',
  });
  expect(await validate({ 'a.yaml': text(', weight: -1') }, { resolve: false })).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^a\.yaml:3:103: services\[0\]\.destinations\[2\]\.weight: invalid weight: -1/),
  });
});

test('--json tells it as data', async () => {
  const files = { 'a.yaml': WEB, 'b.yaml': 'timeout: 1', 'missing.yaml': null };
  const { status, stdout, stderr } = await validate(files, { json: true });
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  expect(JSON.parse(stdout)).toEqual([
    { file: 'a.yaml', valid: true, services: 2, destinations: 4, hosts: 0, warnings: [] },
    {
      file: 'b.yaml',
      valid: false,
      code: 'CONFIG_INVALID',
      problems: [
        {
          file: 'b.yaml',
          line: 1,
          column: 1,
          path: 'timeout',
          message: 'there is no such key; did you mean "timeouts"?',
          suggestion: 'timeouts',
          excerpt: 'timeout: 1\n^',
        },
      ],
    },
    {
      file: 'missing.yaml',
      valid: false,
      code: 'FILE_UNREADABLE',
      message: 'missing.yaml: cannot read the file (ENOENT)',
    },
  ]);
});
