/** `ipvs totals` */
import { type Counters, counterNames } from '../../ipvs/statistics.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withIpvs } from '../spec/globals.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { columns, count, printJson } from '../words/output.ts';

const spec = command<GlobalOptions & { readonly cpus?: boolean; readonly exact?: boolean }>({
  description:
    'Shows counters over all services, and their rates. The kernel publishes them every 2 seconds; what each processor counted (--cpus) is always fresh.',
  options: {
    cpus: { describe: 'Also what each processor counted' },
    exact: { describe: 'Whole numbers, not 1.23M' },
  },
  examples: [{ line: 'ipvs totals' }, { line: 'ipvs totals --cpus --exact' }],
  async run(options) {
    const totals = await withIpvs(options, (ipvs) => ipvs.totals());
    if (options.json) {
      printJson(totals);
      return EXIT.done;
    }
    const row = (name: string, counters: Counters) => [
      name,
      ...counterNames.map((counter) => (options.exact ? String(counters[counter]) : count(counters[counter]))),
    ];
    const rows = [
      ['', 'CONNECTIONS', 'PACKETS IN', 'PACKETS OUT', 'BYTES IN', 'BYTES OUT'],
      row('total', totals.total),
      row('per second', totals.total.rates),
      ...(options.cpus ? totals.cpus.map((counters) => row(`cpu ${counters.cpu}`, counters)) : []),
    ];
    print(columns(rows, new Set([1, 2, 3, 4, 5])).join('\n'));
    return EXIT.done;
  },
});

export { spec as command };
