/** `ipvs list`: services and destinations, at a glance. */
import { IpvsError } from '../../base/errors.ts';
import type { Ipvs, Snapshot } from '../../ipvs/ipvs.ts';
import { serviceKey } from '../../net/address.ts';
import { lookForHeld } from '../held-look.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withDirector, withIpvs } from '../spec/globals.ts';
import { oneValue } from '../spec/options.ts';
import { EXIT, printWarning, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { watch, watchOption, watchSeconds } from '../terminal/watch.ts';
import {
  type OwnerOf,
  sortServices,
  type TableOptions,
  tableOf,
  type ViewName,
  viewNames,
  views,
  withFreshRates,
  withOwners,
} from '../words/list.ts';
import { formatJson, jsonLine, painter } from '../words/output.ts';
import { SERVICE } from '../words/shared.ts';

interface ListOptions extends GlobalOptions, Readonly<Partial<Record<Exclude<ViewName, 'overview'>, boolean>>> {
  readonly service?: string;
  readonly exact?: boolean;
  readonly owner?: boolean;
  readonly sort?: string;
  readonly watch?: string;
}

const spec = command<ListOptions>({
  description:
    'Shows services with their destinations. Counters and rates are as the kernel publishes them every 2 seconds; its rates are moving averages, those of --watch are counted between two looks. Beside a weight that a drain or a ramp holds stands why.',
  arguments: { service: `Only this one: ${SERVICE}` },
  options: {
    stats: { describe: 'Connections, packets and bytes so far' },
    rate: { describe: 'Connections, packets and bytes per second' },
    thresholds: { describe: 'Connection limits of destinations' },
    persistent: { describe: 'Persistence: templates, the clients that are pinned to a destination' },
    exact: { describe: 'Whole numbers, not 1.23M' },
    owner: {
      describe:
        'Whose it is: ours (described by the file that was applied), verb (made by a command of ours, or adopted) or foreign',
    },
    sort: {
      value: 'COLUMN',
      describe:
        'Largest first by this column of the view (weight, active, connections, bytes-in, …); or address, or kernel for its own order. Default: address',
    },
    watch: watchOption,
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
    const show = async (ipvs: Ipvs, owners?: () => Promise<OwnerOf>) => {
      const textOf = async (snapshot: Snapshot, toJson: (value: unknown) => string) => {
        const ownerOf = await owners?.();
        const { held, unknown } = await lookForHeld(options, snapshot.services);
        if (!options.json) {
          const table = tableOf(snapshot, { ...tableOptions(options, view, sort), ownerOf, held });
          return unknown === undefined ? table : `${table}\n\n${unknown}`;
        }
        if (unknown !== undefined) printWarning(unknown);
        const sorted = sortServices(snapshot.services, view, sort);
        return toJson({
          ...snapshot,
          services: ownerOf ? withOwners(sorted, ownerOf) : sorted,
          ...(held.length > 0 && { held }),
        });
      };
      if (intervalSeconds === undefined) {
        const { services } = await read(ipvs, options, view);
        print(await textOf({ services }, formatJson));
        return services.some(({ incomplete }) => incomplete !== undefined) ? EXIT.error : EXIT.done;
      }
      let before: Snapshot | undefined;
      await watch(intervalSeconds, options.json === true, async () => {
        const snapshot = await read(ipvs, options, view);
        const shown = view === 'rate' && before !== undefined ? withFreshRates(before, snapshot) : snapshot;
        before = snapshot;
        return textOf(shown, jsonLine);
      });
      return EXIT.done;
    };
    if (!options.owner) return withIpvs(options, (ipvs) => show(ipvs));
    return withDirector(options, (director) => show(director.ipvs, () => director.owners()));
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
  const interval = watchSeconds(watch);
  if (view === 'rate' && interval !== undefined && interval % 2 !== 0)
    throw new UsageError('--rate --watch takes an even number of seconds: the kernel counts anew every 2');
  return interval;
}

async function read(ipvs: Ipvs, options: ListOptions, view: ViewName): Promise<Snapshot> {
  const { statistics } = views[view];
  if (options.service === undefined) return ipvs.snapshot({ statistics, partial: true });
  const address = serviceKey(options.service);
  try {
    const { readAtMs, ...service } = await ipvs.service(address, { statistics });
    return { services: [service], ...(readAtMs !== undefined && { readAtMs }) };
  } catch (error) {
    if (!(error instanceof IpvsError && error.code === 'TRANSPORT_LACKS')) throw error;
    const { services, ...rest } = await ipvs.snapshot({ statistics, partial: true });
    const found = services.filter((service) => service.address === address);
    if (found.length === 0) throw error;
    return { services: found, ...rest };
  }
}

function tableOptions(options: ListOptions, view: ViewName, sort: string | undefined): TableOptions {
  return { view, sort, exact: options.exact === true, paint: painter(options) };
}
