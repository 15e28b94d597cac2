/** Runs the examples of documents: every block of code is run, or is the text of something that is run. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { built } from './cli.ts';
import { blocksOf } from './documents.ts';
import { makeNamespace, type TestNamespace } from './namespace.ts';

const scripts = JSON.parse(readFileSync('package.json', 'utf8')).scripts as Record<string, string>;

/** What goes on until it is interrupted is given the time to show something. */
const interrupt = { afterLines: 1, atMostMs: 3000 };
const GOES_ON = / --watch| defense run | sysctl guard/;
/** Documents show a host that forwards; the namespace of an example does not. */
const NO_ROUTER = /^ipvs: warning: \S+: net\.ipv[46]\.\S+ is 0, .*\n/gm;
/** Words that are a shell's: such a line is run by one. */
const SHELL = /[|&;<>$`*?(){}\\~]|^\w+=/;

/** Documents show the time of their own example. */
function timeless(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME');
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );
}

/** Declares a test for each block of these documents; `piece` is a name for those of one test file. */
export function runDocuments(piece: string, documents: readonly string[]): void {
  // Inside the project, so that examples import the package by its name.
  const folder = resolve('.cache/documents', piece);
  const PATH = `${folder}:${process.env['PATH']}`;
  let namespace: TestNamespace;

  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const program = `#!/bin/sh\nexec "${process.execPath}" "${built('cli/ipvs.js')}" "$@"\n`;
    writeFileSync(join(folder, 'ipvs'), program, { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function inNamespace(file: string, args: readonly string[]): Promise<{ status: number | null; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn('ip', ['netns', 'exec', namespace.name, file, ...args], {
        cwd: folder,
        env: { ...process.env, PATH },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      }
      child.on('error', reject);
      child.on('close', (status) => resolve({ status, output: output.replaceAll(NO_ROUTER, '') }));
    });
  }

  async function runProduct(line: string): Promise<{ status: number | null; output: string }> {
    const [program, ...args] = wordsOf(line.replace(/\s+#.*/, ''));
    if (program !== 'ipvs' || args.some((word) => SHELL.test(word))) return inNamespace('bash', ['-c', line]);
    const options = { cwd: folder, environment: { PATH }, ...(GOES_ON.test(line) && { interrupt }) };
    const { status, stdout, stderr } = await namespace.ipvs(args, options);
    return { status, output: stdout + stderr };
  }

  /** Runs a line of shell; of what would install or test the project itself, checks only that it exists. */
  async function runLine(line: string): Promise<string> {
    const [word = '', next = '', last = ''] = line.replace(/\s+#.*/, '').split(/\s+/);
    if (word === 'ipvs' || word === 'ipvsadm') {
      const { status, output } = await runProduct(line);
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
          const example = join(folder, 'example.mjs');
          writeFileSync(example, text);
          const { status, stdout, stderr } = await namespace.module(example, { cwd: folder });
          expect(status, stdout + stderr).toBe(0);
        }
      });
    }
  });
}
