/** How much one apply may take away: a mistake in a file should not empty a table. Pure. */
import type { AddressOperation } from '../addresses/operation.ts';
import { parseServiceAddress } from '../ipvs/address.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { Plan } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';

/** Something of which a plan takes more than it may. */
export interface Excess {
  /** "services", or the address of a service whose weight is meant. */
  readonly subject: string;
  readonly removed: number;
  readonly of: number;
  /** The share that may be removed: 0 to 1. */
  readonly limit: number;
}

/** Services removed, or cut off from their address, of all that are there, and of each service that stays, the weight removed of all that it has. */
export function excesses({ changes }: Pick<Plan, 'changes'>, { services }: Snapshot, limit: number): Excess[] {
  const own = (changes as readonly Change<Operation>[]).filter(({ resource }) => resource === 'services');
  const found: Excess[] = [];
  const note = (subject: string, removed: number, of: number) => {
    if (of > 0 && removed / of > limit) found.push({ subject, removed, of, limit });
  };
  const gone = new Set(
    own.flatMap(({ operation }) => (operation.type === 'service.delete' ? [operation.service] : [])),
  );
  // A service whose address is withdrawn is out of reach too.
  const withdrawn = new Set(
    changes.flatMap(({ resource, phase, operation }) =>
      resource === 'addresses' && phase === 'withdraw' ? [(operation as AddressOperation).address.address] : [],
    ),
  );
  const unreachable = services.filter(({ address }) => {
    const parsed = parseServiceAddress(address);
    return gone.has(address) || ('ip' in parsed && withdrawn.has(parsed.ip));
  });
  note('services', unreachable.length, services.length);
  const byService = new Map<string, Change<Operation>[]>();
  for (const change of own) byService.set(change.of, [...(byService.get(change.of) ?? []), change]);
  for (const { address, destinations } of services) {
    const weights = new Map(destinations.map(({ address, weight }) => [address, weight]));
    let removed = 0;
    for (const { operation } of byService.get(address) ?? []) {
      if (operation.type === 'destination.delete') removed += weights.get(operation.destination) ?? 0;
      if (operation.type === 'destination.edit') {
        const { address, weight } = operation.destination;
        removed += Math.max(0, (weights.get(address) ?? 0) - weight);
      }
    }
    note(
      address,
      removed,
      destinations.reduce((sum, { weight }) => sum + weight, 0),
    );
  }
  return found;
}

export function describeExcess({ subject, removed, of, limit }: Excess): string {
  const percent = (share: number) => `${Math.round(share * 1000) / 10}%`;
  const what = subject === 'services' ? `${removed} of ${of} services` : `${removed} of the weight ${of} of ${subject}`;
  return `${what} (${percent(removed / of)}; the limit is ${percent(limit)})`;
}
