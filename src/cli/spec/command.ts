/** Commands as data: yargs is told of them, and help, man page and reference are written from them. */
import type { Argv } from 'yargs';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { printJson } from '../words/output.ts';
import type { GlobalOptions } from './global-options.ts';

export interface OptionSpec {
  /** One line. */
  readonly describe: string;
  /** What stands for its value in help texts; without one the option is a switch. */
  readonly value?: string;
  /** The value may be left out. */
  readonly optional?: true;
  readonly alias?: string;
  readonly choices?: readonly string[];
}

export interface Example {
  readonly line: string;
  readonly meaning?: string;
}

export interface Command<Options extends GlobalOptions = GlobalOptions> {
  /** What help says beyond the summary: whole sentences. */
  readonly description?: string;
  /** What the words of its usage mean, by name. */
  readonly arguments?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, OptionSpec>>;
  readonly examples: readonly Example[];
  /** Returns the exit status, or what to say of what was done. */
  run(options: Options): Promise<number | Outcome>;
}

export interface Outcome {
  readonly done: string;
  readonly subject: string;
}

export interface Action<Options extends GlobalOptions = GlobalOptions> extends Command<Options> {
  /** `add <service>`; without a name, as `<service> <destination>`, what runs when none of the others is named. */
  readonly usage: string;
  readonly summary: string;
}

/** A command that holds others. */
export interface Group {
  readonly description?: string;
  readonly actions: readonly Action[];
  /** What runs when no action is named: the usage of one of them. */
  readonly fallback?: string;
}

/** Keeps the type of a command's options to its own file. */
export function command<Options extends GlobalOptions>(spec: Command<Options>): Command {
  return spec as unknown as Command;
}

export function action<Options extends GlobalOptions>(spec: Action<Options>): Action {
  return spec as unknown as Action;
}

/** `service add <service>` as help shows it: `service add SERVICE`; `validate <file..>`: `validate FILE...`. */
export function shownUsage(usage: string): string {
  return usage
    .replaceAll('..', '...')
    .replace(/<(.*?)>|\[.*?\]/g, (text, required?: string) => (required ?? text).toUpperCase());
}

/** Tells yargs of a command; `usage` is all that is written to call it. */
export function declareCommand(yargs: Argv, usage: string, summary: string, spec: Command): Argv {
  const { description, arguments: positionals = {}, options = {}, examples } = spec;
  yargs.usage(`$0 ${shownUsage(usage)}\n\n${description ?? `${summary}.`}`);
  for (const [name, describe] of Object.entries(positionals)) yargs.positional(name, { type: 'string', describe });
  for (const [name, option] of Object.entries(options)) yargs.option(name, yargsOption(option));
  // Named, they come before those that every command has.
  if (Object.keys(options).length > 0) yargs.group(Object.keys(options), 'Options:');
  for (const { line, meaning = '' } of examples) yargs.example(line.replace(/^ipvs /, '$0 '), meaning);
  return yargs;
}

export function yargsOption({ describe, value, optional, alias, choices }: OptionSpec): object {
  return {
    describe,
    ...(alias !== undefined && { alias }),
    ...(choices !== undefined && { choices }),
    ...(value === undefined ? { type: 'boolean' } : { type: 'string', requiresArg: optional !== true }),
  };
}

/** Tells yargs of a group and its actions. */
export function declareGroup(yargs: Argv, name: string, summary: string, group: Group): Argv {
  const { actions, description, fallback } = group;
  for (const spec of actions) {
    yargs.command({
      command: hasName(spec) ? spec.usage : `$0 ${spec.usage}`,
      describe: spec.summary,
      builder: (yargs) => declareCommand(yargs, `${name} ${spec.usage}`, spec.summary, spec),
      handler: (options) => execute(spec, options as unknown as GlobalOptions),
    });
  }
  // An action without a name says all of it.
  if (actions.every(hasName)) {
    const usage = `$0 ${name} ${fallback === undefined ? 'ACTION' : '[ACTION]'}`;
    yargs.usage([usage, description ?? `${summary}.`].join('\n\n'));
  }
  for (const { examples } of actions) {
    for (const { line, meaning = '' } of examples.slice(0, 1)) yargs.example(line.replace(/^ipvs /, '$0 '), meaning);
  }
  if (fallback !== undefined || !actions.every(hasName)) return yargs;
  const names = actions.map(({ usage }) => usage.split(' ', 1)[0]).join(', ');
  return yargs.demandCommand(1, `say what to do with the ${name}: ${names}`);
}

function hasName({ usage }: Action): boolean {
  return !usage.startsWith('<');
}

/** Runs it, tells what was done, and leaves the exit status to the process. */
export async function execute(spec: Command, options: GlobalOptions): Promise<void> {
  const result = await spec.run(options);
  if (typeof result === 'number') {
    process.exitCode = result;
    return;
  }
  if (options.json) printJson(result);
  else print(`${result.done} ${result.subject}`);
  process.exitCode = EXIT.done;
}
