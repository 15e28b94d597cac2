/** An entry of the section `services`, in the terms of the nouns: the nearest word counts. */

import type { DestinationInput } from '../../ipvs/destination.ts';
import type { VirtualServiceInput } from '../../ipvs/service.ts';
import type { Family } from '../../net/address.ts';
import type { DesiredService } from '../state.ts';
import type { Defaults, DestinationEntry, ServiceEntry } from './services-schema.ts';

export type EntryDestination = DestinationInput & { readonly address: string };

/** What is malformed is refused where addresses are read. */
export function familyIn(address: string): Family {
  return address.includes('[') || address.endsWith('/inet6') ? 'inet6' : 'inet';
}

export function persistenceOf(entry: ServiceEntry, defaults: Defaults): Defaults['persistence'] {
  return entry.persistence === undefined ? defaults.persistence : entry.persistence;
}

export function serviceInput(entry: ServiceEntry, address: string, defaults: Defaults): VirtualServiceInput {
  const persistence = persistenceOf(entry, defaults);
  const ownScheduler = entry.scheduler !== undefined && entry.scheduler !== defaults.scheduler;
  return {
    address,
    scheduler: entry.scheduler ?? defaults.scheduler,
    // Flags belong to a scheduler: those of the defaults do not go to another one.
    schedulerFlags: entry.schedulerFlags ?? (ownScheduler ? undefined : defaults.schedulerFlags),
    persistence: persistence && {
      timeoutSeconds: persistence.timeout ?? persistence.timeoutSeconds,
      netmask: netmaskFor(persistence.netmask, address),
      engine: persistence.engine,
    },
    onePacket: entry.onePacket ?? defaults.onePacket,
  };
}

function netmaskFor(
  netmask: NonNullable<Defaults['persistence']>['netmask'],
  address: string,
): number | string | undefined {
  return typeof netmask === 'object' ? netmask[familyIn(address)] : netmask;
}

export function destinationInput(
  described: DestinationEntry,
  entry: ServiceEntry,
  defaults: Defaults,
): EntryDestination {
  return {
    address: described.address,
    forward: described.forward ?? entry.forward ?? defaults.forward,
    weight: described.weight ?? defaults.weight,
    upperThreshold: described.upperThreshold ?? defaults.upperThreshold,
    lowerThreshold: described.lowerThreshold ?? defaults.lowerThreshold,
  };
}

export function isTunnelled({ forward }: EntryDestination): boolean {
  return forward === 'tunnel' || typeof forward === 'object';
}

/** What belongs to the service and is not the kernel's. */
export function optionsOf(
  { name, exclusive, interface: device, sourceNat, rejectUnserved, ...entry }: ServiceEntry,
  defaults: Defaults,
): Omit<DesiredService, 'service' | 'destinations'> {
  const drain = entry.drain === undefined ? defaults.drain : entry.drain;
  const ramp = entry.ramp === undefined ? defaults.ramp : entry.ramp;
  return {
    ...(name !== undefined && { name }),
    ...(exclusive !== undefined && { exclusive }),
    ...(device !== undefined && { interface: device }),
    ...(sourceNat && { sourceNat }),
    ...(rejectUnserved && { rejectUnserved }),
    ...(drain && { drain: { timeoutSeconds: drain.timeout, afterwards: drain.then ?? 'delete' } }),
    ...(ramp && { ramp: { durationSeconds: ramp.duration, floor: ramp.floor ?? 0.1, curve: ramp.curve ?? 'linear' } }),
  };
}
