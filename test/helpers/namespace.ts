/** Network namespaces for tests: fresh, named after this process, removed afterwards. */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import { type CommandResult, endResident, type ResidentOptions, residentCli, residentModule } from './cli.ts';

export interface TestNamespace {
  readonly name: string;
  /** Runs a program inside it and returns its output; throws if it fails. */
  run(file: string, args?: readonly string[], options?: ExecFileSyncOptions): string;
  /** Runs `ipvs` inside it, without a process start (see residentCli). */
  ipvs(args: readonly string[], options?: ResidentOptions): Promise<CommandResult>;
  /** Runs a module of JavaScript inside it, likewise. */
  module(path: string, options?: ResidentOptions): Promise<CommandResult>;
  remove(): void;
}

let made = 0;

/** Made with `lo` up: without it the kernel has no route to any destination. */
export function makeNamespace(label = 'test'): TestNamespace {
  const name = `ipvs-${label}-${process.pid}-${++made}`;
  ip('netns', 'add', name);
  ip('-netns', name, 'link', 'set', 'lo', 'up');
  return {
    name,
    run: (file, args = [], options = {}) =>
      execFileSync('ip', ['netns', 'exec', name, file, ...args], {
        encoding: 'utf8',
        stdio: 'pipe',
        ...options,
      }) as string,
    ipvs: (args, options) => residentCli(name, args, options),
    module: (path, options) => residentModule(name, path, options),
    remove: () => {
      endResident(name);
      ip('netns', 'delete', name);
    },
  };
}

export function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
}
