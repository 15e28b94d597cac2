/** `ipvs list`: services and destinations, at a glance. */
import type { Argv } from 'yargs';
import { compareDestinations, compareServices, serviceKey } from '../../ipvs/address.ts';
import { type DestinationState, formatForward } from '../../ipvs/destination.ts';
import { formatPersistence, type VirtualServiceWithDestinations } from '../../ipvs/service.ts';
import { EXIT } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { columns, type Paint, painter, print, printJson } from '../output.ts';

export function builder(yargs: Argv): Argv {
  return yargs
    .usage('$0 list [SERVICE]\n\nShows services with their destinations, sorted by address.')
    .positional('service', { type: 'string', describe: 'Only this one: tcp://192.0.2.1:80, fwmark:5' })
    .example('$0 list', 'everything')
    .example('$0 list tcp://192.0.2.10:80 --json', "one service as JSON, destinations in the kernel's order");
}

export async function handler(options: GlobalOptions & { service?: string }): Promise<number> {
  const only = options.service === undefined ? undefined : serviceKey(options.service);
  const services = await withIpvs(options, async (ipvs) =>
    only === undefined ? (await ipvs.snapshot()).services : [await ipvs.service(only)],
  );
  const sorted = services.toSorted((a, b) => compareServices(a.address, b.address));
  if (options.json) printJson({ services: sorted });
  else print(table(sorted, painter(options)));
  return EXIT.done;
}

const NUMBERS = new Set([2, 3, 4]);

/** Services at the margin, their destinations indented below; a service's words run over the numbers. */
function table(services: readonly VirtualServiceWithDestinations[], paint: Paint): string {
  if (services.length === 0) return 'no services';
  const width = Math.max(...services.map(({ address }) => address.length));
  const head = ['  DESTINATION'.padEnd(width), 'FORWARD', 'WEIGHT', 'ACTIVE', 'INACTIVE'];
  const sorted = services.map((service) =>
    service.destinations.toSorted((a, b) => compareDestinations(a.address, b.address)),
  );
  const [headLine = '', ...lines] = columns([head, ...sorted.flat().map(destinationRow)], NUMBERS);
  const firstColumn = headLine.indexOf('FORWARD') - 2;
  const heading = (left: string, right: string) => `${left.padEnd(firstColumn)}  ${right}`;

  const output = [paint('dim', heading('SERVICE', 'SCHEDULER')), paint('dim', headLine)];
  let next = 0;
  for (const [i, service] of services.entries()) {
    const { address } = service;
    output.push(paint('bold', address) + heading(address, schedulingOf(service)).slice(address.length));
    for (const { weight } of sorted[i] ?? []) {
      const line = lines[next++] ?? '';
      output.push(weight === 0 ? paint('yellow', line) : line);
    }
  }
  return output.join('\n');
}

function destinationRow(destination: DestinationState): string[] {
  const { address, forward, weight, activeConnections, inactiveConnections } = destination;
  return [
    `  ${address}`,
    formatForward(forward),
    String(weight),
    String(activeConnections),
    String(inactiveConnections),
  ];
}

/** `wrr`, `sh sh-port, persistence 300s/24, one-packet` */
function schedulingOf({ scheduler, schedulerFlags, persistence, onePacket }: VirtualServiceWithDestinations): string {
  const words = [[scheduler, ...schedulerFlags].join(' ')];
  if (persistence) words.push(`persistence ${formatPersistence(persistence)}`);
  if (onePacket) words.push('one-packet');
  return words.join(', ');
}
