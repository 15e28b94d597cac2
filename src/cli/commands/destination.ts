/** `ipvs destination add|edit|delete` */

import { serviceKey } from '../../ipvs/address.ts';
import { type DestinationInput, destinationKey } from '../../ipvs/destination.ts';
import { settingsOfDestination } from '../../ipvs/settings.ts';
import { destinationKeyIn } from '../../plan/ledger.ts';
import { action, type Group } from '../command.ts';
import { UsageError } from '../exit.ts';
import { type GlobalOptions, withVerb } from '../globals.ts';
import { number, oneValue } from '../options.ts';
import { optionsOf } from '../setting-options.ts';
import { DESTINATION, SERVICE } from '../words.ts';

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

const settings = optionsOf(settingsOfDestination);
const changes = optionsOf(settingsOfDestination, { defaults: false });
const positionals = { service: SERVICE, address: DESTINATION };

export const command: Group = {
  actions: [
    action<DestinationOptions>({
      usage: 'add <service> <address>',
      summary: 'Add a destination to a service',
      arguments: positionals,
      options: settings,
      examples: [
        { line: 'ipvs destination add tcp://192.0.2.10:80 10.0.0.11:8080 --weight 3' },
        { line: 'ipvs destination add fwmark:7 10.0.1.21 --tunnel gue --tunnel-port 6080' },
      ],
      async run(options) {
        const { service, address, key, subject } = named(options);
        const settings = settingsOf(options);
        await withVerb(options, 'destination add', { makes: [key] }, (ipvs) =>
          ipvs.addDestination(service, { address, ...settings }),
        );
        return { done: 'added', subject };
      },
    }),
    action<DestinationOptions>({
      usage: 'edit <service> <address>',
      summary: 'Change a destination; what is not named stays',
      arguments: positionals,
      options: changes,
      examples: [
        {
          line: 'ipvs destination edit tcp://192.0.2.10:80 10.0.0.11:8080 --weight 0',
          meaning: 'no new connections',
        },
      ],
      async run(options) {
        const changes = settingsOf(options, true);
        if (Object.values(changes).every((value) => value === undefined))
          throw new UsageError('there is nothing to change');
        const { service, address, key, subject } = named(options);
        await withVerb(options, 'destination edit', { edits: [key] }, (ipvs) =>
          ipvs.editDestination(service, address, changes),
        );
        return { done: 'edited', subject };
      },
    }),
    action<DestinationOptions>({
      usage: 'delete <service> <address>',
      summary: 'Delete a destination; packets of its connections are dropped',
      arguments: positionals,
      examples: [{ line: 'ipvs destination delete tcp://192.0.2.10:80 10.0.0.11:8080' }],
      async run(options) {
        const { service, address, key, subject } = named(options);
        await withVerb(options, 'destination delete', { takes: [key] }, (ipvs) =>
          ipvs.removeDestination(service, address),
        );
        return { done: 'deleted', subject };
      },
    }),
  ],
};

function settingsOf(options: DestinationOptions, editing = false): Omit<DestinationInput, 'address'> {
  return {
    forward: forwardOf(options, editing),
    weight: number(options.weight, 'weight'),
    upperThreshold: number(options.upperThreshold, 'upper-threshold'),
    lowerThreshold: number(options.lowerThreshold, 'lower-threshold'),
  };
}

/** An edit may name the port or the checksum of a tunnel alone. */
function forwardOf(options: DestinationOptions, editing: boolean): DestinationInput['forward'] {
  const forward = oneValue(options.forward, 'forward');
  const tunnel = oneValue(options.tunnel, 'tunnel');
  const port = number(options.tunnelPort, 'tunnel-port');
  const checksum = oneValue(options.tunnelChecksum, 'tunnel-checksum');
  if (tunnel === undefined && port === undefined && checksum === undefined) return forward;
  if (tunnel === undefined && !editing)
    throw new UsageError('--tunnel-port and --tunnel-checksum need --tunnel gue or gre');
  if (forward !== undefined && forward !== 'tunnel')
    throw new UsageError(`--forward ${forward} contradicts the options of a tunnel`);
  return { tunnel, port, checksum };
}

/** The canonical addresses, the key of the record, and the words. */
function named(options: DestinationOptions): Record<'service' | 'address' | 'key' | 'subject', string> {
  const service = serviceKey(options.service);
  const address = destinationKey(options.address, service);
  return { service, address, key: destinationKeyIn(service, address), subject: `${address} of ${service}` };
}
