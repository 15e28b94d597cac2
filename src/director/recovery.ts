/** What a crash left, for whoever has a table's lock and else no need of plans. */
import { AddressTable } from '../addresses/address-table.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { native } from '../native.ts';
import { type Recovery, recover } from '../plan/transaction.ts';
import type { TableRecord } from './record.ts';
import { resources } from './resources.ts';

/** In this process's network namespace. Undefined if there is nothing to do. */
export async function recovered({ store, table }: TableRecord, ipvs: Ipvs): Promise<Recovery | undefined> {
  const addresses = AddressTable.open({ native: native() });
  try {
    return await recover({ resources, context: { ipvs, addresses }, store, table });
  } finally {
    await addresses.close();
  }
}
