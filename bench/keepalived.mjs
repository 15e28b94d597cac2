// keepalived, checkers off: it loads a table from its file, and takes a change of the file by SIGHUP.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { destinationOf, serviceOf } from './table.mjs';

/** @typedef {import('./table.mjs').Size} Size */

/**
 * @param {Size} size
 * @param {number} weight of the first destination
 */
function configuration({ services, destinations }, weight) {
  const lines = ['global_defs {', '}'];
  const place = (/** @type {string} */ address) => address.replace(':', ' ');
  for (let i = 0; i < services; i++) {
    lines.push(`virtual_server ${place(serviceOf(i).address.slice('tcp://'.length))} {`);
    lines.push('  lb_algo rr', '  lb_kind NAT', '  protocol TCP');
    for (let j = 0; j < destinations; j++) {
      const { address } = destinationOf(i * destinations + j);
      lines.push(`  real_server ${place(address)} {`, `    weight ${i + j === 0 ? weight : 1}`, '  }');
    }
    lines.push('}');
  }
  return `${lines.join('\n')}\n`;
}

export class Keepalived {
  #folder;
  #size;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;

  /**
   * @param {string} folder
   * @param {Size} size
   */
  constructor(folder, size) {
    this.#folder = folder;
    this.#size = size;
  }

  /** @param {string} netns */
  start(netns) {
    this.write(1);
    const file = (/** @type {string} */ name) => join(this.#folder, name);
    const pids = ['-p', file('keepalived.pid'), '-c', file('checkers.pid')];
    const words = ['keepalived', '--check', '--dont-fork', '--no-syslog', '-f', file('keepalived.conf'), ...pids];
    this.#process = spawn('ip', ['netns', 'exec', netns, ...words], { stdio: 'ignore' });
  }

  /** @param {number} weight of the first destination */
  write(weight) {
    writeFileSync(join(this.#folder, 'keepalived.conf'), configuration(this.#size, weight));
  }

  reload() {
    this.#process?.kill('SIGHUP');
  }

  async stop() {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}
