/** Runs one command line. Only yargs and the table of commands are loaded before a command is known. */
import yargs from 'yargs';
import { loadCommand } from './load.ts';
import { declareCommand, declareGroup, execute } from './spec/command.ts';
import { commands } from './spec/commands.ts';
import type { GlobalOptions } from './spec/global-options.ts';
import { addGlobalOptions, enterNamespace } from './spec/globals.ts';
import { printError, usageError } from './terminal/exit.ts';

/** Prints what the command says to the process's own streams, and returns its exit status. */
export async function main(words: readonly string[]): Promise<number> {
  const program = addGlobalOptions(yargs([...words]))
    .scriptName('ipvs')
    .usage("$0 COMMAND\n\nControls the Linux kernel's load balancer, IPVS.")
    .detectLocale(false)
    .parserConfiguration({ 'greedy-arrays': false, 'parse-numbers': false })
    .wrap(Math.min(process.stdout.columns || 100, 100))
    .recommendCommands()
    .strict()
    .demandCommand(1, 1, 'a command is missing', 'that is more than one command')
    // For what a completion script asks; the script itself is a command of ours, so this one's name is not.
    .completion('completion-of-yargs', false, complete)
    .epilogue('Exit status: 0 done, 1 error, 2 there are changes (--dry-run), 64 wrong usage')
    .example('$0 apply web.yaml', 'make the kernel balance what the file describes')
    .example('$0 list', 'show services and destinations')
    .version(VERSION)
    .middleware((options) => enterNamespace(options as unknown as GlobalOptions))
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? usageError(message ?? 'wrong usage', words);
    });

  for (const entry of commands) {
    const { usage, aliases = [], summary } = entry;
    program.command({
      command: usage,
      aliases,
      describe: summary,
      builder: async (yargs) => {
        const command = await loadCommand(entry);
        if ('actions' in command) return declareGroup(yargs, usage, summary, command);
        return declareCommand(yargs, usage, summary, command);
      },
      handler: async (options) => {
        const command = await loadCommand(entry);
        const spec = 'actions' in command ? command.actions.find(({ usage }) => usage === command.fallback) : command;
        // A group without a fallback has been refused by then: it demands an action.
        if (spec !== undefined) await execute(spec, options as unknown as GlobalOptions);
      },
    });
  }

  process.exitCode = undefined;
  try {
    await program.parseAsync();
  } catch (error) {
    // Most of what yargs finds wrong goes through fail(), some is thrown.
    const wrong = error instanceof Error && error.name === 'YError' ? usageError(error.message, []) : error;
    process.exitCode = printError(wrong, words.includes('--json'));
  }
  return Number(process.exitCode ?? 0);
}

/** What yargs proposes, but for commands of files nothing: then the shell proposes files. */
function complete(
  current: string,
  argv: { readonly _: readonly unknown[] },
  propose: (onEnd?: (error: Error | null, completions?: string[]) => void) => void,
  done: (completions: string[]) => void,
): void {
  if (argv._.some((word) => filesFollow.has(word)) && !current.startsWith('-')) done([]);
  else propose();
}

const filesFollow: ReadonlySet<unknown> = new Set(['apply', 'diff', 'drift', 'plan', 'validate']);
