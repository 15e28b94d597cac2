/** `ipvs undo`: back to what was applied before. */
import { command } from '../command.ts';
import { type GlobalOptions, withDirector } from '../globals.ts';
import { entryId } from '../options.ts';
import { planArguments } from '../plan-input.ts';
import { ENTRY } from '../words.ts';
import { type ApplyArguments, applied, applyOptions } from './apply.ts';

const { adopt = { describe: '' } } = planArguments;

const spec = command<GlobalOptions & ApplyArguments & { readonly id?: string }>({
  description:
    'Applies what had been applied before the last apply, or before the entry that is named: an apply like any other, which shows its changes, asks, and is undone itself by another undo. What a plan removed that never was in a file comes back too; connections and counters do not.',
  arguments: { id: `${ENTRY}; default: the last that was applied` },
  options: { ...applyOptions, adopt },
  examples: [
    { line: 'ipvs undo --dry-run', meaning: 'show what it would change' },
    { line: 'ipvs undo 3 --yes', meaning: 'back to what was applied before entry 3' },
  ],
  run(options) {
    const id = options.id === undefined ? undefined : entryId(options.id);
    return withDirector(options, async (director) => {
      const undo = await director.undoIntent(id);
      return applied(director, undo.intent, options, { command: `undo ${undo.id}` });
    });
  },
});

export { spec as command };
