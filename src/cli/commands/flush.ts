/** `ipvs flush` */
import type { Argv } from 'yargs';
import { EXIT, UsageError } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { canAsk, confirm, print, printJson } from '../output.ts';

export function builder(yargs: Argv): Argv {
  return yargs
    .usage(
      '$0 flush [--yes]\n\nRemoves all services and destinations, whoever made them. Connections stay until they time out.',
    )
    .option('yes', { alias: 'y', type: 'boolean', describe: 'Do not ask' })
    .example('$0 flush --yes', '');
}

export async function handler(options: GlobalOptions & { yes?: boolean }): Promise<number> {
  if (!options.yes) {
    if (!canAsk()) throw new UsageError('this removes every service: say --yes');
    if (!(await confirm('Remove every service of this network namespace?'))) return EXIT.error;
  }
  await withIpvs(options, (ipvs) => ipvs.flush());
  if (options.json) printJson({ done: 'flushed' });
  else print('removed all services');
  return EXIT.done;
}
