/** The command `ipvs` as it is shipped: built, run by a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Path of a file in dist/, which "npm run build" makes. */
export function built(name: string): string {
  const path = fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is missing: run "npm run build"`);
  return path;
}

/** Runs `ipvs`. Its output is a pipe, so nothing is asked and nothing is coloured. */
export function cli(args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return command([process.execPath, built('cli/ipvs.js'), ...args], options);
}

/** Runs a program. */
export function command(
  [file = '', ...args]: readonly string[],
  { input = '', environment = {} }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, ...environment } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
    // A program that ends before it reads everything is no error.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
