/** `--transport memory`: commands work on a table of their own, without a kernel, root or addon. */
import { realpathSync, statSync } from 'node:fs';
import { errno, IpvsError } from '../base/errors.ts';
import { fileError, readText } from '../config/text-file.ts';
import { Ipvs, type Logger } from '../ipvs/ipvs.ts';
import { MemoryBackend } from '../ipvs/memory/backend.ts';
import { emptyTable, type Table } from '../ipvs/memory/table.ts';
import { formatTable, parseTable } from '../ipvs/memory/table-file.ts';
import { writeDurably } from '../record/files.ts';

/** The table of `file`, empty where there is none yet; what `work` makes of it is written back. */
export async function withMemory<T>(
  file: string | undefined,
  logger: Logger | undefined,
  work: (ipvs: Ipvs) => Promise<T>,
): Promise<T> {
  const table = file === undefined ? emptyTable : readTable(file);
  const backend = new MemoryBackend({ table });
  const ipvs = new Ipvs(backend, logger);
  try {
    return await work(ipvs);
  } finally {
    await ipvs.close();
    if (file !== undefined && backend.table !== table) writeTable(file, backend.table);
  }
}

function readTable(file: string): Table {
  try {
    return parseTable(readText(file), file);
  } catch (error) {
    if (error instanceof IpvsError && error.errno === errno.ENOENT) return emptyTable;
    throw error;
  }
}

function writeTable(file: string, table: Table): void {
  try {
    const target = realPath(file);
    writeDurably(target, formatTable(table), statSync(target, { throwIfNoEntry: false })?.mode);
  } catch (error) {
    throw fileError('FILE_UNWRITABLE', file, error);
  }
}

/** Of a link, where it leads: the link stays one. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return file;
    throw error;
  }
}
