/** `ipvs flush` */
import { command } from '../command.ts';
import { EXIT, UsageError } from '../exit.ts';
import { type GlobalOptions, withVerb } from '../globals.ts';
import { canAsk, confirm, printJson } from '../output.ts';
import { print } from '../stdout.ts';

const spec = command<GlobalOptions & { readonly yes?: boolean }>({
  description:
    'Removes all services and destinations, whoever made them. Connections stay until they time out; timeouts and sync daemons stay as they are.',
  options: { yes: { alias: 'y', describe: 'Do not ask' } },
  examples: [{ line: 'ipvs flush --yes' }],
  async run(options) {
    if (!options.yes) {
      if (!canAsk()) throw new UsageError('this removes every service: say --yes');
      if (!(await confirm('Remove every service of this network namespace?'))) return EXIT.error;
    }
    await withVerb(options, 'flush', { takes: 'all services' }, (ipvs) => ipvs.flush());
    if (options.json) printJson({ done: 'flushed' });
    else print('removed all services');
    return EXIT.done;
  },
});

export { spec as command };
