/** Desired states and the tables that they come to. */
import type { CurrentState } from '../../src/director/plan.ts';
import { normalizeDestination } from '../../src/ipvs/destination.ts';
import { normalizeService, type VirtualServiceWithDestinations } from '../../src/ipvs/service.ts';
import type { DesiredService, DesiredState } from '../../src/state/state.ts';

/** `{ 'tcp://192.0.2.1:80': { '10.0.0.1': 3 } }`: services with the weights of their destinations. */
export function stateOf(
  services: Readonly<Record<string, Readonly<Record<string, number>>>>,
  more: Partial<Omit<DesiredService, 'service' | 'destinations'>> & { readonly scheduler?: string } = {},
): DesiredState {
  const { scheduler = 'wrr', ...settings } = more;
  return {
    services: Object.entries(services).map(([address, destinations]) => {
      const service = normalizeService({ address, scheduler });
      return {
        service,
        destinations: Object.entries(destinations).map(([address, weight]) =>
          normalizeDestination({ address, weight }, service.address),
        ),
        ...settings,
      };
    }),
  };
}

/** The kernel's table after everything that the state describes was added, in the kernel's order. */
export function tableOf({ services, timeouts, sync = [] }: DesiredState): CurrentState {
  const held = services.map(
    ({ service, destinations }): VirtualServiceWithDestinations => ({
      ...service,
      destinations: destinations.map((destination) => ({
        ...destination,
        activeConnections: 0,
        inactiveConnections: 0,
        persistentConnections: 0,
      })),
    }),
  );
  const defaults = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };
  return { services: { services: held }, timeouts: { ...defaults, ...timeouts }, sync };
}
