/** What goes together with a virtual address, shown in the plan that deletes it. */
import { type AddressHost, formatRoute, type Route } from '../addresses/address-host.ts';
import { formatInterfaceAddress, type HeldAddress } from '../addresses/interface-address.ts';
import type { AddressOperation } from '../addresses/operation.ts';
import { type Holdings, type Removal, removalOf } from '../addresses/removal.ts';
import type { Plan } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';

/** A plan, with what it takes away beyond what it is about: `wider`, each in words. It is carried out only by force. */
export async function withRemovalEffects<P extends Plan>(
  plan: P,
  addresses: readonly HeldAddress[] | null | undefined,
  host: AddressHost | undefined,
): Promise<P & { readonly wider?: readonly string[] }> {
  if (!addresses || !host || !plan.changes.some(isDeletion)) return plan;
  const promotesSecondaries = (name: string) => host.promotesSecondaries(name);
  let holdings: Holdings = { addresses, routes: await host.routes(), promotesSecondaries };
  const wider: string[] = [];
  const changes = plan.changes.map((change) => {
    if (!isDeletion(change)) return change;
    const { address } = change.operation;
    const removal = removalOf(address, holdings);
    holdings = removal.after;
    const effects = effectsOf(removal, address.interface);
    wider.push(...effects.map((effect) => `${formatInterfaceAddress(address)}: ${effect}`));
    return { ...change, effects: [...change.effects, ...effects] };
  });
  return { ...plan, changes, ...(wider.length > 0 && { wider }) };
}

function isDeletion(change: Change): change is Change<AddressOperation> {
  return change.resource === 'addresses' && (change.operation as AddressOperation).type === 'address.delete';
}

function effectsOf({ secondaries, connected, sourced, last, unsourced }: Removal, name: string): string[] {
  const effect = (words: string, routes: readonly Route[]) =>
    routes.length === 0 ? [] : [`${words}: ${routes.map(formatRoute).join(', ')}`];
  const others = secondaries.map(formatInterfaceAddress).join(', ');
  return [
    ...(others === '' ? [] : [`the kernel deletes its secondaries with it: ${others}`]),
    ...effect('the connected route goes', connected),
    ...effect('it is the source of routes', sourced),
    ...effect(`it is the last IPv4 address of ${name}, and the IPv4 routes there go with it`, last),
    ...effect('this host connects from another address by', unsourced),
  ];
}
