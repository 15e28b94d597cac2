/** Everything that the commands say of themselves, for the man page and the reference. */

import { loadCommand } from '../load.ts';
import type { Command } from '../spec/command.ts';
import { commands } from '../spec/commands.ts';

export interface ManualEntry extends Command {
  /** `service add <service>` */
  readonly usage: string;
  readonly aliases: readonly string[];
  readonly summary: string;
}

export interface ManualChapter {
  readonly name: string;
  readonly summary: string;
  readonly aliases: readonly string[];
  /** Of a command that holds others. */
  readonly description?: string;
  readonly entries: readonly ManualEntry[];
}

/** One chapter for each command, in the order of the help text. */
export async function manualChapters(): Promise<ManualChapter[]> {
  return Promise.all(
    commands.map(async (entry) => {
      const { usage, aliases = [], summary } = entry;
      const command = await loadCommand(entry);
      const [name = ''] = usage.split(' ', 1);
      if (!('actions' in command))
        return { name, summary, aliases, entries: [{ ...command, usage, aliases, summary }] };
      const entries = command.actions.map((spec) => ({ ...spec, usage: `${name} ${spec.usage}`, aliases: [] }));
      return { name, summary, aliases, entries, ...(command.description && { description: command.description }) };
    }),
  );
}
