/** `ipvs list`: services and destinations, at a glance. */
import { serviceKey } from '../../ipvs/address.ts';
import type { Ipvs, Snapshot } from '../../ipvs/ipvs.ts';
import { command } from '../command.ts';
import { EXIT, UsageError } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import {
  sortServices,
  type TableOptions,
  tableOf,
  type ViewName,
  viewNames,
  views,
  withFreshRates,
} from '../list-table.ts';
import { oneValue, seconds } from '../options.ts';
import { jsonLine, painter, printJson } from '../output.ts';
import { print } from '../stdout.ts';
import { watch } from '../watch.ts';
import { SERVICE } from '../words.ts';

interface ListOptions extends GlobalOptions, Readonly<Partial<Record<Exclude<ViewName, 'overview'>, boolean>>> {
  readonly service?: string;
  readonly exact?: boolean;
  readonly sort?: string;
  readonly watch?: string;
}

const spec = command<ListOptions>({
  description:
    'Shows services with their destinations. Counters and rates are as the kernel publishes them every 2 seconds; its rates are moving averages, those of --watch are counted between two looks.',
  arguments: { service: `Only this one: ${SERVICE}` },
  options: {
    stats: { describe: 'Connections, packets and bytes so far' },
    rate: { describe: 'Connections, packets and bytes per second' },
    thresholds: { describe: 'Connection limits of destinations' },
    persistent: { describe: 'Persistence: templates, the clients that are pinned to a destination' },
    exact: { describe: 'Whole numbers, not 1.23M' },
    sort: {
      value: 'COLUMN',
      describe:
        'Largest first by this column of the view (weight, active, connections, bytes-in, …); or address, or kernel for its own order. Default: address',
    },
    watch: { value: 'INTERVAL', optional: true, describe: 'Again every INTERVAL until interrupted. Default: 2s' },
  },
  examples: [
    { line: 'ipvs list', meaning: 'everything' },
    {
      line: 'ipvs list tcp://192.0.2.10:80 --json',
      meaning: "one service as JSON, destinations in the kernel's order",
    },
    { line: 'ipvs list --stats --exact' },
    { line: 'ipvs list --rate --sort connections --watch', meaning: 'who gets the connections, every 2 seconds' },
  ],
  async run(options) {
    const view = viewOf(options);
    const sort = oneValue(options.sort, 'sort') ?? (options.json ? undefined : 'address');
    sortServices([], view, sort); // what is wrong is told before anything is read
    const intervalSeconds = intervalOf(options, view);
    return withIpvs(options, async (ipvs) => {
      if (intervalSeconds === undefined) {
        const { services } = await read(ipvs, options, view);
        if (options.json) printJson({ services: sortServices(services, view, sort) });
        else print(tableOf({ services }, tableOptions(options, view, sort)));
        return EXIT.done;
      }
      let before: Snapshot | undefined;
      await watch(intervalSeconds, options.json === true, async () => {
        const snapshot = await read(ipvs, options, view);
        const shown = view === 'rate' && before !== undefined ? withFreshRates(before, snapshot) : snapshot;
        before = snapshot;
        if (options.json) return jsonLine({ ...shown, services: sortServices(shown.services, view, sort) });
        return tableOf(shown, tableOptions(options, view, sort));
      });
      return EXIT.done;
    });
  },
});

export { spec as command };

function viewOf(options: ListOptions): ViewName {
  const chosen = viewNames.filter((name) => name !== 'overview' && options[name]);
  if (chosen.length > 1) throw new UsageError(`--${chosen[0]} and --${chosen[1]} are two views: say one`);
  return chosen[0] ?? 'overview';
}

/** Undefined without --watch. Rates need what the kernel publishes, every 2 seconds. */
function intervalOf({ watch }: ListOptions, view: ViewName): number | undefined {
  if (watch === undefined) return undefined;
  const interval = watch === '' ? 2 : (seconds(watch, 'watch') ?? 2);
  if (interval < 1 || interval > 86_400) throw new UsageError('--watch takes 1s to 1d');
  if (view === 'rate' && interval % 2 !== 0)
    throw new UsageError('--rate --watch takes an even number of seconds: the kernel counts anew every 2');
  return interval;
}

async function read(ipvs: Ipvs, options: ListOptions, view: ViewName): Promise<Snapshot> {
  const { statistics } = views[view];
  if (options.service === undefined) return ipvs.snapshot({ statistics });
  const { readAtMs, ...service } = await ipvs.service(serviceKey(options.service), { statistics });
  return { services: [service], ...(readAtMs !== undefined && { readAtMs }) };
}

function tableOptions(options: ListOptions, view: ViewName, sort: string | undefined): TableOptions {
  return { view, sort, exact: options.exact === true, paint: painter(options) };
}
