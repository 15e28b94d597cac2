/** The command `ipvs` as it is shipped: by a process of its own, or by one that runs many command lines. */
import { type ChildProcess, spawn } from 'node:child_process';
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

export interface ResidentOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Interrupts the command, as ctrl-c does, when it has printed so many lines, or has taken so long. */
  readonly interrupt?: { readonly afterLines: number; readonly atMostMs: number };
}

/** Path of a file in dist/, which "npm run build" makes. */
export function built(name: string): string {
  const path = fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is missing: run "npm run build"`);
  return path;
}

/** Runs `ipvs` as a process. Its output is a pipe, so nothing is asked and nothing is coloured. */
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

/**
 * Runs `ipvs` in a network namespace without a process start: one process for each namespace runs all command
 * lines. Its standard input is empty. For tests of what a command does; what is about its process (signals, a
 * terminal, standard input, --netns, its log) is tested by `cli()`.
 */
export function residentCli(
  namespace: string,
  args: readonly string[],
  options?: ResidentOptions,
): Promise<CommandResult> {
  return residentOf(namespace).run({ args }, options);
}

/** Runs a module there: the status is 1 if it throws. */
export function residentModule(namespace: string, module: string, options?: ResidentOptions): Promise<CommandResult> {
  return residentOf(namespace).run({ args: [], module }, options);
}

function residentOf(namespace: string): Resident {
  let resident = residents.get(namespace);
  if (resident === undefined) {
    resident = new Resident(namespace);
    residents.set(namespace, resident);
  }
  return resident;
}

/** Before the namespace goes. */
export function endResident(namespace: string): void {
  residents.get(namespace)?.end();
  residents.delete(namespace);
}

const residents = new Map<string, Resident>();
const program = fileURLToPath(new URL('resident.mjs', import.meta.url));
/** A byte that no output has. */
const MARK = '\0';

interface Work {
  readonly args: readonly string[];
  readonly module?: string;
}

class Resident {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor(namespace: string) {
    built('cli/main.js');
    const words = ['netns', 'exec', namespace, process.execPath, program, built('cli/ipvs.js')];
    this.#child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    // A test file ends when its tests have ended.
    this.#child.unref();
  }

  /** One at a time: a process has one standard output. */
  run(work: Work, options: ResidentOptions = {}): Promise<CommandResult> {
    const result = this.#last.then(() => this.#run(work, options));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run(work: Work, options: ResidentOptions): Promise<CommandResult> {
    const { cwd = process.cwd(), environment = {}, interrupt } = options;
    let timer: NodeJS.Timeout | undefined;
    // Again and again: before a command has come to what goes on, nobody hears it.
    const stop = () => {
      clearTimeout(timer);
      this.#child.send({ interrupt: true });
      timer = setTimeout(stop, 500);
    };
    if (interrupt) timer = setTimeout(stop, interrupt.atMostMs);
    const answers = Promise.all([
      this.#untilMark('stdout', (text) => {
        if (interrupt && text.split('\n').length > interrupt.afterLines) stop();
      }),
      this.#untilMark('stderr'),
      this.#status(),
    ]);
    // What is set here between the commands, such as IPVS_DIRECTOR_STATE_DIR, is heard by all of them.
    this.#child.send({ ...work, cwd, environment: { ...process.env, ...environment }, mark: MARK });
    try {
      const [stdout, stderr, status] = await answers;
      return { status, stdout, stderr };
    } finally {
      clearTimeout(timer);
    }
  }

  #untilMark(name: 'stdout' | 'stderr', onText?: (text: string) => void): Promise<string> {
    const stream = this.#child[name];
    if (stream === null) throw new Error(`the resident has no ${name}`);
    let text = '';
    return new Promise((resolve, reject) => {
      const take = (piece: string) => {
        text += piece;
        if (!text.endsWith(MARK)) return onText?.(text);
        finish();
        resolve(text.slice(0, -MARK.length));
      };
      const fail = () => {
        finish();
        reject(new Error(`the process that runs ipvs has ended; ${name}: ${text}`));
      };
      const finish = () => stream.off('data', take).off('close', fail);
      stream.setEncoding('utf8').on('data', take).on('close', fail);
    });
  }

  #status(): Promise<number | null> {
    return new Promise((resolve) => {
      const take = (message: { readonly status?: number | null }) => {
        if (message.status === undefined) return;
        this.#child.off('message', take);
        resolve(message.status);
      };
      this.#child.on('message', take);
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }
}
