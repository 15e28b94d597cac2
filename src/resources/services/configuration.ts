/** Services as they are configured, without counters, and how they compare. Pure. */
import { type Destination, sameDestination } from '../../ipvs/destination.ts';
import { formatPersistence, type VirtualService } from '../../ipvs/service.ts';

/** A service as it is configured, without counters; its destinations in the kernel's order, the newest first. */
export interface ConfiguredService extends VirtualService {
  readonly destinations: readonly Destination[];
}

export interface Configuration {
  readonly services: readonly ConfiguredService[];
}

export function configured(service: ConfiguredService): ConfiguredService {
  const { address, scheduler, schedulerFlags, persistence, onePacket, destinations } = service;
  return {
    address,
    scheduler,
    schedulerFlags,
    persistence,
    onePacket,
    destinations: destinations.map(({ address, forward, weight, upperThreshold, lowerThreshold }) => ({
      address,
      forward,
      weight,
      upperThreshold,
      lowerThreshold,
    })),
  };
}

export function sameService(a: VirtualService, b: VirtualService): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.onePacket === b.onePacket &&
    (a.persistence === b.persistence || formatPersistence(a.persistence) === formatPersistence(b.persistence)) &&
    (a.schedulerFlags.length + b.schedulerFlags.length === 0 ||
      flagWords(a.schedulerFlags) === flagWords(b.schedulerFlags))
  );
}

/** In the same order too. */
export function sameList(a: readonly Destination[], b: readonly Destination[]): boolean {
  return a.length === b.length && a.every((destination, i) => sameDestination(destination, b[i] as Destination));
}

/** Names of flags, for people. */
export function flagWords(names: readonly string[]): string {
  return names.join('+') || 'none';
}
