/** The commands by name. What they do is imported when one of them runs. */
import type { Argv } from 'yargs';

export interface CommandModule {
  builder(yargs: Argv): Argv;
  /** Returns the exit status. Not called for a command that only holds others. */
  handler(options: object): Promise<number>;
}

interface CommandEntry {
  readonly command: string;
  readonly aliases?: readonly string[];
  readonly describe: string;
  readonly load: () => Promise<CommandModule>;
}

export const commands: readonly CommandEntry[] = [
  {
    command: 'list [service]',
    aliases: ['ls'],
    describe: 'Show services and destinations',
    load: () => import('./commands/list.ts'),
  },
  {
    command: 'apply <file>',
    describe: 'Make the kernel balance what a file describes',
    load: () => import('./commands/apply.ts'),
  },
  {
    command: 'service',
    describe: 'Add, edit, delete or show one service',
    load: () => import('./commands/service.ts'),
  },
  {
    command: 'destination',
    aliases: ['dest'],
    describe: 'Add, edit or delete one destination of a service',
    load: () => import('./commands/destination.ts'),
  },
  { command: 'flush', describe: 'Remove all services, whoever made them', load: () => import('./commands/flush.ts') },
  {
    command: 'info',
    describe: "Show the kernel's IPVS version and table size",
    load: () => import('./commands/info.ts'),
  },
  {
    command: 'schema',
    describe: 'Print the JSON Schema of the files that apply reads',
    load: () => import('./commands/schema.ts'),
  },
];
