/** The programs of iptables: what a table holds, and commits of changes. Argument lists, never a shell. */
import { execFile } from 'node:child_process';
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import type { Family } from '../net/address.ts';
import type { Store } from './chain.ts';
import { checkSaved, incomplete } from './saved.ts';

/** Both may be used on one host, and hold tables of their own. */
export const iptablesVariants = ['auto', 'nft', 'legacy'] as const;
export type IptablesVariant = (typeof iptablesVariants)[number];

/** `host`: whatever the host calls iptables. */
export type Program = 'host' | 'nft' | 'legacy';

/** How long it waits for others that hold the lock of iptables. */
const WAIT_SECONDS = 5;
const TIMEOUT_MS = 30_000;
/** Tens of thousands of rules. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Of root, and of those who become it by sudo, these are not always in it. */
const FOLDERS = '/usr/sbin:/sbin';

export interface IptablesOptions {
  /** Path of the network namespace, good while this is used; empty for the current one. */
  readonly namespacePath?: string;
  /** Where the programs are looked for. Default: PATH, /usr/sbin and /sbin. */
  readonly path?: string;
}

export class Iptables {
  readonly #enter: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;

  constructor({ namespacePath = '', path = `${process.env['PATH'] ?? '/usr/bin:/bin'}:${FOLDERS}` }: IptablesOptions) {
    // The child has none of our descriptors, but finds them by our number.
    const netns = namespacePath.replace('/proc/self/', `/proc/${process.pid}/`);
    this.#enter = netns === '' ? [] : ['nsenter', `--net=${netns}`, '--'];
    this.#environment = { PATH: path, LC_ALL: 'C' };
  }

