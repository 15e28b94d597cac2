/** Commands that hold others: `ipvs service add`, `ipvs destination delete`. */
import type { Argv } from 'yargs';
import type { CommandModule } from './commands.ts';
import { EXIT } from './exit.ts';
import type { GlobalOptions } from './globals.ts';
import { print, printJson } from './output.ts';

export interface Subcommand<Options extends GlobalOptions> {
  readonly command: string;
  readonly describe: string;
  build(yargs: Argv): Argv;
  /** What to tell when it is done; undefined if it printed what it had to say. */
  run(options: Options): Promise<{ done: string; subject: string } | undefined>;
}

export function subcommands<Options extends GlobalOptions>(
  noun: string,
  actions: readonly Subcommand<Options>[],
  positionals: (yargs: Argv) => Argv,
): CommandModule {
  const builder = (yargs: Argv): Argv => {
    for (const { command, describe, build, run } of actions) {
      yargs.command({
        command,
        describe,
        builder: (yargs) =>
          build(
            positionals(
              yargs.usage(`$0 ${noun} ${command.replace(/<(\w+)>/g, (_, name) => name.toUpperCase())}\n\n${describe}.`),
            ),
          ),
        handler: async (options) => {
          const outcome = await run(options as unknown as Options);
          if (outcome !== undefined) {
            if ((options as unknown as Options).json) printJson(outcome);
            else print(`${outcome.done} ${outcome.subject}`);
          }
          process.exitCode = EXIT.done;
        },
      });
    }
    return yargs
      .usage(`$0 ${noun} ACTION`)
      .demandCommand(
        1,
        `say what to do with the ${noun}: ${actions.map(({ command }) => command.split(' ')[0]).join(', ')}`,
      );
  };
  return { builder, handler: async () => EXIT.usage };
}
