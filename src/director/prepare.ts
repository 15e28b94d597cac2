/** What whoever has a table's lock does first, and else has no need of plans or drains. */
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

/** In this process's network namespace: deals with what a crash left, and carries drains and ramps on. */
export async function prepared({ store, table }: TableRecord, ipvs: Ipvs): Promise<void> {
  const addresses = AddressTable.open({ native: native() });
  try {
    await recover({ resources, context: { ipvs, addresses }, store, table });
    const ledger = () => ledgerFor(table, store.ledger());
    await new DrainRunner({ ipvs, store, ledger, loans: new SysctlLoans(processSysctls, store), now: Date.now }).pass();
  } finally {
    await addresses.close();
  }
}
