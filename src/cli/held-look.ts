/** Weights that drains and ramps hold, for lists: from the record, if there is one that can be read. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import type { HeldWeight } from '../director/held-weight.ts';
import type { TableRecord } from '../director/record.ts';
import { stateDirectory } from '../director/state-directory.ts';
import { IpvsError } from '../errors.ts';
import type { VirtualServiceWithDestinations } from '../ipvs/service.ts';
import { type Ledger, ledgerFor } from '../plan/ledger.ts';
import { type GlobalOptions, memoryFolder, recordOptions } from './globals.ts';

type Services = readonly VirtualServiceWithDestinations[];

/** None where nothing is recorded: a list needs no record. */
export async function heldIn(options: GlobalOptions, services: Services): Promise<readonly HeldWeight[]> {
  const memory = options.transport === 'memory';
  const ledger = await ledgerOf(options);
  if (ledger === undefined || ledger.drains.length + ledger.ramps.length === 0) return [];
  const [{ heldWeights }, { wallClock }] = await Promise.all([
    import('../director/held-weight.ts'),
    import('./wall-clock.ts'),
  ]);
  return heldWeights(ledger, {
    services: new Map(services.map((service) => [service.address, service])),
    quiescentExpire: memory ? false : await quiescentExpire(),
    now: memory ? wallClock() : systemClock(),
  });
}

async function ledgerOf(options: GlobalOptions): Promise<Ledger | undefined> {
  try {
    const { store, table } = (await recordAt(options)) ?? {};
    const ledger = store?.ledger();
    return ledger && table !== undefined ? ledgerFor(table, ledger) : undefined;
  } catch (error) {
    if (error instanceof IpvsError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  }
}

async function recordAt(options: GlobalOptions): Promise<Pick<TableRecord, 'store' | 'table'> | undefined> {
  if (options.transport !== 'memory') {
    const record = recordOptions(options);
    // Most of the record's modules need not be loaded where there is none.
    if (!existsSync(record.stateDir ?? stateDirectory())) return undefined;
    return (await import('../director/record.ts')).openRecord('', record);
  }
  const folder = memoryFolder(options);
  if (folder === undefined) return undefined;
  const [{ Store }, { FolderFiles }] = await Promise.all([import('../plan/store.ts'), import('../plan/files.ts')]);
  const place = resolve(folder);
  return { store: new Store(new FolderFiles(place)), table: `memory:${place}` };
}

async function quiescentExpire(): Promise<boolean> {
  const [{ KernelSysctls }, { EXPIRE_QUIESCENT }, { native }] = await Promise.all([
    import('../sysctl/sysctls.ts'),
    import('../director/drain-runner.ts'),
    import('../native.ts'),
  ]);
  try {
    return Number(new KernelSysctls(native()).read(EXPIRE_QUIESCENT)) !== 0;
  } catch (error) {
    if (error instanceof IpvsError) return false;
    throw error;
  }
}
