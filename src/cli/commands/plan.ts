/** `ipvs plan`: what an apply would do. */
import { writeFileSync } from 'node:fs';
import { fileError } from '../../config/text-file.ts';
import { describePlan } from '../../director/describe.ts';
import type { IntendedPlan } from '../../director/director.ts';
import { planRefusal } from '../../director/refuse.ts';
import {
  formatSavedPlan,
  intentOf,
  type PlanArguments,
  planArguments,
  planOptions,
  planOrTextOf,
  refuseOptions,
} from '../plan-input.ts';
import { warnOfPrerequisites } from '../prerequisites.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { oneValue } from '../spec/options.ts';
import { EXIT, printError } from '../terminal/exit.ts';
import { complain, print } from '../terminal/stdout.ts';
import { painter, printJson } from '../words/output.ts';
import { planStatus } from './apply.ts';

interface Options extends GlobalOptions, PlanArguments {
  readonly file: string;
  readonly out?: string;
}

const spec = command<Options>({
  description:
    'Compares the file with what was applied last and with the kernel, and shows what an apply would do, in its order, with what it costs. It also shows weights that drains and ramps hold, and what the pass over them does that an apply begins with. Of a plan that was kept it shows what is in it, without the kernel; whether it still holds, "ipvs apply PLAN --dry-run" checks. Exit status: 0 nothing, 2 there are changes, 1 an error.',
  arguments: { file: 'YAML or JSON, or a plan kept by "ipvs plan --out"; - is standard input' },
  options: {
    ...planArguments,
    out: { value: 'FILE', describe: 'Keep the plan there: "ipvs apply FILE" carries it out, if it still holds' },
  },
  examples: [
    { line: 'ipvs plan web.yaml' },
    { line: 'ipvs plan web.yaml --out tonight.plan', meaning: 'to be applied later, as it was shown' },
  ],
  run,
});

export { spec as command };

async function run(options: Options): Promise<number> {
  const out = oneValue(options.out, 'out');
  const what = planOrTextOf(options.file);
  if ('changes' in what) {
    refuseOptions(options);
    return shown(what, options);
  }
  return withDirector(options, async (director) => {
    if (director.isInterrupted)
      complain('ipvs: an apply was interrupted: the next one, or "ipvs recover", deals with what it left');
    const plan = await director.plan(await intentOf(what, director, options.json === true), planOptions(options));
    const missing = await warnOfPrerequisites(director, plan.intent, options.json === true);
    const status = shown(plan, options, missing);
    if (status !== EXIT.error && out !== undefined) keep(out, formatSavedPlan(plan));
    return status;
  });
}

function shown(plan: IntendedPlan, options: Options, more: object = {}): number {
  if (options.json) printJson({ ...plan, ...more });
  else print(describePlan(plan, painter(options)));
  const refusal = planRefusal(plan, false);
  if (refusal) return printError(refusal, options.json === true);
  return planStatus(plan);
}

function keep(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw fileError('FILE_UNWRITABLE', file, error);
  }
}
