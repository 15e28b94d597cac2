/** What plan, apply and others take: a file or a saved plan, and how much of it is meant. */
import type { TextSource } from '../config/load.ts';
import { readText } from '../config/text-file.ts';
import type { Director, IntendedPlan, Intent, PlanOptions } from '../director/director.ts';
import type { DesiredService } from '../director/state.ts';
import { IpvsError } from '../errors.ts';
import type { OptionSpec } from './command.ts';
import { loadDescription, sourceOf } from './description.ts';
import { printWarnings, UsageError } from './exit.ts';
import { percent, words } from './options.ts';

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
export function formatSavedPlan(plan: IntendedPlan): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, plan })}\n`;
}

/** The plan that a text holds; undefined if it is something else. Throws FILE_UNREADABLE. */
export function savedPlan(text: string, file: string): IntendedPlan | undefined {
  if (!text.startsWith(`{"format":"${FORMAT}"`)) return undefined;
  let saved: { readonly version?: unknown; readonly plan?: IntendedPlan };
  try {
    saved = JSON.parse(text);
  } catch (cause) {
    throw new IpvsError('FILE_UNREADABLE', { subject: file, detail: 'the plan in it is cut off', cause });
  }
  const { version, plan } = saved;
  if (version === 1 && plan && isWhole(plan)) return plan;
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

function isWhole(plan: Partial<IntendedPlan>): boolean {
  const { table, changes, conflicts, strays, excess, unchanged, options, intent } = plan;
  const services: readonly (Partial<DesiredService> | null)[] | undefined = intent?.desired?.services;
  return (
    typeof table === 'string' &&
    typeof unchanged === 'number' &&
    typeof options === 'object' &&
    options !== null &&
    hasTexts(changes, ['resource', 'phase', 'verb', 'subject', 'key', 'of', 'detail']) &&
    changes.every(({ effects }) => Array.isArray(effects)) &&
    hasTexts(conflicts, ['subject']) &&
    hasTexts(strays, ['key', 'of', 'owner']) &&
    hasTexts(excess, ['subject']) &&
    Array.isArray(services) &&
    services.every((entry) => typeof entry?.service?.address === 'string' && Array.isArray(entry.destinations))
  );
}

/** Whether it is a list of objects with such keys. */
function hasTexts<T extends object>(
  list: readonly T[] | undefined,
  keys: readonly (keyof T & string)[],
): list is readonly T[] {
  if (!Array.isArray(list)) return false;
  return list.every((item: T | null) => keys.every((key) => typeof item?.[key] === 'string'));
}
