/** `ipvs connections`: what the kernel balances at this moment. */

import { quote } from '../../base/quote.ts';
import { type Connection, clientHost } from '../../ipvs/connection.ts';
import type { ConnectionFilter } from '../../ipvs/connection-filter.ts';
import type { Ipvs } from '../../ipvs/ipvs.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withIpvs } from '../spec/globals.ts';
import { number, oneValue, seconds, words } from '../spec/options.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { jsonLines, showBatches } from '../words/batches.ts';
import { growingTable } from '../words/growing-table.ts';
import { columns, jsonLine, type Paint, painter } from '../words/output.ts';

interface ConnectionOptions extends GlobalOptions {
  readonly client?: string;
  readonly service?: string;
  readonly destination?: string;
  readonly inState?: string;
  readonly kind?: string;
  readonly idleOver?: string;
  readonly idleUnder?: string;
  readonly top?: string;
  readonly limit?: string;
}

const ENDPOINT = 'an address or network, with or without a port: 10.0.0.11, 10.0.0.0/24, 10.0.0.11:80';
const sides = ['client', 'service', 'destination'] as const;

const spec = command<ConnectionOptions>({
  description:
    'Shows the connections that match all filters, as the kernel walks its table: of what changes meanwhile some may be missed or come twice. The kernel does not keep when a connection began; its age is the time since its last packet. A template pins a client to a destination (persistence). With --json, one connection to a line.',
  options: {
    client: { value: 'WHO', describe: `From this client: ${ENDPOINT}` },
    service: { value: 'WHAT', describe: 'To this service: tcp://192.0.2.1:80, fwmark:5 (its templates); or as above' },
    destination: { value: 'WHERE', describe: 'Balanced to this destination: as above' },
    'in-state': { value: 'STATES', describe: 'In one of these states: established,syn_recv,udp' },
    kind: { value: 'KIND', choices: ['connection', 'template'], describe: 'Only connections, or only templates' },
    'idle-over': { value: 'DURATION', describe: 'No packet for at least this long (tcp and udp)' },
    'idle-under': { value: 'DURATION', describe: 'A packet within this time (tcp and udp)' },
    top: {
      value: 'SIDE',
      choices: sides,
      describe: 'Count by this instead, the most first; clients without their port',
    },
    limit: { value: 'NUMBER', describe: 'At most so many lines. Default: all; with --top 10' },
  },
  examples: [
    { line: 'ipvs connections --service tcp://192.0.2.10:80 --in-state established' },
    { line: 'ipvs connections --client 198.51.100.0/24 --json' },
    { line: 'ipvs connections --destination 10.0.0.11 --idle-over 5m', meaning: 'what a drain waits for' },
    { line: 'ipvs connections --top client', meaning: 'who has the most' },
  ],
  async run(options) {
    const limit = number(options.limit, 'limit');
    if (limit !== undefined && limit < 1) throw new UsageError('--limit is at least 1');
    const filter = filterOf(options);
    await withIpvs(options, (ipvs) =>
      options.top === undefined
        ? showBatches(
            ipvs.connections(filter),
            limit ?? Number.POSITIVE_INFINITY,
            options.json ? jsonLines : shownTable(painter(options)),
          )
        : top(ipvs, filter, options.top as (typeof sides)[number], limit ?? 10, options),
    );
    return EXIT.done;
  },
});

export { spec as command };

function filterOf(options: ConnectionOptions): ConnectionFilter {
  return {
    client: oneValue(options.client, 'client'),
    service: oneValue(options.service, 'service'),
    destination: oneValue(options.destination, 'destination'),
    state: words(options.inState, 'in-state'),
    kind: oneValue(options.kind, 'kind') as Connection['kind'] | undefined,
    idleOverSeconds: seconds(options.idleOver, 'idle-over'),
    idleUnderSeconds: seconds(options.idleUnder, 'idle-under'),
  };
}

function shownTable(paint: Paint): (connections: readonly Connection[]) => string {
  const table = growingTable(
    [
      { title: 'CLIENT', width: 21 },
      { title: 'SERVICE', width: 27 },
      { title: 'DESTINATION', width: 21 },
      { title: 'STATE', width: 11 },
      { title: 'EXPIRES', width: 7, right: true },
      { title: 'ENGINE', width: 0 },
    ],
    paint,
  );
  return (connections) =>
    table(connections.map((connection) => ({ cells: cellsOf(connection), dim: connection.kind === 'template' })));
}

function cellsOf(connection: Connection): string[] {
  const { client, service, destination, state, expiresSeconds, engine, engineData } = connection;
  // What the engine found came with a packet: it must not reach the terminal as it is.
  const data = engine === null ? '' : `${engine} ${quote(engineData)}`;
  return [client, service, destination, state, `${expiresSeconds}s`, data];
}

async function top(
  ipvs: Ipvs,
  filter: ConnectionFilter,
  side: (typeof sides)[number],
  limit: number,
  options: ConnectionOptions,
): Promise<void> {
  const counts = new Map<string, { connections: number; templates: number }>();
  for await (const connection of ipvs.connections(filter)) {
    const key = side === 'client' ? clientHost(connection) : connection[side];
    const entry = counts.get(key) ?? { connections: 0, templates: 0 };
    if (connection.kind === 'template') entry.templates++;
    else entry.connections++;
    counts.set(key, entry);
  }
  const rows = [...counts].sort(([, a], [, b]) => b.connections - a.connections || b.templates - a.templates);
  const shown = rows.slice(0, limit);
  if (options.json) {
    for (const [key, entry] of shown) print(jsonLine({ [side]: key, ...entry }));
    return;
  }
  const total = rows.reduce((sum, [, { connections }]) => sum + connections, 0);
  const share = (connections: number) => (total === 0 ? '' : `${((100 * connections) / total).toFixed(1)} %`);
  const table = columns(
    [
      [side.toUpperCase(), 'CONNECTIONS', 'SHARE', 'TEMPLATES'],
      ...shown.map(([key, { connections, templates }]) => [
        key,
        String(connections),
        share(connections),
        String(templates),
      ]),
      ['all', String(total), '', String(rows.reduce((sum, [, { templates }]) => sum + templates, 0))],
    ],
    new Set([1, 2, 3]),
  );
  print(table.join('\n'));
}
