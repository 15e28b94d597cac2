/** keepalived(8) with its health checks alone, and the table that its file comes to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A virtual server as its file has it. */
export interface VirtualServer {
  /** "192.0.2.10:80", or "fwmark 7". */
  readonly address: string;
  readonly scheduler: string;
  readonly kind: 'NAT' | 'DR';
  /** Weights by "10.0.0.11:80". */
  readonly servers: Readonly<Record<string, number>>;
}

/** What `ipvsadm -Sn` prints of a service, without its destinations. */
export function serviceLine({ address, scheduler }: Pick<VirtualServer, 'address' | 'scheduler'>): string {
  return `-A ${identity(address)} -s ${scheduler}`;
}

export function destinationLine(
  { address, kind }: Pick<VirtualServer, 'address' | 'kind'>,
  server: string,
  weight: number,
): string {
  const real = hasMark(address) ? server.replace(/:\d+$/, ':0') : server;
  return `-a ${identity(address)} -r ${real} ${kind === 'NAT' ? '-m' : '-g'} -w ${weight}`;
}

/** Then the destinations have no port: packets keep theirs. */
function hasMark(address: string): boolean {
  return address.startsWith('fwmark ');
}

function identity(address: string): string {
  return hasMark(address) ? `-f ${address.slice('fwmark '.length)}` : `-t ${address}`;
}

export class Keepalived {
  readonly #folder: string;
  readonly #netns: string;
  #process: ChildProcess | undefined;

  constructor(folder: string, netns: string) {
    this.#folder = folder;
    this.#netns = netns;
  }

  write(servers: readonly VirtualServer[]): void {
    writeFileSync(
      join(this.#folder, 'keepalived.conf'),
      ['global_defs {', '}', ...servers.flatMap(lines), ''].join('\n'),
    );
  }

  start(): void {
    const file = (name: string) => join(this.#folder, name);
    const pids = ['-p', file('keepalived.pid'), '-c', file('checkers.pid')];
    const words = ['keepalived', '--check', '--dont-fork', '--log-console', '--log-detail', '--no-syslog'];
    const log = openSync(file('keepalived.log'), 'w');
    const command = ['netns', 'exec', this.#netns, 'setpriv', '--pdeathsig', 'KILL', ...words];
    this.#process = spawn('ip', [...command, '-f', file('keepalived.conf'), ...pids], { stdio: ['ignore', log, log] });
  }

  /** Takes a change of its file. */
  reload(): void {
    this.#process?.kill('SIGHUP');
  }

  /** It removes what it made, and ends. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  log(): string {
    return readFileSync(join(this.#folder, 'keepalived.log'), 'utf8');
  }
}

function lines({ address, scheduler, kind, servers }: VirtualServer): string[] {
  return [
    `virtual_server ${address.replace(':', ' ')} {`,
    '  delay_loop 1',
    `  lb_algo ${scheduler}`,
    `  lb_kind ${kind}`,
    '  protocol TCP',
    ...Object.entries(servers).flatMap(([server, weight]) => [
      `  real_server ${hasMark(address) ? server.split(':', 1) : server.replace(':', ' ')} {`,
      `    weight ${weight}`,
      // A busy machine is slow to answer; what is dead refuses at once.
      '    TCP_CHECK {',
      `      connect_port ${server.split(':')[1]}`,
      '      connect_timeout 10',
      '      retry 0',
      '    }',
      '  }',
    ]),
    '}',
  ];
}
