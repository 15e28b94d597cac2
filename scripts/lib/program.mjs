/** A program in a network namespace that is told and answers in lines. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** It ends with this process. */
export class Program {
  #child;
  #lines;
  #ended;

  /** @param {string} namespace @param {string[]} command */
  constructor(namespace, command) {
    // Both "ip" and "setpriv" become the program, so this child's process id is the program's.
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#ended = once(this.#child, 'close').catch(() => []);
    // A program that died shows in line(), which has the better message.
    this.#child.stdin.on('error', () => {});
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** @param {string} text */
  write(text) {
    this.#child.stdin.write(text);
  }

  async line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`a program ended: ${this.#child.spawnargs.join(' ')}`);
    return value;
  }

  async stop() {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), 5000);
    await this.#ended;
    clearTimeout(timer);
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}
