/** What goes together with a virtual address, shown in the plan that deletes it. */
import type { AddressHost } from '../addresses/address-host.ts';
import { formatInterfaceAddress, type HeldAddress } from '../addresses/interface-address.ts';
import type { AddressOperation } from '../addresses/operation.ts';
import { type Holdings, type Removal, removalOf } from '../addresses/removal.ts';
import { formatRoute, type Route } from '../addresses/route.ts';
import type { Plan } from '../engine/plan.ts';
import type { Change } from '../engine/resource.ts';
import type { KeptRoute } from '../resources/routes.ts';

export interface RemovalEffects {
  /** What a plan takes away beyond what it is about, each in words: it is carried out only by force. */
  readonly wider?: readonly string[];
  /** The routes among that: a rollback and an undo add them again. */
  readonly routes?: readonly KeptRoute[];
}

export async function withRemovalEffects<P extends Plan>(
  plan: P,
  addresses: readonly HeldAddress[] | null | undefined,
  host: AddressHost | undefined,
): Promise<P & RemovalEffects> {
  if (!addresses || !host || !plan.changes.some(isDeletion)) return plan;
  const promotesSecondaries = (name: string) => host.promotesSecondaries(name);
  let holdings: Holdings = { addresses, routes: await host.routes(), promotesSecondaries };
  const wider: string[] = [];
  const routes: KeptRoute[] = [];
  const changes = plan.changes.map((change) => {
    if (!isDeletion(change)) return change;
    const { address } = change.operation;
    const removal = removalOf(address, holdings);
    holdings = removal.after;
    routes.push(...[...removal.sourced, ...removal.last].map((route) => ({ of: change.key, route, isThere: true })));
    const effects = effectsOf(removal, address.interface);
    wider.push(...effects.map((effect) => `${formatInterfaceAddress(address)}: ${effect}`));
    return { ...change, effects: [...change.effects, ...effects] };
  });
  return { ...plan, changes, ...(wider.length > 0 && { wider }), ...(routes.length > 0 && { routes }) };
}

function isDeletion(change: Change): change is Change<AddressOperation> {
  return change.resource === 'addresses' && (change.operation as AddressOperation).type === 'address.delete';
}

function effectsOf({ secondaries, connected, sourced, last, unsourced }: Removal, name: string): string[] {
  const effect = (words: string, routes: readonly Route[], then = '') =>
    routes.length === 0 ? [] : [`${words}: ${routes.map(formatRoute).join(', ')}${then}`];
  const others = secondaries.map(formatInterfaceAddress).join(', ');
  const stay = sourced.some(({ family }) => family === 'inet6');
  return [
    ...(others === '' ? [] : [`the kernel deletes its secondaries with it: ${others}`]),
    ...effect('the connected route goes', connected),
    ...effect('it is the source of routes', sourced, stay ? WITHOUT_SOURCE : ALONE),
    ...effect(`it is the last IPv4 address of ${name}, and the IPv4 routes there go with it`, last, ALONE),
    ...effect('this host connects from another address by', unsourced, LATER),
  ];
}

/** The kernel makes a connected route again with its address, and no other. */
const ALONE = '; they do not come back by themselves, not even with the address';
const WITHOUT_SOURCE = '; they stay without it, also when the address comes back by itself';
/** An address that comes back is the last of its interface, and the first is the source. */
const LATER = '; it does so after an undo too';
