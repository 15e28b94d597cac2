/** Options that every command has, and what they open. */
import { statSync } from 'node:fs';
import type { Argv } from 'yargs';
import type { Director } from '../../director/director.ts';
import type { LookContext } from '../../director/look.ts';
import type { Touches } from '../../director/ownership.ts';
import type { DirectWork } from '../../director/verb.ts';
import type { Ipvs, Logger, OpenOptions } from '../../ipvs/ipvs.ts';
import type { RecordOptions, TableRecord } from '../../record/record.ts';
import { UsageError } from '../terminal/exit.ts';
import { complain } from '../terminal/stdout.ts';
import { terminalText } from '../terminal/text.ts';
import { type OptionSpec, yargsOption } from './command.ts';
import type { GlobalOptions } from './global-options.ts';
import { oneValue } from './options.ts';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'];

export const globalOptions: Readonly<Record<string, OptionSpec>> = {
  json: { describe: 'Print JSON' },
  netns: { value: 'NAME', describe: 'Work in this network namespace (name or path)' },
  color: { describe: 'Colour the output; --no-color never does. Default: on a terminal' },
  'log-level': { value: 'LEVEL', choices: logLevels, describe: 'Log to stderr as JSON lines' },
  transport: {
    value: 'NAME',
    choices: ['auto', 'netlink', 'sockopt', 'memory'],
    describe:
      'The way into the kernel; memory: none, a model of its table. Default: auto, netlink where that is permitted',
  },
  state: {
    value: 'FILE',
    describe: 'With --transport memory: the table, as JSON; it need not be there, and is written after a change',
  },
  'state-dir': {
    value: 'FOLDER',
    describe:
      'Where the record of what was applied is kept. Default: $IPVS_DIRECTOR_STATE_DIR, else /var/lib/ipvs-director, or without root the XDG state folder; with --state FILE, FILE.d',
  },
};

export function addGlobalOptions(yargs: Argv): Argv {
  for (const [name, option] of Object.entries(globalOptions)) yargs.option(name, yargsOption(option));
  return yargs.alias({ help: 'h' }).group([...Object.keys(globalOptions), 'help', 'version'], 'Everywhere:');
}

/** Opens the table and its record for `work`, and closes them whatever happens. */
export async function withDirector<T>(options: GlobalOptions, work: (director: Director) => Promise<T>): Promise<T> {
  if (options.transport === 'memory') return inMemory(options, work);
  const { openDirector } = await import('../../director/director.ts');
  const director = await openDirector({ ...(await kernelOptions(options)), ...recordOptions(options) });
  return closing(director, work);
}

/**
 * Runs a direct command: under the table's lock, with an entry of the history and a record of who owns what. `context` has
 * the settings or the rules that it changes.
 */
export async function withVerb<T>(
  options: GlobalOptions,
  name: string,
  touches: Touches,
  work: (ipvs: Ipvs) => Promise<T>,
  context: Omit<LookContext, 'ipvs'> = {},
): Promise<T> {
  if (options.transport === 'memory') {
    const direct = await directOptions(options);
    return inMemory(options, (director) => director.verb(name, touches, work, direct));
  }
  const [{ openIpvs }, { openRecord }, { verb }, { lookAt }] = await Promise.all([
    import('../../ipvs/ipvs.ts'),
    import('../../record/record.ts'),
    import('../../director/verb.ts'),
    import('../../director/look.ts'),
  ]);
  const record = openRecord('', recordOptions(options));
  return closing(await openIpvs(await kernelOptions(options)), (ipvs) => {
    const settle = async () => {
      const settled = await (await import('../../director/settled.ts')).settled(record, ipvs);
      (await directOptions(options)).onPass(settled.pass);
      return settled;
    };
    const look: DirectWork<T>['look'] = async (keys) => {
      const defense =
        context.sysctls && (await import('../../defense/record.ts')).defenseRecord(record.store, record.table);
      return lookAt({ ipvs, ...context, ...(defense && { defense }) }, keys);
    };
    return verb(record, settle, { command: name, touches, action: () => work(ipvs), look, onUnrecorded });
  });
}

/** What a direct command prints beside its result. */
export async function directOptions({ json = false }: GlobalOptions) {
  const { passPrinter } = await import('../follow.ts');
  return { onPass: passPrinter({ json }), onUnrecorded };
}