  /** The store that a program writes to. Throws IPTABLES_MISSING, IPTABLES_REFUSED, NAMESPACE_REFUSED. */
  async store(program: Program, family: Family): Promise<Store> {
    const name = programName(program, family, 'save');
    try {
      return (await this.#run([name, '--version'])).stdout.includes('nf_tables') ? 'nft' : 'legacy';
    } catch (error) {
      // Before 1.8 there was one store, and no such option.
      if (error instanceof IpvsError && error.code === 'IPTABLES_TOO_OLD') return 'legacy';
      throw error;
    }
  }

  /** A whole table, with counters. Throws IPTABLES_INCOMPLETE, IPTABLES_MISSING, IPTABLES_REFUSED, PERMISSION_DENIED. */
  async save(program: Program, family: Family, table: string): Promise<string> {
    const output = await this.#run([programName(program, family, 'save'), '-c', '-t', table], { family, table });
    checkSaved(output, family, table);
    return output.stdout;
  }

  /** All of it in one commit, or nothing. Throws also IPTABLES_TOO_OLD, NAT_UNAVAILABLE, EXTENSION_UNAVAILABLE. */
  async restore(program: Program, family: Family, text: string): Promise<void> {
    const words = ['--noflush', '--counters', '--wait', String(WAIT_SECONDS)];
    const table = /^\*(\S+)/.exec(text)?.[1] ?? '';
    const { stderr } = await this.#run([programName(program, family, 'restore'), ...words], { family, table }, text);
    // A chain that goes in the same commit never comes to the kernel: of what is missing there is only a warning.
    if (lackingMatch.test(stderr)) throw lacksExtension(stderr);
  }

  #run(words: readonly string[], about?: About, input = ''): Promise<Output> {
    const [file = '', ...args] = [...this.#enter, ...words];
    const name = words[0] ?? '';
    const options = { env: this.#environment, timeout: TIMEOUT_MS, maxBuffer: MOST_BYTES, encoding: 'utf8' } as const;
    return new Promise((resolve, reject) => {
      const child = execFile(file, args, options, (error, stdout, stderr) => {
        if (error) reject(refusal({ name, file, stderr, about, isRead: input === '' }, error));
        else resolve({ stdout, stderr });
      });
      // One that ends before it reads everything says why in another way.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

interface About {
  readonly family: Family;
  readonly table: string;
}

function programName(program: Program, family: Family, action: 'save' | 'restore'): string {
  const name = family === 'inet' ? 'iptables' : 'ip6tables';
  return program === 'host' ? `${name}-${action}` : `${name}-${program}-${action}`;
}

type Failure = Error & {
  readonly code?: string | number | null | undefined;
  readonly killed?: boolean | undefined;
  readonly signal?: string | null | undefined;
};

interface Run {
  readonly name: string;
  readonly file: string;
  readonly stderr: string;
  readonly about: About | undefined;
  readonly isRead: boolean;
}

function refusal({ name, file, stderr, about, isRead }: Run, failure: Failure): IpvsError {
  const { code, killed, signal, message } = failure;
  if (code === 'ENOENT' && file === 'nsenter') {
    const hint = 'rules of another network namespace need it: install the package util-linux';
    return new IpvsError('NAMESPACE_REFUSED', { detail: 'nsenter is not installed', hint });
  }
  if (code === 'ENOENT' || code === 127) return new IpvsError('IPTABLES_MISSING', { detail: `there is no ${name}` });
  if (file === 'nsenter' && stderr.startsWith('nsenter:'))
    return new IpvsError('NAMESPACE_REFUSED', { detail: firstLine(stderr) });
  if (about !== undefined && isRead) {
    const isLong = code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';
    const reason = isLong ? `it is longer than ${MOST_BYTES} bytes` : !killed && signal && `${name} ended by ${signal}`;
    if (reason) return incomplete(about.family, about.table, reason, 'nothing is changed; try again');
  }
  if (killed) return new IpvsError('IPTABLES_REFUSED', { detail: `${name} did not end in ${TIMEOUT_MS / 1000} s` });
  const detail = firstLine(stderr) || quote(message);
  if (/Permission denied|you must be root/.test(stderr)) {
    const hint = 'it needs CAP_NET_ADMIN in the network namespace: run it as root';
    return new IpvsError('PERMISSION_DENIED', { detail, hint });
  }
  if (/unrecognized option|unknown option|invalid option/.test(stderr))
    return new IpvsError('IPTABLES_TOO_OLD', { detail });
  if (lackingTable.test(stderr))
    return new IpvsError(about?.table === 'nat' ? 'NAT_UNAVAILABLE' : 'EXTENSION_UNAVAILABLE', { detail });
  if (lackingExtension.test(stderr)) return lacksExtension(stderr);
  if (about !== undefined && isRead) return incomplete(about.family, about.table, detail);
  return new IpvsError('IPTABLES_REFUSED', { detail });
}

/** Of nft, of legacy, and of both where a target of address translation is missing. */
const lackingTable =
  /Cannot initialize: (?:Table does not exist|Protocol not|Address family not)|initialize nft: Protocol not|generation id: Invalid|TABLE_ADD failed|CHAIN_ADD failed|initialize iptables table|initialize ip6tables table|unable to initialize table|iptables who\?|Extension (?:MASQUERADE|SNAT) revision \d+ not supported/;
const lackingExtension = /Extension (\S+) revision \d+ not supported/;
/** Of others nft has a form of its own. */
const lackingMatch = /Extension ipvs revision \d+ not supported/;

function lacksExtension(stderr: string): IpvsError {
  const name = lackingExtension.exec(stderr)?.[1];
  const hint = `it needs the module xt_${name} of the running kernel`;
  return new IpvsError('EXTENSION_UNAVAILABLE', { detail: firstLine(stderr), hint });
}

/** Without the line that only names the program. */
function firstLine(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^(?:Warning: |ip6?tables(-\w+)* v[\d.]+ \(\w+\): *)/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('modprobe:') && !line.startsWith('#'));
  return quote(lines[0] ?? '').slice(1, -1);
}
