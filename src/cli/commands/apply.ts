/** `ipvs apply`: from a file, or a plan that was kept, to the kernel. */
import { describePlan } from '../../director/describe.ts';
import type { ApplyOptions, Director, IntendedPlan, Intent } from '../../director/director.ts';
import { planRefusal } from '../../director/refuse.ts';
import type { ApplyResult } from '../../engine/transaction.ts';
import type { DrainPass } from '../../weights/drain-runner.ts';
import { continuation, followDrains, plainPass, printPass } from '../follow.ts';
import { type PlanArguments, planArguments, planOptions, planOrIntentOf, refuseOptions } from '../plan-input.ts';
import { warnOfPrerequisites } from '../prerequisites.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { EXIT, printError, UsageError } from '../terminal/exit.ts';
import { untilSignalled } from '../terminal/interrupt.ts';
import { print } from '../terminal/stdout.ts';
import { canAsk, confirm, counted, painter, printJson } from '../words/output.ts';

export interface ApplyArguments extends GlobalOptions, PlanArguments {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly wait?: boolean;
}

export const applyOptions = {
  'dry-run': { alias: 'n', describe: 'Only show the changes; exit status 2 if there are any' },
  yes: { alias: 'y', describe: 'Do not ask' },
  force: { describe: 'Carry out a plan that takes away more than the limit, or more than it is about' },
  wait: { describe: 'Advance drains and ramps until none is left' },
} as const;

const spec = command<ApplyArguments & { readonly file: string }>({
  description:
    'Makes the kernel balance what the file describes, as a transaction: if one change is refused, those before it are undone. Services that were in the file when it was applied last and have left it are removed; what never was in it stays. Without --yes or --dry-run it shows the changes and asks.',
  arguments: { file: 'YAML or JSON, or a plan kept by "ipvs plan --out"; - is standard input' },
  options: { ...applyOptions, ...planArguments },
  examples: [
    { line: 'ipvs apply web.yaml --dry-run', meaning: 'show the changes' },
    { line: 'ipvs apply web.yaml --yes', meaning: 'for scripts' },
  ],
  run: (options) =>
    withDirector(options, async (director) =>
      applied(director, await planOrIntentOf(options.file, director, options.json === true), options, {
        command: 'apply',
      }),
    ),
});

export { spec as command };

/** Shows, asks, applies and reports; follows drains and ramps, or says how to; returns the exit status. */
export async function applied(
  director: Director,
  what: Intent | IntendedPlan,
  options: ApplyArguments,
  more: Pick<ApplyOptions, 'command'>,
): Promise<number> {
  const { json = false, wait = false, dryRun = false } = options;
  const { status, tried } = await appliedOnce(director, what, options, more);
  if (dryRun || !tried) return status;
  if (wait) return (await followDrains(director, json)) || status;
  const next = json ? undefined : continuation(director);
  if (next !== undefined) print(next);
  return status;
}

async function appliedOnce(
  director: Director,
  what: Intent | IntendedPlan,
  options: ApplyArguments,
  { command }: Pick<ApplyOptions, 'command'>,
): Promise<{ readonly status: number; readonly tried: boolean }> {
  const { yes = false, json = false, force = false } = options;
  let made: DrainPass | undefined;
  const show = (plan: IntendedPlan) => {
    if (!json) print(describePlan({ ...plan, passed: (made?.moves.length ?? 0) > 0 }, painter(options)));
  };
  const planning = planOptions(options);
  if ('changes' in what) refuseOptions(options);
  const without = (status: number) => ({ status, tried: false });
  const onPass = (pass: DrainPass) => {
    made = pass;
    if (!json) printPass(pass, json, false);
  };
  let missing = {};
  const told = (result: ApplyResult) => {
    const pass = made && made.moves.length + made.problems.length > 0 ? { pass: plainPass(made) } : {};
    return { status: report(result, json, { ...pass, ...missing }), tried: true };
  };
  // Interrupted, it undoes what it did.
  const apply = (what: Intent | IntendedPlan, onPlan?: (plan: IntendedPlan) => void) =>
    untilSignalled((signal) =>
      director.apply(what, {
        ...planning,
        force,
        signal,
        onPass,
        ...(command && { command }),
        ...(onPlan && { onPlan }),
      }),
    );
  const { intent } = 'changes' in what ? what : { intent: what };
  missing = await warnOfPrerequisites(director, intent, json);
  if (yes && !options.dryRun) return told(await apply(what, show));
  // A plan that was kept may be outdated.
  const plan = await director.plan(what, planning);
  const { drains = [] } = plan;
  const size = plan.changes.length || drains.length;
  if (options.dryRun || size === 0) {
    if (json) printJson({ ...plan, ...missing });
    else show(plan);
  }
  const refusal = planRefusal(plan, force);
  if (refusal) return without(printError(refusal, json));
  if (options.dryRun) return without(planStatus(plan));
  if (size === 0) {
    await apply(plan); // that it is ours is worth remembering
    return { status: EXIT.done, tried: true };
  }
  if (json || !canAsk()) throw new UsageError('nobody can be asked: say --yes, or --dry-run to see the changes');
  show(plan);
  if (!(await confirm(`Make ${counted(size, 'change')}?`))) return without(EXIT.error);
  return told(await apply(plan));
}

/** 2 where an apply would change something, be it only by the pass over drains and ramps that it makes. */
export function planStatus({ changes, steps = [], owners = [], drains = [] }: IntendedPlan): number {
  return changes.length + steps.length + owners.length + drains.length === 0 ? EXIT.done : EXIT.changes;
}

/** Prints what came of it; returns the exit status. `more` is for JSON. */
export function report(result: ApplyResult, json: boolean, more: object = {}): number {
  const { outcome, done, failed, skipped, undone, stuck } = result;
  if (json) printJson({ ...result, ...more, failed: failed.map(withCode), stuck: stuck.map(withCode) });
  for (const { error } of failed) printError(error, json);
  if (!json) {
    const { length } = done;
    const parts = [`${counted(length, 'change')} made`];
    if (failed.length > 0) parts.push(`${failed.length} refused`);
    if (skipped.length > 0) parts.push(`${skipped.length} not tried`);
    if (outcome === 'applied' && stuck.length > 0) parts.push(`but for ${counted(stuck.length, 'thing')}`);
    if (outcome === 'undone' && length > 0) parts.push(`${undone.length} to undo them: the table is as it was`);
    if (length > 0 || failed.length > 0) print(parts.join(', '));
  }
  // What an undo cannot give back is said.
  if (!json) for (const { subject, effects } of undone) for (const effect of effects) print(`${subject}: ${effect}`);
  for (const { error } of stuck) printError(error.with({ operation: 'undo' }), json);
  return outcome === 'applied' && stuck.length === 0 ? EXIT.done : EXIT.error;
}

export function withCode({ change, error }: ApplyResult['failed'][number]) {
  return { ...change, error: error.code, message: error.message };
}
