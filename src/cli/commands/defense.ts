/** `ipvs defense status|run|restore|explain` */

import type { Defense } from '../../defense/defense.ts';
import { normalizePolicy, type PolicyInput } from '../../defense/policy.ts';
import { type PresetName, presetNames, presets } from '../../defense/presets.ts';
import type { PutBack } from '../../defense/put-back.ts';
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { loggerOf, recordOptions } from '../spec/globals.ts';
import { oneValue } from '../spec/options.ts';
import { EXIT, printError, UsageError } from '../terminal/exit.ts';
import { untilSignalled } from '../terminal/interrupt.ts';
import { print } from '../terminal/stdout.ts';
import { watch, watchOption, watchSeconds } from '../terminal/watch.ts';
import { policyWords, restoredWords, statusWords } from '../words/defense.ts';
import { formatJson, jsonLine, painter, printJson } from '../words/output.ts';

interface RunOptions extends GlobalOptions {
  readonly policy?: string;
  readonly file?: string;
  readonly dryRun?: boolean;
}

export const command: Group = {
  description:
    'The kernel can drop new connections, throw out half-open ones and follow TCP more strictly when memory is short. The controller goes on from there: it watches more than memory, and sets those modes step by step while it has to. See ipvs-director\'s guide "under attack".',
  fallback: 'status',
  actions: [
    action<GlobalOptions & { readonly watch?: string }>({
      usage: 'status',
      summary: "Show the kernel's defense, what it does next and why, the signals, and what a controller does",
      description:
        "Shows the modes of the kernel's defense, repeats its computation with the numbers of this moment, and shows the signals that a controller goes by. Where one runs: its policy, its level, and the thresholds that are next. It takes a second, to count new connections. Loads nothing and changes nothing.",
      options: { watch: watchOption },
      examples: [
        { line: 'ipvs defense' },
        { line: 'ipvs defense status --json' },
        { line: 'ipvs defense status --watch 1s', meaning: 'during an attack' },
      ],
      run: (options) => withDefense(options, 'off', (defense) => status(defense, options)),
    }),
    action<RunOptions>({
      usage: 'run',
      summary: 'Watch, and defend while it is needed, until interrupted',
      description:
        'Looks at the signals every second and goes up and down the levels of a policy: of the one that was applied, as it changes, unless it is told another. Where none was applied it watches and defends nothing until one is, and its first line says so. What it changes is recorded before, and put back when it ends, at its next start after a crash, or by "ipvs defense restore"; what somebody else set meanwhile stays. One controller runs in a network namespace. Each step and each write is a line of JSON on stderr.',
      options: {
        policy: {
          value: 'PRESET',
          choices: presetNames,
          describe: 'By this preset. Default: by the policy that was applied, as it changes',
        },
        file: { value: 'FILE', describe: 'By what the section "defense" of this file says' },
        'dry-run': { describe: 'Only say what would be written' },
      },
      examples: [
        { line: 'ipvs defense run --policy balanced --dry-run', meaning: 'first see what it would do' },
        { line: 'ipvs defense run --policy balanced' },
      ],
      async run(options) {
        const policy = await policyOf(options);
        return withDefense(options, 'info', (defense) => run(defense, policy, options));
      },
    }),
    action<GlobalOptions>({
      usage: 'restore',
      summary: 'Put back what a controller that died has changed',
      description: 'What somebody else set since stays, and is told.',
      examples: [{ line: 'ipvs defense restore' }],
      run: (options) =>
        withDefense(options, 'off', async (defense) => {
          const recovered = await defense.restore();
          const { written, kept, dropped } = recovered;
          const words = restoredWords(recovered);
          const refused = plainRefusals(recovered);
          if (options.json) printJson({ written, kept, refused, dropped: dropped?.originals });
          else if (words !== '') print(words);
          return told(recovered, options);
        }),
    }),
    action<GlobalOptions & { readonly preset?: string }>({
      usage: 'explain [preset]',
      summary: 'Show presets with their numbers',
      arguments: { preset: presetNames.join(', ') },
      examples: [{ line: 'ipvs defense explain' }, { line: 'ipvs defense explain balanced' }],
      async run({ preset, json }) {
        const named = preset === undefined ? presetNames : [normalizePolicy(preset as PresetName).preset as PresetName];
        const all = named.map((name) => ({ name, about: presets[name].about, policy: normalizePolicy(name) }));
        if (json) printJson(all);
        else print(all.map(({ name, about, policy }) => `${name}: ${about}\n${policyWords(policy)}`).join('\n\n'));
        return EXIT.done;
      },
    }),
  ],
};

/** Audit lines are what `run` is for, so they are there unless another level is said. */
async function withDefense<T>(
  options: GlobalOptions,
  defaultLogLevel: 'info' | 'off',
  work: (defense: Defense) => Promise<T>,
): Promise<T> {
  const { transport = 'auto' } = options;
  if (transport === 'memory') throw new UsageError("the defense is the kernel's: leave out --transport memory");
  const logLevel = options.logLevel ?? (defaultLogLevel === 'off' ? undefined : defaultLogLevel);
  const logger = logLevel === undefined ? undefined : await loggerOf({ logLevel });
  const { openDefense } = await import('../../defense/defense.ts');
  const defense = await openDefense({ transport, ...recordOptions(options), ...(logger && { logger }) });
  try {
    return await work(defense);
  } finally {
    await defense.close();
  }
}

async function status(defense: Defense, options: GlobalOptions & { readonly watch?: string }): Promise<number> {
  const { json = false } = options;
  const interval = watchSeconds(options.watch);
  const frame = async () => {
    const now = await defense.status();
    return json ? (interval === undefined ? formatJson(now) : jsonLine(now)) : statusWords(now, painter(options));
  };
  if (interval === undefined) print(await frame());
  else await watch(interval, json, frame);
  return EXIT.done;
}

async function run(defense: Defense, policy: PolicyInput | undefined, options: RunOptions): Promise<number> {
  const { dryRun = false } = options;
  return untilSignalled(async (signal) => told(await defense.run({ policy, dryRun, signal }), options));
}

/** By what is said, or else by what was applied. */
async function policyOf({ policy, file }: RunOptions): Promise<PolicyInput | undefined> {
  const preset = oneValue(policy, 'policy');
  const path = oneValue(file, 'file');
  if (preset !== undefined && path !== undefined) throw new UsageError('say --policy or --file, not both');
  if (preset !== undefined) return preset as PresetName;
  if (path === undefined) return undefined;
  const { loadDescription, sourceOf } = await import('../description.ts');
  const { defense: described } = (await loadDescription(sourceOf(path))).state;
  if (described === undefined) throw new UsageError(`${path} has no section "defense"`);
  return described;
}

function told({ refused }: Pick<PutBack, 'refused'>, { json = false }: GlobalOptions): number {
  if (!json) for (const { error } of refused) printError(error, json);
  return refused.length > 0 ? EXIT.error : EXIT.done;
}

function plainRefusals({ refused }: Pick<PutBack, 'refused'>): object[] {
  return refused.map(({ sysctl, to, error: { code, message } }) => ({ sysctl, to, code, message }));
}
