/** `ipvs diff`: two states of the table compared. */

import { IpvsError } from '../../base/errors.ts';
import { compared, type Side } from '../../director/compare.ts';
import { describeChanges } from '../../director/describe.ts';
import type { Director } from '../../director/director.ts';
import { sourceOf } from '../description.ts';
import { intentOf } from '../plan-input.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector } from '../spec/globals.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { painter, printJson } from '../words/output.ts';

interface Options extends GlobalOptions {
  readonly a?: string;
  readonly b?: string;
}

const STATE = 'the number of an entry of the history (the table after it), a file, or "kernel"';

const spec = command<Options>({
  description:
    'Compares two states of the table and shows what leads from A to B: + is what B has and A has not. Without B it is the kernel, without A the last entry of the history. The whole tables are compared, whoever made what is in them; timeouts and sync daemons where both say something of them. Exit status: 0 they are the same, 2 they differ.',
  arguments: { a: `${STATE}; default: the last entry`, b: 'the same; default: kernel' },
  examples: [
    { line: 'ipvs diff', meaning: 'what changed since the last apply' },
    { line: 'ipvs diff 3 4' },
    { line: 'ipvs diff web.yaml kernel' },
  ],
  run: (options) =>
    withDirector(options, async (director) => {
      const a = options.a ?? lastEntry(director);
      const b = options.b ?? 'kernel';
      const [from, to] = [await sideOf(a, director, options), await sideOf(b, director, options)];
      const { changes, unchanged } = compared(from, to);
      if (options.json) printJson({ a: nameOf(a), b: nameOf(b), changes, unchanged });
      else {
        const paint = painter(options);
        print(`${paint('dim', `from ${nameOf(a)} to ${nameOf(b)}`)}\n${describeChanges(changes, paint)}`);
      }
      return changes.length === 0 ? EXIT.done : EXIT.changes;
    }),
});

export { spec as command };

function lastEntry(director: Director): string {
  const last = director.history().at(-1);
  if (last) return String(last.id);
  throw new IpvsError('NO_SUCH_ENTRY', { operation: 'diff', detail: 'nothing was applied' });
}

async function sideOf(name: string, director: Director, { json = false }: Options): Promise<Side> {
  if (name === 'kernel') return { tables: await director.tables('kernel') };
  if (isEntry(name)) return { tables: await director.tables(Number(name)) };
  return { desired: (await intentOf(sourceOf(name), director, json)).desired };
}

function isEntry(name: string): boolean {
  return /^\d{1,15}$/.test(name);
}

function nameOf(name: string): string {
  if (isEntry(name)) return `entry ${name}`;
  return name === '' ? 'stdin' : name;
}
