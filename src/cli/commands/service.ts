/** `ipvs service add|edit|delete|show` */

import { type DestinationState, formatForward } from '../../ipvs/destination.ts';
import {
  formatPersistence,
  type VirtualServiceInput,
  type VirtualServiceWithDestinations,
} from '../../ipvs/service.ts';
import { settingsOfService } from '../../ipvs/settings.ts';
import { serviceKey } from '../../net/address.ts';
import { type CutOptions, cutOptions, cutting } from '../cut.ts';
import { action, type Group } from '../spec/command.ts';
import { withIpvs, withVerb } from '../spec/globals.ts';
import { number, oneValue, seconds, words } from '../spec/options.ts';
import { optionsOf } from '../spec/setting-options.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { forceOption, refuseUneven } from '../uneven.ts';
import { columns, printJson } from '../words/output.ts';
import { SERVICE } from '../words/shared.ts';

interface ServiceOptions extends CutOptions {
  readonly service: string;
  readonly scheduler?: string;
  readonly schedulerFlags?: string;
  readonly persistence?: string;
  readonly netmask?: string;
  readonly engine?: string;
  readonly onePacket?: boolean;
  readonly force?: boolean;
}

const settings = optionsOf(settingsOfService);
const changes = optionsOf(settingsOfService, { defaults: false });
const positionals = { service: SERVICE };
const CUT_DESCRIPTION =
  'Deletes a service and its destinations. It prints how many connections that cuts, and warns if a file describes the service, as the next apply creates it again then. On a terminal it asks if connections are open.';

export const command: Group = {
  actions: [
    action<ServiceOptions>({
      usage: 'add <service>',
      summary: 'Add a service',
      arguments: positionals,
      options: settings,
      examples: [
        { line: 'ipvs service add tcp://192.0.2.10:80 --scheduler wrr' },
        { line: 'ipvs service add udp://[2001:db8::1]:53 -s sh --scheduler-flags sh-port' },
        { line: 'ipvs service add fwmark:7 --persistence 15m --netmask 24' },
      ],
      async run(options) {
        if (refinesPersistence(options)) throw new UsageError(PERSISTENCE_FIRST);
        const address = serviceKey(options.service);
        const settings = settingsOf(options);
        await withVerb(options, 'service add', { makes: [address] }, (ipvs) =>
          ipvs.addService({ address, ...settings }),
        );
        return { done: 'added', subject: address };
      },
    }),
    action<ServiceOptions>({
      usage: 'edit <service>',
      summary: 'Change a service; what is not named stays',
      description:
        'Changes a service in place; what is not named stays, connections and counters included. Another scheduler begins without flags, as they belong to a scheduler.',
      arguments: positionals,
      options: { ...changes, ...forceOption },
      examples: [{ line: 'ipvs service edit tcp://192.0.2.10:80 --scheduler wlc' }],
      async run(options) {
        const changes = settingsOf(options);
        if (Object.values(changes).every((value) => value === undefined))
          throw new UsageError('there is nothing to change');
        const address = serviceKey(options.service);
        await withVerb(options, 'service edit', { edits: [address] }, async (ipvs) => {
          if (refinesPersistence(options) && (await ipvs.service(address)).persistence === null)
            throw new UsageError(PERSISTENCE_FIRST);
          const about = { operation: 'edit service', subject: address };
          if (!options.force) await refuseUneven(ipvs, { service: address, scheduler: changes.scheduler }, about);
          await ipvs.editService(address, changes);
        });
        return { done: 'edited', subject: address };
      },
    }),
    action<ServiceOptions>({
      usage: 'show <service>',
      summary: 'Show everything about one service',
      arguments: positionals,
      examples: [{ line: 'ipvs service show tcp://192.0.2.10:80 --json' }],
      async run(options) {
        const service = await withIpvs(options, (ipvs) => ipvs.service(options.service, { statistics: true }));
        if (options.json) printJson(service);
        else print(details(service));
        return EXIT.done;
      },
    }),
    action<ServiceOptions>({
      usage: 'delete <service>',
      summary: 'Delete a service and its destinations',
      description: CUT_DESCRIPTION,
      arguments: positionals,
      options: cutOptions,
      examples: [
        { line: 'ipvs service delete tcp://192.0.2.10:80' },
        { line: 'ipvs service delete tcp://192.0.2.10:80 --dry-run', meaning: 'show what it would cut' },
      ],
      async run(options) {
        const address = serviceKey(options.service);
        const words = { verb: 'delete', done: 'deleted', subject: address };
        return cutting({ action: 'delete', service: address }, words, options, () =>
          withVerb(options, 'service delete', { takes: [address] }, (ipvs) => ipvs.removeService(address)),
        );
      },
    }),
  ],
};

function settingsOf(options: ServiceOptions): Omit<VirtualServiceInput, 'address'> {
  return {
    scheduler: oneValue(options.scheduler, 'scheduler'),
    schedulerFlags: words(options.schedulerFlags, 'scheduler-flags'),
    persistence: persistenceOf(options),
    onePacket: options.onePacket,
  };
}

const PERSISTENCE_FIRST = '--netmask and --engine refine persistence, which the service has not: say --persistence too';

function refinesPersistence({ persistence, netmask, engine }: ServiceOptions): boolean {
  return persistence === undefined && (netmask !== undefined || engine !== undefined);
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
