/** `ipvs masquerade mappings|lookup|forget`: the live table of mappings. */
import { IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import type { Mapping } from '../conntrack/mapping.ts';
import type { MappingFilter } from '../conntrack/mapping-filter.ts';
import type { FromInside, FromOutside, MappingTable } from '../conntrack/mapping-table.ts';
import { type Action, action } from './spec/command.ts';
import type { GlobalOptions } from './spec/global-options.ts';
import { number, oneValue } from './spec/options.ts';
import { EXIT, UsageError } from './terminal/exit.ts';
import { print } from './terminal/stdout.ts';
import { watch, watchOption, watchSeconds } from './terminal/watch.ts';
import { jsonLines, showBatches } from './words/batches.ts';
import { growingTable } from './words/growing-table.ts';
import { formatJson, jsonLine, type Paint, painter } from './words/output.ts';

interface Ends {
  readonly protocol?: string;
  readonly inner?: string;
  readonly outer?: string;
  readonly mapped?: string;
}

interface MappingOptions extends GlobalOptions, Ends {
  readonly port?: string;
  readonly limit?: string;
  readonly watch?: string;
}

const WHERE = 'an address or network, with or without a port: 10.0.0.5, 10.0.0.0/24, 10.0.0.5:4711';
const PLACE = 'ADDRESS:PORT';

const ends = {
  inner: { value: PLACE, describe: 'Where the connection began: 10.0.0.5:4711, [fd00::5]:4711' },
  outer: { value: PLACE, describe: 'Whom it talks to' },
  mapped: { value: PLACE, describe: 'What outer sees of inner' },
};
const portProtocols = ['tcp', 'udp', 'sctp'] as const;

export const mappingActions: readonly Action[] = [
  action<MappingOptions>({
    usage: 'mappings',
    summary: 'Show the connections that are masqueraded now',
    description:
      'Shows the mappings that match all filters, as the kernel walks its table: where each began (inner), whom it talks to (outer), and what that sees of it (mapped). With --json, one mapping to a line.',
    options: {
      protocol: { value: 'NAME', describe: 'Of this protocol: tcp, udp, sctp, icmp, icmpv6, or by number: ip-47' },
      inner: { value: 'WHERE', describe: `Of these inner hosts: ${WHERE}` },
      outer: { value: 'WHERE', describe: 'To these outer hosts: as above' },
      mapped: { value: 'WHERE', describe: 'Mapped to this: as above' },
      port: { value: 'PORT', describe: 'Mapped to this port' },
      limit: { value: 'NUMBER', describe: 'At most so many. Default: all' },
      watch: watchOption,
    },
    examples: [
      { line: 'ipvs masquerade mappings' },
      { line: 'ipvs masquerade mappings --inner 10.0.0.0/24 --protocol tcp --json' },
      { line: 'ipvs masquerade mappings --port 61005', meaning: 'who is behind a port' },
    ],
    async run(options) {
      const interval = watchSeconds(options.watch);
      const limit = number(options.limit, 'limit') ?? Number.POSITIVE_INFINITY;
      if (limit < 1) throw new UsageError('--limit is at least 1');
      const filter = filterOf(options);
      await withMappings(options, async (table) => {
        const show = () => (options.json ? jsonLines : shownTable(painter(options)));
        if (interval === undefined) return showBatches(table.list(filter), limit, show());
        return watch(interval, options.json === true, async () => {
          let text = '';
          await showBatches(table.list(filter), limit, show(), async (piece) => {
            text += piece;
            return true;
          });
          return text.trimEnd();
        });
      });
      return EXIT.done;
    },
  }),
  action<GlobalOptions & Ends>({
    usage: 'lookup',
    summary: 'Show the mapping of a packet',
    description:
      'Finds the mapping of a packet from inside (--inner and --outer), of one from outside (--outer and --mapped), or all with a mapped address and port, whoever is outside (--mapped). Exit status 1: there is none.',
    options: {
      protocol: { value: 'NAME', choices: portProtocols, describe: 'Of this protocol. Default: tcp' },
      ...ends,
    },
    examples: [
      { line: 'ipvs masquerade lookup --inner 10.0.0.5:4711 --outer 198.51.100.9:443' },
      { line: 'ipvs masquerade lookup --outer 198.51.100.9:443 --mapped 192.0.2.1:61005' },
      { line: 'ipvs masquerade lookup --protocol udp --mapped 192.0.2.1:61005' },
    ],
    async run(options) {
      const found = await withMappings(options, (table) => lookUp(table, options));
      if (found.length === 0) throw new IpvsError('MAPPING_NOT_FOUND', { operation: 'look up' });
      if (options.json) print(found.map(jsonLine).join('\n'));
      else print(shownTable(painter(options))(found).trimEnd());
      return EXIT.done;
    },
  }),
  action<GlobalOptions & Ends>({
    usage: 'forget',
    summary: 'Delete one mapping',
    description:
      'Deletes the mapping of a packet from inside (--inner and --outer) or from outside (--outer and --mapped). Answers from outside reach nobody then; the next packet from inside begins another mapping.',
    options: {
      protocol: { value: 'NAME', choices: portProtocols, describe: 'Of this protocol. Default: tcp' },
      ...ends,
    },
    examples: [{ line: 'ipvs masquerade forget --inner 10.0.0.5:4711 --outer 198.51.100.9:443' }],
    async run(options) {
      const place = placeOf(options);
      if (place === undefined) throw new UsageError('say --outer, and --inner or --mapped: one mapping is deleted');
      const mapping = await withMappings(options, (table) => table.delete(place));
      const { inner, outer, mapped } = mapping;
      if (options.json) print(formatJson({ done: 'forgotten', mapping }));
      else print(`forgotten: ${inner} to ${outer}, mapped to ${mapped}`);
      return EXIT.done;
    },
  }),
];

async function lookUp(table: MappingTable, options: Ends): Promise<Mapping[]> {
  const place = placeOf(options);
  if (place !== undefined) {
    const found = await ('inner' in place ? table.fromInside(place) : table.fromOutside(place));
    return found ? [found] : [];
  }
  const mapped = oneValue(options.mapped, 'mapped');
  if (mapped === undefined || options.inner !== undefined)
    throw new UsageError('say --inner and --outer, or --outer and --mapped, or --mapped alone');
  return table.byMapped(protocolOf(options), mapped);
}

/** Of one mapping; undefined where the options do not say one. */
function placeOf(options: Ends): FromInside | FromOutside | undefined {
  const [inner, outer, mapped] = [
    oneValue(options.inner, 'inner'),
    oneValue(options.outer, 'outer'),
    oneValue(options.mapped, 'mapped'),
  ];
  if (outer === undefined) return undefined;
  const protocol = protocolOf(options);
  if (inner !== undefined && mapped === undefined) return { protocol, inner, outer };
  return mapped !== undefined && inner === undefined ? { protocol, outer, mapped } : undefined;
}

function protocolOf({ protocol = 'tcp' }: Ends): FromInside['protocol'] {
  return protocol as FromInside['protocol'];
}

function filterOf(options: MappingOptions): MappingFilter {
  return {
    protocol: oneValue(options.protocol, 'protocol'),
    inner: oneValue(options.inner, 'inner'),
    outer: oneValue(options.outer, 'outer'),
    mapped: oneValue(options.mapped, 'mapped'),
    mappedPort: number(options.port, 'port'),
  };
}

export async function withMappings<T>(
  { transport }: GlobalOptions,
  work: (table: MappingTable) => Promise<T>,
): Promise<T> {
  if (transport === 'memory') throw new UsageError('a table in memory has no mappings of a kernel');
  const { openMappings } = await import('../conntrack/open.ts');
  const table = await openMappings();
  try {
    return await work(table);
  } finally {
    table.close();
  }
}

function shownTable(paint: Paint): (mappings: readonly Mapping[]) => string {
  const table = growingTable(
    [
      { title: 'PROTO', width: 5 },
      { title: 'INNER', width: 21 },
      { title: 'OUTER', width: 21 },
      { title: 'MAPPED', width: 21 },
      { title: 'STATE', width: 11 },
      { title: 'EXPIRES', width: 7, right: true },
      { title: '', width: 0 },
    ],
    paint,
  );
  return (mappings) => table(mappings.map((mapping) => ({ cells: cellsOf(mapping), dim: !mapping.replied })));
}

function cellsOf({
  protocol,
  inner,
  outer,
  mapped,
  server,
  state,
  replied,
  expiresSeconds,
  helper,
  control,
}: Mapping): string[] {
  const notes = [
    ...(replied ? [] : ['no answer yet']),
    ...(server === undefined ? [] : [`at ${server}`]),
    ...(helper === null ? [] : [`helper ${quote(helper)}`]),
    ...(control === undefined ? [] : [`expected by ${control.inner} to ${control.outer}`]),
  ];
  return [protocol, inner, outer, mapped, state ?? '', `${expiresSeconds}s`, notes.join(', ')];
}
