/** `ipvs undo`: back to the state before an entry of the history, or after it. */
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { entryId, oneValue } from '../spec/options.ts';
import { UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { describePoint } from '../words/history.ts';
import { ENTRY } from '../words/shared.ts';
import { type ApplyArguments, applied, applyOptions } from './apply.ts';

interface Options extends GlobalOptions, ApplyArguments {
  readonly id?: string;
  readonly to?: string;
}

const spec = command<Options>({
  description:
    'Restores the state before the last apply or direct command, or before the entry that is named. It restores everything that this entry and later ones changed or described: configuration, owners and drains. An object that existed before is never deleted: an adopted one is foreign again. The undo is itself an entry, which another undo takes back. Connections and counters do not come back.',
  arguments: { id: `${ENTRY}; default: the last one that was applied` },
  options: {
    to: { value: 'ID', describe: 'Restore the state after this entry' },
    ...applyOptions,
  },
  examples: [
    { line: 'ipvs undo --dry-run', meaning: 'show what it would change' },
    { line: 'ipvs undo 3 --yes', meaning: 'back to the state before entry 3' },
    { line: 'ipvs undo --to 3 --yes', meaning: 'back to the state after entry 3' },
  ],
  run(options) {
    const to = oneValue(options.to, 'to');
    if (options.id !== undefined && to !== undefined)
      throw new UsageError(
        '"undo ID" leads to the state before an entry, "undo --to ID" to the state after it: say one',
      );
    const named = to ?? options.id;
    const id = named === undefined ? undefined : entryId(named);
    return withDirector(options, async (director) => {
      const undo = await director.undoIntent(id, to === undefined ? 'before' : 'after');
      const { entry } = await director.entry(undo.id);
      const side = to === undefined ? 'before' : 'after';
      if (!options.json) print(describePoint(side, entry, undo.intent.desired));
      const name = to === undefined ? `undo ${undo.id}` : `undo --to ${undo.id}`;
      return applied(director, undo.intent, options, { command: name });
    });
  },
});

export { spec as command };
