/** What resources work on, and what several of them do alike. */
import type { AddressHost } from '../addresses/address-host.ts';
import { type ErrorCode, IpvsError } from '../base/errors.ts';
import type { DefenseRecord } from '../defense/record.ts';
import { type Change, type ChangeResult, requireEach } from '../engine/resource.ts';
import type { MasqueradeTable } from '../iptables/masquerade-table.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import type { Operation } from '../ipvs/operation.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import type { SysctlTable } from '../sysctl/sysctl-table.ts';

export interface Context {
  readonly ipvs: Ipvs;
  /** Absent where there are no interfaces: in memory. */
  readonly addresses?: AddressHost;
  /** Absent where there are none: in memory. */
  readonly sysctls?: SysctlTable;
  readonly defense: DefenseRecord;
  /** Absent where there are no rules: in memory. */
  readonly masquerade?: MasqueradeTable;
}

/** Where ip_vs is not loaded there is nothing yet: reading must not load it. */
export function unlessNotLoaded<T, Otherwise>(reading: Promise<T>, otherwise: Otherwise): Promise<T | Otherwise> {
  return unless(['IPVS_NOT_LOADED'], reading, otherwise);
}

/** Those of the services that are there, by address. */
export async function servicesAt(
  ipvs: Ipvs,
  addresses: Iterable<string>,
): Promise<Map<string, VirtualServiceWithDestinations>> {
  const found = new Map<string, VirtualServiceWithDestinations>();
  for (const address of new Set(addresses)) {
    const service = await unless(['SERVICE_NOT_FOUND', 'IPVS_NOT_LOADED'], ipvs.service(address), undefined);
    if (service !== undefined) found.set(address, service);
  }
  return found;
}

async function unless<T, Otherwise>(
  codes: readonly ErrorCode[],
  reading: Promise<T>,
  otherwise: Otherwise,
): Promise<T | Otherwise> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof IpvsError && codes.includes(error.code)) return otherwise;
    throw error;
  }
}

export async function executed({ ipvs }: Context, changes: readonly Change<Operation>[]): Promise<ChangeResult[]> {
  return resultsOf(changes, await ipvs.execute(changes.map(({ operation }) => operation)), isGone);
}

/** One result for each change, in order; what is refused because it is away already is done. */
export function resultsOf<Op>(
  changes: readonly Change<Op>[],
  results: readonly { readonly error?: IpvsError }[],
  isGone: (operation: Op, error: IpvsError) => boolean,
): ChangeResult[] {
  requireEach(results, changes.length);
  return changes.map((change, i) => {
    const error = results[i]?.error;
    return error && !isGone(change.operation, error) ? { change, error } : { change };
  });
}

const gone: readonly string[] = ['SERVICE_NOT_FOUND', 'DESTINATION_NOT_FOUND', 'SYNC_NOT_FOUND'];

/** What somebody else took away meanwhile is away. */
export function isGone({ type }: Operation, { code }: IpvsError): boolean {
  return (type.endsWith('.delete') || type === 'sync.stop') && gone.includes(code);
}
