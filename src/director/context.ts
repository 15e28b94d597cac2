/** What resources work on, and what several of them do alike. */
import type { AddressTable } from '../addresses/address-table.ts';
import { IpvsError } from '../errors.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { Change, ChangeResult } from '../plan/resource.ts';

export interface Context {
  readonly ipvs: Ipvs;
  /** Absent where there are no interfaces: in memory. */
  readonly addresses?: AddressTable;
}

/** Where ip_vs is not loaded there is nothing yet: reading must not load it. */
export async function unlessNotLoaded<T, Otherwise>(reading: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'IPVS_NOT_LOADED') return otherwise;
    throw error;
  }
}

export async function executed({ ipvs }: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]> {
  const results = await ipvs.execute(changes.map(({ operation }) => operation));
  return results.map(({ operation, error }, i) => {
    const change = changes[i] as Change;
    return error && !isGone(operation, error) ? { change, error } : { change };
  });
}

const gone: readonly string[] = ['SERVICE_NOT_FOUND', 'DESTINATION_NOT_FOUND', 'SYNC_NOT_FOUND'];

/** What somebody else took away meanwhile is away. */
export function isGone({ type }: Operation, { code }: IpvsError): boolean {
  return (type.endsWith('.delete') || type === 'sync.stop') && gone.includes(code);
}
