/** What the kernel holds of a few things, by their keys: for the record of a direct command. */

import type { Tables } from '../engine/plan.ts';
import { syncStates } from '../ipvs/sync-daemon.ts';
import { type Context, servicesAt, unlessNotLoaded } from '../resources/context.ts';
import { daemonKey, serviceOf, TIMEOUTS_KEY } from '../resources/keys.ts';
import { nameOfRuleKey } from '../resources/rule-keys.ts';
import { rulesResource } from '../resources/rules.ts';
import { configured } from '../resources/services/configuration.ts';
import { syncResource } from '../resources/sync.ts';
import { sysctlsIn, sysctlsResource } from '../resources/sysctls.ts';
import { timeoutsResource } from '../resources/timeouts.ts';

/** What a look needs of a context: the parts that its keys are about. */
export type LookContext = Pick<Context, 'ipvs'> & Partial<Context>;

/** Configurations by resource, of those resources that have one of the keys. */
export async function lookAt(context: LookContext, keys: ReadonlySet<string> | 'all services'): Promise<Tables> {
  const { ipvs } = context;
  if (keys === 'all services') {
    const { services } = await unlessNotLoaded(ipvs.snapshot(), { services: [] });
    return { services: { services: services.map(configured) } };
  }
  const tables: Record<string, unknown> = {};
  const addresses = new Set([...keys].flatMap((key) => serviceOf(key) ?? []));
  if (addresses.size > 0) {
    const found = await servicesAt(ipvs, addresses);
    tables['services'] = { services: [...found.values()].map(configured) };
  }
  const whole = context as Context;
  if (syncStates.some((state) => keys.has(daemonKey(state)))) tables['sync'] = await syncResource.read(whole);
  if (keys.has(TIMEOUTS_KEY)) tables['timeouts'] = await timeoutsResource.read(whole);
  const sysctls = Object.fromEntries(sysctlsIn(keys));
  if (Object.keys(sysctls).length > 0)
    tables['sysctls'] = await sysctlsResource.read(whole, [{ services: [], sysctls }]);
  if ([...keys].some((key) => nameOfRuleKey(key) !== undefined))
    tables['rules'] = await rulesResource.reread(whole, {}, keys);
  return tables;
}
