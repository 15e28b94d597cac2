/** What whoever has a table's lock does first: what a crash left, and what drains. */
import { AddressTable } from '../addresses/address-table.ts';
import { systemClock } from '../base/clock.ts';
import { defenseRecord } from '../defense/record.ts';
import { type Engine, type Recovery, recover } from '../engine/transaction.ts';
import { KernelRuleHost } from '../iptables/host.ts';
import { MasqueradeTable } from '../iptables/masquerade-table.ts';
import type { Ipvs } from '../ipvs/ipvs.ts';
import { native } from '../kernel/native.ts';
import { ledgerFor } from '../record/ledger.ts';
import type { TableRecord } from '../record/record.ts';
import { resources } from '../resources/all.ts';
import type { Context } from '../resources/context.ts';
import { type DesiredState, desiredShape } from '../state/state.ts';
import { SysctlTable } from '../sysctl/sysctl-table.ts';
import { KernelSysctls } from '../sysctl/sysctls.ts';
import { type DrainPass, DrainRunner } from '../weights/drain-runner.ts';
import { SysctlLoans } from '../weights/sysctl-loans.ts';

export interface Settled {
  /** Undefined if nothing was left. */
  readonly recovery: Recovery | undefined;
  readonly pass: DrainPass;
}

export async function settle(engine: Engine<DesiredState, Context>, runner: DrainRunner): Promise<Settled> {
  const recovery = await recover(engine);
  return { recovery, pass: await runner.pass() };
}

/** The same for who else has no need of plans, in this process's network namespace. */
export async function settled({ store, table }: TableRecord, ipvs: Ipvs): Promise<Settled> {
  const addresses = AddressTable.open({ native: native() });
  try {
    const sysctls = new KernelSysctls(native());
    const defense = defenseRecord(store, table);
    const loans = new SysctlLoans(sysctls, store);
    const ledger = () => ledgerFor(table, store.ledger());
    const runner = new DrainRunner({ ipvs, store, ledger, now: systemClock, loans });
    const masquerade = new MasqueradeTable({ host: new KernelRuleHost({ native: native() }) });
    const context = { ipvs, addresses, sysctls: new SysctlTable(sysctls), defense, masquerade };
    return await settle({ resources, context, store, table, desired: desiredShape }, runner);
  } finally {
    await addresses.close();
  }
}
