/** `ipvs history`: what was applied, when, and by whom. */
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { entryId } from '../spec/options.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { describeEntry, entryJson, historyTable } from '../words/history.ts';
import { painter, printJson } from '../words/output.ts';
import { ENTRY } from '../words/shared.ts';

export const command: Group = {
  description:
    'Every apply, undo, recovery and direct command that changed the table, or tried to: when, by whom, and from which file. The last 100 applies and the last 500 direct commands are kept, as far as no entry between them is gone.',
  fallback: 'list',
  actions: [
    action({
      usage: 'list',
      summary: 'List the entries, the newest first',
      examples: [{ line: 'ipvs history' }, { line: 'ipvs history list --json' }],
      async run(options) {
        const { entries, damaged } = await withDirector(options, async (director) => ({
          entries: director.history(),
          damaged: director.damagedEntries(),
        }));
        const all = [...entries, ...damaged].sort((a, b) => b.id - a.id);
        if (options.json) printJson({ entries: all.map(entryJson) });
        else print(historyTable(all, painter(options)));
        return EXIT.done;
      },
    }),
    action<GlobalOptions & { readonly id: string }>({
      usage: 'show <id>',
      summary: 'Show one of them: its changes, and what was applied before and after',
      arguments: { id: ENTRY },
      examples: [{ line: 'ipvs history show 3' }],
      async run(options) {
        const id = entryId(options.id);
        const past = await withDirector(options, (director) => director.entry(id));
        if (options.json) printJson(past);
        else print(describeEntry(past, painter(options)));
        return EXIT.done;
      },
    }),
  ],
};
