/** A table for one test file: a network namespace of its own and an open handle to it. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { IpvsError } from '../../src/base/errors.ts';
import type { Destination, DestinationState } from '../../src/ipvs/destination.ts';
import { type Ipvs, openIpvs, type Snapshot } from '../../src/ipvs/ipvs.ts';
import type { Operation, OperationResult } from '../../src/ipvs/operation.ts';
import type { VirtualService, VirtualServiceWithDestinations } from '../../src/ipvs/service.ts';
import { makeNamespace, type TestNamespace } from './namespace.ts';

export interface KernelTable {
  readonly namespace: TestNamespace;
  readonly ipvs: Ipvs;
}

/** Called while tests are collected. Every test begins with an empty table, unless `keep` says otherwise. */
export function kernelTable(label: string, { keep = false }: { keep?: boolean } = {}): KernelTable {
  let namespace: TestNamespace | undefined;
  let ipvs: Ipvs | undefined;
  const table = {
    get namespace(): TestNamespace {
      if (namespace === undefined) throw new Error('the namespace is there while tests run');
      return namespace;
    },
    get ipvs(): Ipvs {
      if (ipvs === undefined) throw new Error('the handle is there while tests run');
      return ipvs;
    },
  };
  beforeAll(async () => {
    namespace = makeNamespace(label);
    ipvs = await openIpvs({ netns: namespace.name });
  });
  if (!keep) beforeEach(() => table.ipvs.flush());
  afterAll(async () => {
    await ipvs?.close();
    namespace?.remove();
  });
  return table;
}

export type ConfiguredService = VirtualService & { readonly destinations: readonly Destination[] };

/** What is configured, without counters: services by address, destinations in the kernel's order. */
export function configured({ services }: Snapshot): ConfiguredService[] {
  return services.map(configuredService).sort((a, b) => (a.address < b.address ? -1 : 1));
}

export function configuredService(service: VirtualServiceWithDestinations): ConfiguredService {
  const { address, scheduler, schedulerFlags, persistence, onePacket, destinations } = service;
  return {
    address,
    scheduler,
    schedulerFlags,
    persistence,
    onePacket,
    destinations: destinations.map(configuredDestination),
  };
}

export function configuredDestination(destination: DestinationState): Destination {
  const { address, forward, weight, upperThreshold, lowerThreshold } = destination;
  return { address, forward, weight, upperThreshold, lowerThreshold };
}

/** The error with which it is refused. */
export async function refusal(attempt: Promise<unknown>): Promise<IpvsError> {
  const error = await attempt.then(
    (value) => {
      throw new Error(`not refused: ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
  if (error instanceof IpvsError) return error;
  throw error;
}

/** Carries them out and expects that all are done. */
export async function done(ipvs: Ipvs, operations: readonly Operation[]): Promise<void> {
  for (const { error } of await ipvs.execute(operations)) if (error) throw error;
}

export function codes(results: readonly OperationResult[]): (string | undefined)[] {
  return results.map(({ error }) => error?.code);
}
