/** `ipvs destination add|edit|delete` */
import type { Argv } from 'yargs';
import { serviceKey } from '../../ipvs/address.ts';
import {
  type DestinationInput,
  destinationKey,
  forwardMethods,
  tunnelChecksums,
  tunnelTypes,
} from '../../ipvs/destination.ts';
import type { CommandModule } from '../commands.ts';
import { UsageError } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { number, oneValue } from '../options.ts';
import { type Subcommand, subcommands } from '../subcommands.ts';

interface DestinationOptions extends GlobalOptions {
  readonly service: string;
  readonly address: string;
  readonly weight?: string;
  readonly forward?: string;
  readonly tunnel?: string;
  readonly tunnelPort?: string;
  readonly tunnelChecksum?: string;
  readonly upperThreshold?: string;
  readonly lowerThreshold?: string;
}

const settings = (yargs: Argv): Argv =>
  yargs
    .option('weight', {
      alias: 'w',
      type: 'string',
      requiresArg: true,
      describe: 'Share of new connections; 0 takes none (default: 1)',
    })
    .option('forward', {
      alias: 'f',
      choices: forwardMethods,
      requiresArg: true,
      describe: 'How packets reach it (default: masquerade)',
    })
    .option('tunnel', { choices: tunnelTypes, requiresArg: true, describe: 'Forward by this tunnel' })
    .option('tunnel-port', { type: 'string', requiresArg: true, describe: 'UDP port of a gue tunnel' })
    .option('tunnel-checksum', {
      choices: tunnelChecksums,
      requiresArg: true,
      describe: 'Checksums of a gue or gre tunnel',
    })
    .option('upper-threshold', {
      type: 'string',
      requiresArg: true,
      describe: 'No new connections at this many; 0 is no limit',
    })
    .option('lower-threshold', {
      type: 'string',
      requiresArg: true,
      describe: 'New connections again below this many',
    });

const actions: readonly Subcommand<DestinationOptions>[] = [
  {
    command: 'add <service> <address>',
    describe: 'Add a destination to a service',
    build: (yargs) =>
      settings(yargs)
        .example('$0 destination add tcp://192.0.2.10:80 10.0.0.11:8080 --weight 3', '')
        .example('$0 destination add fwmark:7 10.0.1.21 --tunnel gue --tunnel-port 6080', ''),
    run: async (options) => {
      await withIpvs(options, (ipvs) =>
        ipvs.addDestination(options.service, { address: options.address, ...settingsOf(options) }),
      );
      return { done: 'added', subject: subjectOf(options) };
    },
  },
  {
    command: 'edit <service> <address>',
    describe: 'Change a destination; what is not named stays',
    build: (yargs) =>
      settings(yargs).example(
        '$0 destination edit tcp://192.0.2.10:80 10.0.0.11:8080 --weight 0',
        'no new connections',
      ),
    run: async (options) => {
      const changes = settingsOf(options);
      if (Object.values(changes).every((value) => value === undefined))
        throw new UsageError('there is nothing to change');
      await withIpvs(options, (ipvs) => ipvs.editDestination(options.service, options.address, changes));
      return { done: 'edited', subject: subjectOf(options) };
    },
  },
  {
    command: 'delete <service> <address>',
    describe: 'Delete a destination; packets of its connections are dropped',
    build: (yargs) => yargs.example('$0 destination delete tcp://192.0.2.10:80 10.0.0.11:8080', ''),
    run: async (options) => {
      await withIpvs(options, (ipvs) => ipvs.removeDestination(options.service, options.address));
      return { done: 'deleted', subject: subjectOf(options) };
    },
  },
];

const command: CommandModule = subcommands('destination', actions, (yargs) =>
  yargs
    .positional('service', {
      type: 'string',
      demandOption: true,
      describe: 'tcp://192.0.2.1:80, udp://[2001:db8::1]:53, fwmark:5',
    })
    .positional('address', {
      type: 'string',
      demandOption: true,
      describe: "10.0.0.11:8080, [2001:db8::11]:80; the port is the service's by default",
    }),
);
export const builder: CommandModule['builder'] = command.builder;
export const handler: CommandModule['handler'] = command.handler;

function settingsOf(options: DestinationOptions): Omit<DestinationInput, 'address'> {
  return {
    forward: forwardOf(options),
    weight: number(options.weight, 'weight'),
    upperThreshold: number(options.upperThreshold, 'upper-threshold'),
    lowerThreshold: number(options.lowerThreshold, 'lower-threshold'),
  };
}

function forwardOf(options: DestinationOptions): DestinationInput['forward'] {
  const forward = oneValue(options.forward, 'forward');
  const tunnel = oneValue(options.tunnel, 'tunnel');
  const port = number(options.tunnelPort, 'tunnel-port');
  const checksum = oneValue(options.tunnelChecksum, 'tunnel-checksum');
  if (tunnel === undefined) {
    if (port !== undefined || checksum !== undefined)
      throw new UsageError('--tunnel-port and --tunnel-checksum need --tunnel gue or gre');
    return forward;
  }
  if (forward !== undefined && forward !== 'tunnel') throw new UsageError(`--tunnel contradicts --forward ${forward}`);
  return { tunnel, port, checksum };
}

function subjectOf({ service, address }: DestinationOptions): string {
  const key = serviceKey(service);
  return `${destinationKey(address, key)} of ${key}`;
}
