/** How much one apply may take away: a mistake in a file should not empty a table. Pure. */
import type { AddressOperation } from '../addresses/operation.ts';
import type { Plan } from '../engine/plan.ts';
import type { Change } from '../engine/resource.ts';
import type { Snapshot } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import { parseServiceAddress } from '../net/address.ts';

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
  if (limit >= 1) return [];
  const found: Excess[] = [];
  const note = (subject: string, removed: number, of: number) => {
    if (of > 0 && removed / of > limit) found.push({ subject, removed, of, limit });
  };
  note('services', unreachable(changes, services).length, services.length);
  const byService = new Map<string, Operation[]>();
  for (const { resource, of, operation } of changes as readonly Change<Operation>[]) {
    if (resource !== 'services') continue;
    const operations = byService.get(of);
    if (operations) operations.push(operation);
    else byService.set(of, [operation]);
  }
  for (const { address, destinations } of services) {
    const operations = byService.get(address);
    if (operations === undefined) continue;
    const weights = new Map(destinations.map(({ address, weight }) => [address, weight]));
    const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
    note(
      address,
      operations.reduce((sum, operation) => sum + takenBy(operation, weights), 0),
      total,
    );
  }
  return found;
}

/** Services that are removed, or whose address is withdrawn. */
function unreachable(changes: readonly Change[], services: Snapshot['services']): Snapshot['services'] {
  const removed = new Set(changes.filter(({ phase }) => phase === 'remove-service').map(({ key }) => key));
  const withdrawn = new Set(
    changes
      .filter(({ resource, phase }) => resource === 'addresses' && phase === 'withdraw')
      .map(({ operation }) => (operation as AddressOperation).address.address),
  );
  return services.filter(({ address }) => {
    const parsed = parseServiceAddress(address);
    return removed.has(address) || ('ip' in parsed && withdrawn.has(parsed.ip));
  });
}

function takenBy(operation: Operation, weights: ReadonlyMap<string, number>): number {
  if (operation.type === 'destination.delete') return weights.get(operation.destination) ?? 0;
  if (operation.type !== 'destination.edit') return 0;
  const { address, weight } = operation.destination;
  return Math.max(0, (weights.get(address) ?? 0) - weight);
}

export function describeExcess({ subject, removed, of, limit }: Excess): string {
  const percent = (share: number) => `${Math.round(share * 1000) / 10}%`;
  const what = subject === 'services' ? `${removed} of ${of} services` : `${removed} of the weight ${of} of ${subject}`;
  return `${what} (${percent(removed / of)}; the limit is ${percent(limit)})`;
}
