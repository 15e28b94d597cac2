/** Which resources there are. Another kind of thing is another line here. */
import type { AnyResource } from '../engine/resource.ts';
import type { DesiredState } from '../state/state.ts';
import { addressesResource } from './addresses.ts';
import type { Context } from './context.ts';
import { defenseResource } from './defense.ts';
import { routesResource } from './routes.ts';
import { rulesResource } from './rules.ts';
import { servicesResource } from './services/resource.ts';
import { syncResource } from './sync.ts';
import { sysctlsResource } from './sysctls.ts';
import { timeoutsResource } from './timeouts.ts';

export const resources: readonly AnyResource<DesiredState, Context>[] = [
  // Before daemons, which take over some of them when they start.
  sysctlsResource,
  defenseResource,
  timeoutsResource,
  syncResource,
  servicesResource,
  addressesResource,
  // After those, with which they go.
  routesResource,
  rulesResource,
] as readonly AnyResource<DesiredState, Context>[];
