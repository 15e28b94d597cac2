/** `ipvs destination add|edit|delete` */

import { type DestinationInput, destinationKey } from '../../ipvs/destination.ts';
import type { Ipvs } from '../../ipvs/ipvs.ts';
import { settingsOfDestination } from '../../ipvs/settings.ts';
import { serviceKey } from '../../net/address.ts';
import { destinationKeyIn } from '../../record/ledger.ts';
import { type CutOptions, cutOptions, cutting } from '../cut.ts';
import { action, type Group } from '../spec/command.ts';
import { withVerb } from '../spec/globals.ts';
import { number, oneValue } from '../spec/options.ts';
import { optionsOf } from '../spec/setting-options.ts';
import { UsageError } from '../terminal/exit.ts';
import { forceOption, refuseUneven } from '../uneven.ts';
import { DESTINATION, SERVICE } from '../words/shared.ts';

interface DestinationOptions extends CutOptions {
  readonly service: string;
  readonly address: string;
  readonly weight?: string;
  readonly forward?: string;
  readonly tunnel?: string;
  readonly tunnelPort?: string;
  readonly tunnelChecksum?: string;
  readonly upperThreshold?: string;
  readonly lowerThreshold?: string;
  readonly force?: boolean;
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
      options: { ...settings, ...forceOption },
      examples: [
        { line: 'ipvs destination add tcp://192.0.2.10:80 10.0.0.11:8080 --weight 3' },
        { line: 'ipvs destination add fwmark:7 10.0.1.21 --tunnel gue --tunnel-port 6080' },
      ],
      async run(options) {
        const { service, address, key, subject } = named(options);
        const settings = settingsOf(options);
        const destination = { address, weight: settings.weight ?? 1, isNew: true };
        await withVerb(options, 'destination add', { makes: [key] }, async (ipvs) => {
          const about = { operation: 'add destination', subject };
          if (!options.force) await refuseUneven(ipvs, { service, destination }, about);
          await ipvs.addDestination(service, { address, ...settings });
        });
        return { done: 'added', subject };
      },
    }),
    action<DestinationOptions>({
      usage: 'edit <service> <address>',
      summary: 'Change a destination; what is not named stays',
      description:
        'Changes a destination in place; what is not named stays, connections and counters included. It warns if the destination drains or ramps. Where --weight 0 takes the last weight of the service, it prints that, and asks on a terminal if connections are open.',
      arguments: positionals,
      options: { ...changes, ...forceOption, ...cutOptions },
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
        const destination = { address, weight: changes.weight, isNew: false };
        const action = changes.weight === 0 ? 'quiesce' : 'edit';
        const words = { verb: 'edit', done: 'edited', subject };
        const about = { operation: 'edit destination', subject };
        const check = async (ipvs: Ipvs) => options.force || refuseUneven(ipvs, { service, destination }, about);
        const edit = async (ipvs: Ipvs) => {
          await check(ipvs);
          await ipvs.editDestination(service, address, changes);
        };
        const change = () => withVerb(options, 'destination edit', { edits: [key] }, edit);
        return cutting({ action, service, destination: address }, words, options, change, check);
      },
    }),
    action<DestinationOptions>({
      usage: 'delete <service> <address>',
      summary: 'Delete a destination; packets of its connections are dropped',
      description:
        'Deletes a destination; the kernel drops the packets of its connections. It prints how many connections that cuts, and warns if a file describes the destination, as the next apply creates it again then. On a terminal it asks if connections are open. "ipvs drain" takes a destination out of service without cutting any.',
      arguments: positionals,
      options: cutOptions,
      examples: [{ line: 'ipvs destination delete tcp://192.0.2.10:80 10.0.0.11:8080' }],
      async run(options) {
        const { service, address, key, subject } = named(options);
        const words = { verb: 'delete', done: 'deleted', subject };
        return cutting({ action: 'delete', service, destination: address }, words, options, () =>
          withVerb(options, 'destination delete', { takes: [key] }, (ipvs) => ipvs.removeDestination(service, address)),
        );
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
