/** `ipvs masquerade ports`: how many ports of each rule are taken. */
import type { MeteredPorts, PortReading } from '../conntrack/port-meter.ts';
import { action } from './spec/command.ts';
import type { GlobalOptions } from './spec/global-options.ts';
import { number, percent } from './spec/options.ts';
import { EXIT, UsageError } from './terminal/exit.ts';
import { print } from './terminal/stdout.ts';
import { watch, watchOption, watchSeconds } from './terminal/watch.ts';
import { columns, formatJson, jsonLine, type Paint, painter } from './words/output.ts';

interface PortOptions extends GlobalOptions {
  readonly limit?: string;
  readonly warn?: string;
  readonly watch?: string;
}

export const portAction = action<PortOptions>({
  usage: 'ports',
  summary: 'Show how many ports of each rule are taken, and what failed',
  description:
    'Ports are taken for each outer address and port on their own. Shows those with the fewest left first, the most that were taken at a time while it looked (--watch), and what connection tracking counted as failed since the namespace began.',
  options: {
    warn: {
      value: 'PERCENT',
      describe:
        'From this share on ports are scarce: the kernel looks for a free one at random, and not for ever. Default: 80%',
    },
    limit: { value: 'NUMBER', describe: 'At most so many. Default: 20, with --json all' },
    watch: watchOption,
  },
  examples: [
    { line: 'ipvs masquerade ports' },
    { line: 'ipvs masquerade ports --watch 5s', meaning: 'with the peak, and what fails meanwhile' },
  ],
  async run(options) {
    if (options.transport === 'memory') throw new UsageError('a table in memory has no mappings of a kernel');
    const interval = watchSeconds(options.watch);
    const limit = number(options.limit, 'limit') ?? (options.json ? Number.POSITIVE_INFINITY : 20);
    if (limit < 1) throw new UsageError('--limit is at least 1');
    const scarceShare = percent(options.warn, 'warn') ?? 0.8;
    if (scarceShare === 0) throw new UsageError('--warn is above 0%');
    const { openPortMeter } = await import('../conntrack/port-meter.ts');
    const meter = await openPortMeter({ scarceShare });
    try {
      const frame = async () => {
        const reading = await meter.look();
        const shown = { ...reading, ports: reading.ports.slice(0, limit) };
        if (!options.json) return words(reading, limit, painter(options));
        return interval === undefined ? formatJson(shown) : jsonLine(shown);
      };
      if (interval === undefined) print(await frame());
      else await watch(interval, options.json === true, frame);
    } finally {
      await meter.close();
    }
    return EXIT.done;
  },
});

function words(reading: PortReading, limit: number, paint: Paint): string {
  const { ports } = reading;
  const rows = ports.slice(0, limit).map(cellsOf);
  const [head = '', ...lines] = columns(
    [['RULE', 'PROTO', 'OUTER', 'MAPPED', 'PORTS', 'USED', 'FREE', 'PEAK', ''], ...rows],
    new Set([5, 6, 7]),
  );
  const colours = { ample: undefined, scarce: 'yellow', exhausted: 'red' } as const;
  const painted = lines.map((line, i) => {
    const colour = colours[ports[i]?.state ?? 'ample'];
    return colour ? paint(colour, line) : line;
  });
  return [
    ...(ports.length === 0 ? ['no port of a rule is taken'] : [paint('bold', head), ...painted]),
    ...(ports.length > limit ? [`… ${ports.length - limit} more`] : []),
    failureWords(reading),
  ].join('\n');
}

function cellsOf({ rule, protocol, outer, mapped, ports, used, free, peak, state }: MeteredPorts): string[] {
  return [rule, protocol, outer, mapped, ports, ...[used, free, peak].map(String), state === 'ample' ? '' : state];
}

function failureWords({ entries, most, failures, newFailures }: PortReading): string {
  const told = (name: keyof typeof failures, what: string) =>
    `${failures[name]} ${what}${newFailures[name] > 0 ? ` (+${newFailures[name]})` : ''}`;
  return [
    `connection tracking: ${entries} of ${most} entries`,
    told('insertFailed', 'found no free port or were there already'),
    told('drop', 'dropped'),
    told('earlyDrop', 'thrown out early'),
  ].join(', ');
}
