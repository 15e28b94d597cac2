/** One machine of the lab, driven over ssh: every command has a time-out, and none goes through a shell of this host. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Where scripts/lab keeps what it made. */
export const labFolder = join(import.meta.dirname, '../../../.cache/lab');
const config = join(labFolder, 'ssh.cfg');

/** Where the masters of shared connections listen: a path of a socket must be short. */
const sockets = mkdtempSync(join(tmpdir(), 'lab-'));
/** Nothing that was started outlives this process. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(sockets, { recursive: true, force: true });
});

function kept<T extends ChildProcess>(child: T): T {
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Starting a program takes seconds where machines are emulated. */
const TIMEOUT_MS = 120_000;
const BOOT_MS = 600_000;

export class Machine {
  readonly name: string;
  #master: ChildProcess | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs a program as root and returns what it printed. Throws, with all of it, unless it ended with status 0. */
  async run(...command: readonly string[]): Promise<string> {
    return this.#said(await this.attempt(command), command);
  }

  /** Runs a script of bash as root. */
  async script(text: string, options: Omit<RunOptions, 'input'> = {}): Promise<string> {
    const command = ['bash', '-euo', 'pipefail', '-s'];
    return this.#said(await this.attempt(command, { ...options, input: text }), [text]);
  }

  /** Runs a program as root, however it ends. */
  async attempt(command: readonly string[], { input = '', timeoutMs = TIMEOUT_MS }: RunOptions = {}): Promise<Result> {
    await this.#connect();
    const child = this.#ssh(command);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const [status] = await once(child, 'close');
    clearTimeout(timer);
    if (status === null) stderr += `\nno end within ${timeoutMs} ms`;
    return { status, stdout, stderr };
  }

  /** Starts a program as root that is told and answers in lines. It ends with its input, and so with this process. */
  async start(...command: readonly string[]): Promise<RemoteProgram> {
    await this.#connect();
    return new RemoteProgram(this.name, this.#ssh(command));
  }

  async write(path: string, text: string): Promise<void> {
    this.#said(
      await this.attempt(['sh', '-c', 'mkdir -p "$(dirname "$1")" && cat >"$1"', 'sh', path], { input: text }),
      ['write', path],
    );
  }

  /** As if its plug were pulled. */
  async powerOff(): Promise<void> {
    this.disconnect();
    await power(this.name, 'off');
  }

  async powerOn(): Promise<void> {
    await power(this.name, 'on');
  }

  /** Waits until it can be worked on. */
  async untilUp(timeoutMs = BOOT_MS): Promise<void> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      this.disconnect();
      const { status, stderr } = await this.attempt(['true'], { timeoutMs: 30_000 });
      if (status === 0) return;
      if (Date.now() > end) throw new Error(`${this.name} is not up after ${timeoutMs} ms: ${stderr}`);
      await sleep(2000);
    }
  }

  disconnect(): void {
    this.#master?.kill('SIGKILL');
    this.#master = undefined;
    rmSync(this.#socket, { force: true });
  }

  get #socket(): string {
    return join(sockets, this.name);
  }

  /** A connection takes a second to be made where machines are emulated; all commands share one. */
  async #connect(): Promise<void> {
    if (this.#master && this.#master.exitCode === null && this.#master.signalCode === null) return;
    if (!existsSync(config)) throw new Error('there is no lab: run "scripts/lab up"');
    const words = ['-F', config, '-N', '-M', '-S', this.#socket, this.name];
    const master = kept(spawn('ssh', words, { stdio: 'ignore' }));
    this.#master = master;
    for (let waitedMs = 0; waitedMs < 60_000 && !existsSync(this.#socket); waitedMs += 50) {
      if (master.exitCode !== null) break;
      await sleep(50);
    }
  }

  #ssh(command: readonly string[]) {
    const words = ['-F', config, '-S', this.#socket, '-o', 'ControlMaster=no', this.name];
    return kept(spawn('ssh', [...words, '--', ...['sudo', '-n', '--', ...command].map(quoted)], { stdio: 'pipe' }));
  }

  #said({ status, stdout, stderr }: Result, command: readonly string[]): string {
    if (status === 0) return stdout;
    throw new Error(`${this.name}: ${command.join(' ')}: status ${status}\n${stdout}${stderr}`);
  }
}

export class RemoteProgram {
  readonly #machine: string;
  readonly #child;
  readonly #lines;
  #stderr = '';

  constructor(machine: string, child: ReturnType<typeof spawn> & { stdin: NodeJS.WritableStream }) {
    if (!child.stdout || !child.stderr) throw new TypeError('a program without pipes');
    this.#machine = machine;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on('data', (text) => {
      this.#stderr += text;
    });
    child.stdin.on('error', () => undefined);
  }

  /** The next line that it prints. Throws when it ended, and when there is none in time. */
  async line(timeoutMs = TIMEOUT_MS): Promise<string> {
    const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
      throw new Error(`${this.#machine}: no line within ${timeoutMs} ms`);
    });
    const { value, done } = await Promise.race([this.#lines.next(), late]);
    if (done) throw new Error(`${this.#machine}: a program ended: ${this.#stderr}`);
    return value;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends its input, and waits for its end. */
  async end(): Promise<void> {
    const closed = this.#child.exitCode === null && this.#child.signalCode === null && once(this.#child, 'close');
    this.#child.stdin?.end();
    if (closed) await Promise.race([closed, sleep(20_000, undefined, { ref: false })]);
    this.#child.kill('SIGKILL');
  }
}

/** A word for the shell of the other side. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

const run = promisify(execFile);

/** What Vagrant has no word for: its own halt and up would do more. */
async function power(machine: string, to: 'on' | 'off'): Promise<void> {
  for (const [provider, words] of Object.entries(powerCommands)) {
    const file = join(labFolder, 'dot/machines', machine, provider, 'id');
    if (!existsSync(file)) continue;
    const [program = '', ...args] = words(readFileSync(file, 'utf8').trim())[to];
    await run(program, args, { timeout: TIMEOUT_MS });
    return;
  }
  throw new Error(`it is not known how to switch ${machine} ${to}`);
}

const powerCommands: Readonly<Record<string, (id: string) => Readonly<Record<'on' | 'off', readonly string[]>>>> = {
  libvirt: (id) => ({
    on: ['virsh', '-c', 'qemu:///system', 'start', id],
    off: ['virsh', '-c', 'qemu:///system', 'destroy', id],
  }),
  virtualbox: (id) => ({
    on: ['VBoxManage', 'startvm', id, '--type', 'headless'],
    off: ['VBoxManage', 'controlvm', id, 'poweroff'],
  }),
};
