/** What plan, apply and others take: a file or a saved plan, and how much of it is meant. */

import { IpvsError } from '../base/errors.ts';
import type { TextSource } from '../config/load.ts';
import { readText } from '../config/text-file.ts';
import type { Director, IntendedPlan, Intent, PlanOptions } from '../director/director.ts';
import { isListOf, isNumber, isRecord, isText } from '../record/shapes.ts';
import { isDesiredState } from '../state/state.ts';
import { loadDescription, sourceOf } from './description.ts';
import type { OptionSpec } from './spec/command.ts';
import { percent, words } from './spec/options.ts';
import { printWarnings, UsageError } from './terminal/exit.ts';

export interface PlanArguments {
  readonly adopt?: boolean;
  readonly prune?: string;
  readonly target?: string;
  readonly maxChange?: string;
}

export const planArguments: Readonly<Record<string, OptionSpec>> = {
  adopt: { describe: 'Take over services that the file describes and somebody else made' },
  prune: {
    value: 'WHAT',
    choices: ['all'],
    describe: 'all: also remove what the file does not describe, whoever made it',
  },
  target: { value: 'SERVICE', describe: 'Only these services: addresses or names, with commas' },
  'max-change': {
    value: 'PERCENT',
    describe:
      "Refuse to remove more than this share of the services, or of a service's weight. Default: the file's limits",
  },
};

export function planOptions({ adopt, prune, target, maxChange }: PlanArguments): PlanOptions {
  const targets = words(target, 'target');
  const share = percent(maxChange, 'max-change');
  return {
    ...(adopt && { adopt }),
    ...(prune === 'all' && { prune: true }),
    ...(targets && { targets }),
    ...(share !== undefined && { maxChange: share }),
  };
}

/** What a file describes. Host names that do not answer keep what was applied last. */
export async function intentOf(source: string | TextSource, director: Director, json: boolean): Promise<Intent> {
  const { state, files, hosts, warnings } = await loadDescription(source, { known: director.hosts() });
  printWarnings(warnings, json);
  return { desired: state, source: { files, hosts: Object.fromEntries(hosts) } };
}

const FORMAT = 'ipvs-director plan';

/** As `savedPlan` reads it again. */
export function formatSavedPlan({ held: _, steps: __, drains: ___, ...plan }: IntendedPlan): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, plan })}\n`;
}

/** The plan that a text holds; undefined if it is something else. Throws FILE_UNREADABLE. */
export function savedPlan(text: string, file: string): IntendedPlan | undefined {
  if (!text.startsWith(`{"format":"${FORMAT}"`)) return undefined;
  let saved: { readonly version?: unknown; readonly plan?: unknown };
  try {
    saved = JSON.parse(text);
  } catch (cause) {
    throw new IpvsError('FILE_UNREADABLE', { subject: file, detail: 'the plan in it is cut off', cause });
  }
  const { version, plan } = saved;
  if (version === 1 && isWhole(plan)) return plan;
  throw new IpvsError('FILE_UNREADABLE', { subject: file, detail: 'the plan in it is of another release' });
}

/** Reads a plan that was kept, or the text of a file. */
export function planOrTextOf(file: string): IntendedPlan | TextSource {
  const source = sourceOf(file);
  const text = typeof source === 'string' ? readText(source) : source.text;
  return savedPlan(text, file) ?? (typeof source === 'string' ? { text, file } : source);
}

/** What `ipvs apply` was given: a plan that was kept, or a file. */
export async function planOrIntentOf(file: string, director: Director, json: boolean): Promise<IntendedPlan | Intent> {
  const what = planOrTextOf(file);
  return 'changes' in what ? what : intentOf(what, director, json);
}

/** A plan that was kept says how it was made. */
export function refuseOptions(options: PlanArguments & { readonly out?: unknown }): void {
  if (Object.keys(planOptions(options)).length > 0 || options.out !== undefined)
    throw new UsageError(
      'a plan that was kept is shown and carried out as it is: say --adopt, --prune, --target and --max-change to "ipvs plan FILE --out"',
    );
}

/** So far that nothing which shows or compares it meets a value of another type: it is carried out only as it is planned anew. */
function isWhole(plan: unknown): plan is IntendedPlan {
  if (!isRecord(plan) || !isRecord(plan['intent']) || !isRecord(plan['options'])) return false;
  const { table, changes, conflicts, strays, excess, unchanged, intent, options } = plan;
  const { owners = [], wider = [], uneven = [] } = plan;
  const { targets = [] } = options;
  const { desired, source, undo } = intent;
  const isChange = (change: unknown) =>
    hasTexts(change, ['resource', 'phase', 'verb', 'subject', 'key', 'of', 'detail']) &&
    isListOf(change['effects'], isText);
  const isUneven = (each: unknown) => hasTexts(each, ['service']) && isNumber(each['steps']) && isNumber(each['limit']);
  const isSource =
    source === undefined || (isRecord(source) && Array.isArray(source['files']) && isRecord(source['hosts']));
  const isPoint = undo === undefined || (isRecord(undo) && isNumber(undo['id']) && isText(undo['side']));
  return (
    isText(table) &&
    isNumber(unchanged) &&
    isListOf(targets, isText) &&
    isListOf(changes, isChange) &&
    isListOf(conflicts, (each) => hasTexts(each, ['subject'])) &&
    isListOf(strays, (each) => hasTexts(each, ['key', 'of', 'owner'])) &&
    isListOf(excess, (each) => hasTexts(each, ['subject'])) &&
    isListOf(owners, (each) => hasTexts(each, ['key', 'from', 'to'])) &&
    isListOf(wider, isText) &&
    isListOf(uneven, isUneven) &&
    isSource &&
    isPoint &&
    isDesiredState(desired)
  );
}

/** Whether it is an object with such texts, which may be empty. */
function hasTexts(value: unknown, keys: readonly string[]): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && keys.every((key) => typeof value[key] === 'string');
}
