/** `ipvs service add|edit|delete|show` */
import type { Argv } from 'yargs';
import { serviceKey } from '../../ipvs/address.ts';
import { type DestinationState, formatForward } from '../../ipvs/destination.ts';
import {
  formatPersistence,
  type VirtualServiceInput,
  type VirtualServiceWithDestinations,
} from '../../ipvs/service.ts';
import type { CommandModule } from '../commands.ts';
import { UsageError } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { number, oneValue, seconds, words } from '../options.ts';
import { columns, print, printJson } from '../output.ts';
import { type Subcommand, subcommands } from '../subcommands.ts';

interface ServiceOptions extends GlobalOptions {
  readonly service: string;
  readonly scheduler?: string;
  readonly schedulerFlags?: string;
  readonly persistence?: string;
  readonly netmask?: string;
  readonly engine?: string;
  readonly onePacket?: boolean;
}

const settings = (yargs: Argv): Argv =>
  yargs
    .option('scheduler', {
      alias: 's',
      type: 'string',
      requiresArg: true,
      describe: 'rr, wrr, lc, wlc, sh, mh, … (default: wlc)',
    })
    .option('scheduler-flags', {
      type: 'string',
      requiresArg: true,
      describe: 'sh-port, sh-fallback, mh-port, mh-fallback, flag-1 to flag-3, or none',
    })
    .option('persistence', {
      alias: 'p',
      type: 'string',
      requiresArg: true,
      describe: 'How long a client stays with its destination: 300s, 15m; or none',
    })
    .option('netmask', {
      type: 'string',
      requiresArg: true,
      describe: 'Persistence for networks of clients: prefix length, or an IPv4 mask',
    })
    .option('engine', { type: 'string', requiresArg: true, describe: 'Persistence engine: sip, or none' })
    .option('one-packet', { type: 'boolean', describe: 'Schedule every UDP packet by itself' });

const actions: readonly Subcommand<ServiceOptions>[] = [
  {
    command: 'add <service>',
    describe: 'Add a service',
    build: (yargs) =>
      settings(yargs)
        .example('$0 service add tcp://192.0.2.10:80 --scheduler wrr', '')
        .example('$0 service add udp://[2001:db8::1]:53 -s sh --scheduler-flags sh-port', '')
        .example('$0 service add fwmark:7 --persistence 15m --netmask 24', ''),
    run: async (options) => {
      await withIpvs(options, (ipvs) => ipvs.addService({ address: options.service, ...settingsOf(options) }));
      return { done: 'added', subject: serviceKey(options.service) };
    },
  },
  {
    command: 'edit <service>',
    describe: 'Change a service; what is not named stays',
    build: (yargs) => settings(yargs).example('$0 service edit tcp://192.0.2.10:80 --scheduler wlc', ''),
    run: async (options) => {
      const changes = settingsOf(options);
      if (Object.values(changes).every((value) => value === undefined))
        throw new UsageError('there is nothing to change');
      await withIpvs(options, (ipvs) => ipvs.editService(options.service, changes));
      return { done: 'edited', subject: serviceKey(options.service) };
    },
  },
  {
    command: 'delete <service>',
    describe: 'Delete a service and its destinations',
    build: (yargs) => yargs.example('$0 service delete tcp://192.0.2.10:80', ''),
    run: async (options) => {
      await withIpvs(options, (ipvs) => ipvs.removeService(options.service));
      return { done: 'deleted', subject: serviceKey(options.service) };
    },
  },
  {
    command: 'show <service>',
    describe: 'Show everything about one service',
    build: (yargs) => yargs.example('$0 service show tcp://192.0.2.10:80 --json', ''),
    run: async (options) => {
      const service = await withIpvs(options, (ipvs) => ipvs.service(options.service, { statistics: true }));
      if (options.json) printJson(service);
      else print(details(service));
      return undefined;
    },
  },
];

const command: CommandModule = subcommands('service', actions, (yargs) =>
  yargs.positional('service', {
    type: 'string',
    demandOption: true,
    describe: 'tcp://192.0.2.1:80, udp://[2001:db8::1]:53, fwmark:5',
  }),
);
export const builder: CommandModule['builder'] = command.builder;
export const handler: CommandModule['handler'] = command.handler;

function settingsOf(options: ServiceOptions): Omit<VirtualServiceInput, 'address'> {
  return {
    scheduler: oneValue(options.scheduler, 'scheduler'),
    schedulerFlags: words(options.schedulerFlags, 'scheduler-flags'),
    persistence: persistenceOf(options),
    onePacket: options.onePacket,
  };
}

function persistenceOf(options: ServiceOptions): VirtualServiceInput['persistence'] {
  const netmask = oneValue(options.netmask, 'netmask');
  const engine = oneValue(options.engine, 'engine');
  if (options.persistence === 'none') {
    if (netmask !== undefined || engine !== undefined)
      throw new UsageError('--persistence none leaves nothing for --netmask or --engine');
    return null;
  }
  const timeoutSeconds = seconds(options.persistence, 'persistence');
  if (timeoutSeconds === undefined && netmask === undefined && engine === undefined) return undefined;
  return {
    timeoutSeconds,
    netmask: netmask?.includes('.') ? netmask : number(netmask, 'netmask'),
    engine: engine === 'none' ? null : engine,
  };
}

function details(service: VirtualServiceWithDestinations): string {
  const { address, scheduler, schedulerFlags, persistence, onePacket, statistics, destinations } = service;
  const settings = [
    ['service', address],
    ['scheduler', [scheduler, ...schedulerFlags].join(' ')],
    ['persistence', formatPersistence(persistence)],
    ['one-packet', onePacket ? 'yes' : 'no'],
    ['connections', String(statistics?.connections ?? 0)],
    ['packets', `${statistics?.packetsIn ?? 0} in, ${statistics?.packetsOut ?? 0} out`],
    ['bytes', `${statistics?.bytesIn ?? 0} in, ${statistics?.bytesOut ?? 0} out`],
  ];
  return [...columns(settings, new Set()), '', ...destinationTable(destinations)].join('\n');
}

function destinationTable(destinations: readonly DestinationState[]): string[] {
  if (destinations.length === 0) return ['no destinations'];
  const head = [
    'DESTINATION',
    'FORWARD',
    'WEIGHT',
    'UPPER',
    'LOWER',
    'ACTIVE',
    'INACTIVE',
    'PERSISTENT',
    'CONNECTIONS',
    'BYTES IN',
    'BYTES OUT',
  ];
  const rows = destinations.map((destination) => [
    destination.address,
    formatForward(destination.forward),
    ...[
      destination.weight,
      destination.upperThreshold,
      destination.lowerThreshold,
      destination.activeConnections,
      destination.inactiveConnections,
      destination.persistentConnections,
      destination.statistics?.connections ?? 0,
      destination.statistics?.bytesIn ?? 0,
      destination.statistics?.bytesOut ?? 0,
    ].map(String),
  ]);
  return columns([head, ...rows], new Set(Array.from(head.keys()).slice(2)));
}
