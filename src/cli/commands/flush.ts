/** `ipvs flush` */
import type { Remains } from '../../director/remains.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { directOptions, withDirector } from '../spec/globals.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { canAsk, confirm, printJson } from '../words/output.ts';

const spec = command<GlobalOptions & { readonly yes?: boolean; readonly all?: boolean }>({
  description:
    'Removes all services and destinations, whoever created them. Connections stay until they time out. Timeouts, sync daemons, virtual addresses and rules stay too, and are listed; with --all those that we created are removed first. "ipvs undo" takes a flush back.',
  options: {
    yes: { alias: 'y', describe: 'Do not ask' },
    all: { describe: 'Also remove the virtual addresses, rules and sync daemons that we created' },
  },
  examples: [{ line: 'ipvs flush --yes' }, { line: 'ipvs flush --all --yes', meaning: 'leave nothing of ours' }],
  async run(options) {
    const { all = false, json = false } = options;
    if (!options.yes) {
      if (!canAsk()) throw new UsageError('this removes every service: say --yes');
      if (!(await confirm('Remove every service of this network namespace?'))) return EXIT.error;
    }
    const direct = await directOptions(options);
    return withDirector(options, async (director) => {
      if (all) {
        // An empty file removes everything that we manage. The operator asked for that, so no limit applies.
        const desired = { services: [], sync: [], masquerade: [] };
        const result = await director.apply(
          { desired },
          { force: true, command: 'flush --all', onPass: direct.onPass },
        );
        if (result.outcome !== 'applied') return (await import('./apply.ts')).report(result, json);
      }
      await director.verb('flush', { takes: 'all services' }, (ipvs) => ipvs.flush(), direct);
      const remains = await director.remains();
      if (json) printJson({ done: 'flushed', remains });
      else print(['removed all services', ...wordsOf(remains)].join('\n'));
      return EXIT.done;
    });
  },
});

export { spec as command };

function wordsOf({ addresses, rules, daemons }: Remains): string[] {
  return [
    ...addresses.map((address) => `still there: address ${address}`),
    ...rules.map((rule) => `still there: rule ${rule}`),
    ...daemons.map((daemon) => `still there: sync daemon ${daemon}`),
  ];
}
