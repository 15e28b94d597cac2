/** What a crash left, and what drains, for whoever has a table's lock and else no need of plans. */
import { AddressTable } from '../addresses/address-table.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { native } from '../native.ts';
import { ledgerFor } from '../plan/ledger.ts';
import { recover } from '../plan/transaction.ts';
import { processSysctls } from '../proc/sysctl.ts';
import { DrainRunner } from './drain-runner.ts';
import type { TableRecord } from './record.ts';
import { resources } from './resources.ts';
import { SysctlLoans } from './sysctl-loans.ts';

/** In this process's network namespace. */
export async function settled({ store, table }: TableRecord, ipvs: Ipvs): Promise<void> {
  const addresses = AddressTable.open({ native: native() });
  try {
    await recover({ resources, context: { ipvs, addresses }, store, table });
    const ledger = () => ledgerFor(table, store.ledger());
    await new DrainRunner({ ipvs, store, ledger, now: Date.now, loans: new SysctlLoans(processSysctls, store) }).pass();
  } finally {
    await addresses.close();
  }
}
