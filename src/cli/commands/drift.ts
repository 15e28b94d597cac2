/** `ipvs drift`: how the kernel differs from what was applied. */

import type { Drift } from '../../director/director.ts';
import type { Difference } from '../../director/drift.ts';
import { subjectOf } from '../../resources/destination-of.ts';
import { sourceOf } from '../description.ts';
import { intentOf } from '../plan-input.ts';
import { warnOfPrerequisites } from '../prerequisites.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { watch, watchOption, watchSeconds } from '../terminal/watch.ts';
import { columns, counted, jsonLine, type Paint, painter, printJson, time } from '../words/output.ts';

interface Options extends GlobalOptions {
  readonly file?: string;
  readonly all?: boolean;
  readonly watch?: string;
}

const spec = command<Options>({
  description:
    'Compares the kernel with what was applied last, or with a file, and shows what differs: since when that is known, and whose it is: ours (it was applied, and somebody changed it), verb (a command of ours made it) or foreign. A weight that a drain or a ramp holds is shown with its reason, and is no difference. It looks and changes nothing; "ipvs apply" puts right what is ours. Exit status: 0 nothing differs, 2 something does.',
  arguments: { file: 'YAML or JSON, - is standard input; default: what was applied last' },
  options: {
    all: { describe: 'Also services of others that are not described, which are only counted otherwise' },
    watch: watchOption,
  },
  examples: [
    { line: 'ipvs drift' },
    { line: 'ipvs drift web.yaml --json' },
    { line: 'ipvs drift --watch 10s', meaning: 'look every 10 seconds' },
  ],
  run,
});

export { spec as command };

async function run(options: Options): Promise<number> {
  const intervalSeconds = watchSeconds(options.watch);
  const { json = false } = options;
  return withDirector(options, async (director) => {
    const { file, all = false } = options;
    // The file is read once.
    const intent = file === undefined ? undefined : await intentOf(sourceOf(file), director, json);
    const look = async () => shown(await director.drift(intent), all);
    if (intervalSeconds === undefined) {
      const [drift, missing] = [await look(), await warnOfPrerequisites(director, intent, json)];
      if (json) printJson({ ...drift, ...missing });
      else print(driftTable(drift, painter(options)));
      return statusOf(drift);
    }
    let status: number = EXIT.done;
    await watch(intervalSeconds, json, async () => {
      status = EXIT.error; // if this look fails
      const drift = await look();
      status = statusOf(drift);
      return json ? jsonLine(drift) : driftTable(drift, painter(options));
    });
    return status;
  });
}

interface Shown {
  readonly differences: Drift['differences'];
  /** How many services of others there are besides. */
  readonly foreignServices: number;
  readonly held: Drift['held'];
}

function shown({ differences, foreign, held }: Drift, all: boolean): Shown {
  if (!all) return { differences, foreignServices: foreign.length, held };
  const others = foreign.map(({ service, since }) => ({
    key: service,
    of: service,
    subject: service,
    kind: 'extra' as const,
    owner: 'foreign' as const,
    detail: 'not described',
    pending: false,
    since,
  }));
  return { differences: [...differences, ...others], foreignServices: 0, held };
}

function statusOf({ differences }: Shown): number {
  return differences.length === 0 ? EXIT.done : EXIT.changes;
}

function driftTable({ differences, foreignServices, held }: Shown, paint: Paint): string {
  const by = held.length === 0 ? '' : `; ${counted(held.length, 'weight')} held by drains and ramps`;
  const others = `${by}${foreignServices === 0 ? '' : `; ${counted(foreignServices, 'service')} of others`}`;
  const heldLines = held.map((each) => `${subjectOf(each)}  weight ${each.weight} ${each.words}`);
  if (differences.length === 0) return [...heldLines, `nothing differs${others}`].join('\n');
  const [head = '', ...lines] = columns(
    [
      ['SINCE', 'WHOSE', 'WHAT', 'IS → SHOULD BE'],
      ...differences.map((difference) => [
        time(difference.since),
        difference.owner,
        difference.subject,
        wordsOf(difference),
      ]),
    ],
    new Set(),
  );
  return [paint('dim', head), ...lines, ...heldLines, `${counted(differences.length, 'difference')}${others}`].join(
    '\n',
  );
}

function wordsOf({ kind, detail, pending }: Difference): string {
  const missing = kind === 'missing' ? `missing: ${detail}` : detail;
  return pending ? `${missing} (not applied yet)` : missing;
}
