/** `ipvs apply`: from a file to the kernel. */

import { apply, type CurrentState, plan, readState } from '../../director/director.ts';
import { IpvsError } from '../../errors.ts';
import type { Ipvs } from '../../ipvs/ipvs.ts';
import type { ApplyResult, Plan } from '../../plan/plan.ts';
import type { Change } from '../../plan/resource.ts';
import { command } from '../command.ts';
import { loadDescription, sourceOf } from '../description.ts';
import { EXIT, printError, printWarnings, UsageError } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { canAsk, confirm, type Paint, painter, printJson } from '../output.ts';
import { print } from '../stdout.ts';

interface ApplyOptions extends GlobalOptions {
  readonly file: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const spec = command<ApplyOptions>({
  description:
    'Changes what differs between the file and the kernel, and nothing else. Services that the file does not name stay as they are. Without --yes or --dry-run it shows the changes and asks.',
  arguments: { file: 'YAML; - is standard input' },
  options: {
    'dry-run': { alias: 'n', describe: 'Only show the changes; exit status 2 if there are any' },
    yes: { alias: 'y', describe: 'Do not ask' },
  },
  examples: [
    { line: 'ipvs apply web.yaml --dry-run', meaning: 'show the changes' },
    { line: 'ipvs apply web.yaml --yes', meaning: 'for scripts' },
  ],
  run,
});

export { spec as command };

async function run(options: ApplyOptions): Promise<number> {
  const { state: desired, warnings } = await loadDescription(sourceOf(options.file));
  printWarnings(warnings, options.json === true);
  return withIpvs(options, async (ipvs) => {
    const planned = plan(desired, await currentState(ipvs));
    if (planned.changes.length === 0) {
      if (options.json) printJson({ changes: [], unchanged: planned.unchanged });
      else print(`nothing to change: ${count(planned.unchanged, 'object')} as described`);
      return EXIT.done;
    }
    if (options.dryRun) {
      if (options.json) printJson(planned);
      else print(describePlan(planned, painter(options)));
      return EXIT.changes;
    }
    if (!options.yes && (options.json || !canAsk()))
      throw new UsageError('nobody can be asked: say --yes, or --dry-run to see the changes');
    if (!options.json) print(describePlan(planned, painter(options)));
    if (!options.yes && !(await confirm(`Make ${count(planned.changes.length, 'change')}?`))) return EXIT.error;
    return report(await apply(ipvs, planned), planned, options);
  });
}

/** Where ip_vs is not loaded, the table is empty: a dry run need not load it, and any other run will. */
async function currentState(ipvs: Ipvs): Promise<CurrentState> {
  try {
    return await readState(ipvs);
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'IPVS_NOT_LOADED') return { services: { services: [] } };
    throw error;
  }
}

function report(result: ApplyResult, planned: Plan, options: ApplyOptions): number {
  const { done, failed, skipped } = result;
  if (options.json) {
    printJson({
      done,
      failed: failed.map(({ change, error }) => ({
        ...change,
        error: error instanceof IpvsError ? error.code : String(error),
      })),
      skipped,
      unchanged: planned.unchanged,
    });
  }
  for (const { error } of failed) printError(error, options.json === true);
  if (!options.json) {
    const rest = skipped.length > 0 ? `, ${count(skipped.length, 'change')} not tried` : '';
    print(`${count(done.length, 'change')} made${failed.length > 0 ? `, ${failed.length} refused` : ''}${rest}`);
  }
  return failed.length > 0 ? EXIT.error : EXIT.done;
}

function describePlan({ changes, unchanged }: Plan, paint: Paint): string {
  const lines = changes.map((change) => describeChange(change, paint));
  return [...lines, `${count(changes.length, 'change')}, ${unchanged} unchanged`].join('\n');
}

const signs = { add: ['+', 'green'], edit: ['~', 'yellow'], delete: ['-', 'red'] } as const;

function describeChange({ verb, subject, detail, effects }: Change, paint: Paint): string {
  const [sign, color] = signs[verb.split(' ', 1)[0] as keyof typeof signs];
  const line = `${paint(color, sign)} ${verb} ${subject}: ${detail}`;
  return [line, ...effects.map((effect) => paint('dim', `    ${effect}`))].join('\n');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
