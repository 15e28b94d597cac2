/** `ipvs recover`: after a crash, or a reboot. */

import { visible } from '../../base/quote.ts';
import { describeChanges } from '../../director/describe.ts';
import { entryOf, type Recovery } from '../../engine/transaction.ts';
import type { DrainPass } from '../../weights/drain-runner.ts';
import { passPrinter, plainPass } from '../follow.ts';
import { planArguments } from '../plan-input.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { EXIT, printError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { counted, painter, printJson, time } from '../words/output.ts';
import { report, withCode } from './apply.ts';

const { adopt = { describe: '' } } = planArguments;

const spec = command<GlobalOptions & { readonly adopt?: boolean }>({
  description:
    'Deals with an apply that was interrupted: it is finished where only removals were left, and undone otherwise. Every command that changes something does that first; this one also applies again, after a reboot, what was applied last. Meant for the start of the system: it asks nothing, and where there is nothing to do it does nothing.',
  options: { adopt },
  examples: [{ line: 'ipvs recover' }, { line: 'ipvs recover --json' }],
  run: (options) =>
    withDirector(options, async (director) => {
      const { json = false, adopt = false } = options;
      let passes = {};
      const onPass = (pass: DrainPass) => {
        if (!json) passPrinter({ json })(pass);
        else if (pass.moves.length + pass.problems.length > 0) passes = { pass: plainPass(pass) };
      };
      const result = await director.recover({ adopt, onPass });
      if (result === undefined) {
        if (json) printJson({ outcome: 'nothing', ...passes });
        else print('nothing to recover');
        return EXIT.done;
      }
      if ('journal' in result) return told(result, json, passes);
      if (!json) {
        print('after a reboot, applied again what was applied last:');
        print(describeChanges(result.done, painter(options)));
      }
      return report(result, json, passes);
    }),
});

export { spec as command };

function told(recovery: Recovery, json: boolean, passes: object): number {
  const { journal, outcome, done, stuck } = recovery;
  const { command, by } = journal;
  const interrupted = { command, by, at: entryOf(journal).at };
  if (json) printJson({ outcome, interrupted, done, stuck: stuck.map(withCode), ...passes });
  else
    print(`"${command}" by ${visible(by.user)}, begun ${time(interrupted.at)}, was interrupted: ${wordsOf(recovery)}`);
  for (const { error } of stuck) printError(error.with({ operation: 'undo' }), json);
  return stuck.length > 0 ? EXIT.error : EXIT.done;
}

function wordsOf({ outcome, done, stuck }: Recovery): string {
  const changes = counted(done.length, 'change');
  switch (outcome) {
    case 'finished':
      return `finished, ${changes} made${stuck.length > 0 ? `, but for ${counted(stuck.length, 'thing')}` : ''}`;
    case 'undone':
      return `undone, ${changes} made: the table is as it was`;
    case 'mixed':
      return `undone, ${changes} made, but for ${counted(stuck.length, 'thing')}`;
    case 'committed':
      return 'all of it had been done';
    case 'dropped':
      return 'its table is gone, with a reboot or its network namespace';
  }
}
