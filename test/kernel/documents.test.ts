/** Every example in the README and in docs/ is run, or is the text of something that is run. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocksOf, documents } from '../helpers/documents.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

const scripts = JSON.parse(readFileSync('package.json', 'utf8')).scripts as Record<string, string>;
const program = resolve('dist/cli/ipvs.js');
// Inside the project, so that examples import the package by its name.
const folder = resolve('.cache/documents');
let namespace: TestNamespace;

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ipvs'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What goes on until it is interrupted is given the time to show something. */
const WATCHED_MS = { silent: 15_000, afterFirstOutput: 1500 };

function inNamespace(
  file: string,
  args: readonly string[],
  isWatched = false,
): Promise<{ status: number | null; output: string }> {
  const PATH = `${folder}:${process.env['PATH']}`;
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['netns', 'exec', namespace.name, file, ...args], {
      cwd: folder,
      env: { ...process.env, PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const interrupt = () => child.kill('SIGINT');
    const timers = isWatched ? [setTimeout(interrupt, WATCHED_MS.silent)] : [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (isWatched && output === '') timers.push(setTimeout(interrupt, WATCHED_MS.afterFirstOutput));
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      for (const timer of timers) clearTimeout(timer);
      resolve({ status, output });
    });
  });
}

/** Documents show the time of their own example. */
function timeless(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME');
}

/** Runs a line of shell; of what would install or test the project itself, checks only that it exists. */
async function runLine(line: string): Promise<string> {
  const [word = '', next = '', last = ''] = line.replace(/\s+#.*/, '').split(/\s+/);
  if (word === 'ipvs' || word === 'ipvsadm') {
    const isWatched = / --watch| defense run | sysctl guard/.test(line);
    const { status, output } = await inNamespace('bash', ['-c', line], isWatched);
    expect(status, `${line}: ${output}`).not.toBe(64);
    return output;
  }
  if (word === 'npm' && next === 'run') expect(scripts).toHaveProperty(last);
  else if (word === 'npm') expect(['test', 'install']).toContain(next);
  else expect(existsSync(word), line).toBe(true);
  return '';
}

describe.each(documents.filter((document) => blocksOf(document).length > 0))('%s', (document) => {
  beforeAll(() => {
    namespace = makeNamespace('documents');
  });
  afterAll(() => namespace.remove());

  let output = '';
  for (const { language, text, line } of blocksOf(document)) {
    test(`line ${line}: ${language}`, async () => {
      if (language === 'yaml') {
        // What stands in it is checked by test/unit/documents.test.ts.
        const name = /^# (\S+\.yaml)$/m.exec(text)?.[1];
        if (name) writeFileSync(join(folder, name), text);
      } else if (language === 'sh') {
        output = '';
        for (const command of text.trim().split('\n')) output += await runLine(command);
      } else if (language === 'text') {
        expect(timeless(output)).toContain(timeless(text));
      } else if (text.includes("from 'vitest'")) {
        const name = document.replace('docs/guides/testing.md', 'test/kernel/example.test.ts');
        expect(readFileSync(name, 'utf8')).toBe(text);
      } else {
        writeFileSync(join(folder, 'example.mjs'), text);
        const result = await inNamespace(process.execPath, ['example.mjs']);
        expect(result.status, result.output).toBe(0);
      }
    });
  }
});
