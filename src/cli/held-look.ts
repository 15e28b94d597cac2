/** Weights that drains and ramps hold, for lists: from the record, if there is one. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { IpvsError } from '../base/errors.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { type Ledger, ledgerFor } from '../record/ledger.ts';
import type { TableRecord } from '../record/record.ts';
import { stateDirectory } from '../record/state-directory.ts';
import type { HeldWeight } from '../weights/held-weight.ts';
import type { GlobalOptions } from './spec/global-options.ts';
import { memoryFolder, recordOptions } from './spec/globals.ts';

type Services = readonly VirtualServiceWithDestinations[];

export interface HeldLook {
  readonly held: readonly HeldWeight[];
  /** Why they are unknown: the list is shown all the same. */
  readonly unknown?: string;
}

/** None where nothing is recorded: a list needs no record. */
export async function lookForHeld(options: GlobalOptions, services: Services): Promise<HeldLook> {
  try {
    return { held: await heldIn(options, services) };
  } catch (error) {
    if (!(error instanceof IpvsError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    return { held: [], unknown: `which weights drains and ramps hold is unknown: ${(error as Error).message}` };
  }
}

async function heldIn(options: GlobalOptions, services: Services): Promise<readonly HeldWeight[]> {
  const memory = options.transport === 'memory';
  const ledger = await ledgerOf(options);
  if (ledger === undefined || ledger.drains.length + ledger.ramps.length === 0) return [];
  const [{ heldWeights }, { wallClock }] = await Promise.all([
    import('../weights/held-weight.ts'),
    import('./wall-clock.ts'),
  ]);
  const byAddress = new Map(services.map((service) => [service.address, service]));
  const isAsked = !memory && ledger.drains.some(({ service }) => byAddress.get(service)?.persistence);
  return heldWeights(ledger, {
    services: byAddress,
    quiescentExpire: isAsked && (await quiescentExpire()),
    now: memory ? wallClock() : systemClock(),
  });
}

async function ledgerOf(options: GlobalOptions): Promise<Ledger | undefined> {
  const { store, table } = (await recordAt(options)) ?? {};
  const ledger = store?.ledger();
  return ledger && table !== undefined ? ledgerFor(table, ledger) : undefined;
}

async function recordAt(options: GlobalOptions): Promise<Pick<TableRecord, 'store' | 'table'> | undefined> {
  if (options.transport !== 'memory') {
    const record = recordOptions(options);
    // Most of the record's modules need not be loaded where there is none.
    if (!existsSync(record.stateDir ?? stateDirectory())) return undefined;
    return (await import('../record/record.ts')).openRecord('', record);
  }
  const folder = memoryFolder(options);
  if (folder === undefined) return undefined;
  const [{ Store }, { FolderFiles }] = await Promise.all([import('../record/store.ts'), import('../record/files.ts')]);
  const place = resolve(folder);
  return { store: new Store(new FolderFiles(place)), table: `memory:${place}` };
}

async function quiescentExpire(): Promise<boolean> {
  const [{ KernelSysctls }, { EXPIRE_QUIESCENT }, { native }] = await Promise.all([
    import('../sysctl/sysctls.ts'),
    import('../weights/drain-runner.ts'),
    import('../kernel/native.ts'),
  ]);
  try {
    return Number(new KernelSysctls(native()).read(EXPIRE_QUIESCENT)) !== 0;
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'SYSCTL_NOT_FOUND') return false;
    throw error;
  }
}