/** The command is done: what it did is not in the history, and that is said. */
function onUnrecorded({ message }: Error): void {
  complain(`ipvs: warning: the command is done, but "ipvs history" and "ipvs undo" do not know it: ${message}`);
}

/** Opens the table for `work` that only reads, and closes it whatever happens. */
export async function withIpvs<T>(options: GlobalOptions, work: (ipvs: Ipvs) => Promise<T>): Promise<T> {
  if (options.transport === 'memory') {
    const { withMemory } = await import('../memory.ts');
    return withMemory(oneValue(options.state, 'state'), await loggerOf(options), work);
  }
  const { openIpvs } = await import('../../ipvs/ipvs.ts');
  return closing(await openIpvs(await kernelOptions(options)), work);
}

/** Opens the table and its record for `work` that only reads both. */
export async function withRecord<T>(
  options: GlobalOptions,
  work: (ipvs: Ipvs, record: Pick<TableRecord, 'store' | 'table'>) => Promise<T>,
): Promise<T> {
  if (options.transport === 'memory') return inMemory(options, ({ ipvs }, record) => work(ipvs, record));
  const [{ openIpvs }, { openRecord }] = await Promise.all([
    import('../../ipvs/ipvs.ts'),
    import('../../record/record.ts'),
  ]);
  const record = openRecord('', recordOptions(options));
  return closing(await openIpvs(await kernelOptions(options)), (ipvs) => work(ipvs, record));
}

async function inMemory<T>(
  options: GlobalOptions,
  work: (director: Director, record: Pick<TableRecord, 'store' | 'table'>) => Promise<T>,
): Promise<T> {
  const file = oneValue(options.state, 'state');
  const folder = memoryFolder(options);
  const { withMemoryDirector } = await import('../memory-director.ts');
  return withMemoryDirector(file, folder, await loggerOf(options), work);
}

/** Where the record of a table in memory is kept; undefined if it is not. */
export function memoryFolder({ state, stateDir }: GlobalOptions): string | undefined {
  const file = oneValue(state, 'state');
  return oneValue(stateDir, 'state-dir') ?? (file && `${file}.d`);
}

async function closing<T, Opened extends Ipvs | Director>(
  opened: Opened,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function kernelOptions(options: GlobalOptions): Promise<OpenOptions> {
  const { transport = 'auto', state } = options;
  if (state !== undefined) throw new UsageError('--state is the table of --transport memory: say that too');
  const logger = await loggerOf(options);
  return { ...(transport !== 'memory' && { transport }), ...(logger && { logger }) };
}

export function recordOptions(options: GlobalOptions): RecordOptions {
  const stateDir = oneValue(options.stateDir, 'state-dir');
  return stateDir === undefined ? {} : { stateDir };
}

export async function loggerOf({ logLevel }: Pick<GlobalOptions, 'logLevel'>): Promise<Logger | undefined> {
  if (logLevel === undefined) return undefined;
  const { pino } = await import('pino');
  const stderr = pino.destination({ fd: 2, sync: true });
  const logger: Logger = pino({ level: logLevel }, { write: (line) => stderr.write(terminalText(line)) });
  return logger;
}

/**
 * Runs this program anew inside the namespace. Changing only one thread would not do: Node has others
 * already, and they would go on reading the old namespace's /proc/sys/net.
 */
export async function enterNamespace({ netns, transport }: GlobalOptions): Promise<void> {
  const name = oneValue(netns, 'netns');
  if (name === undefined) return;
  if (transport === 'memory') throw new UsageError('a table in memory is of no network namespace: leave out --netns');
  const { namespacePath, namespaceError } = await import('../../kernel/namespace.ts');
  const path = namespacePath(name);
  const wanted = statSync(path, { throwIfNoEntry: false });
  const current = statSync('/proc/self/ns/net');
  if (wanted?.ino === current.ino && wanted.dev === current.dev) return;
  const { native } = await import('../../kernel/native.ts');
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const environment = Object.entries(process.env).map(([key, value]) => `${key}=${value}`);
  throw namespaceError(-native().execInNamespace(path, process.execPath, argv, environment), name);
}
