/** What settings were before the defense changed them: on disk before the first change, until all is put back. */
import { IpvsError } from '../errors.ts';
import type { Files } from '../plan/files.ts';
import { actions, DROP_RATE, sysctlOf } from './action.ts';
import type { Settings } from './step.ts';

export interface HeldRecord {
  readonly version: 1;
  /** Which table: another boot, or another namespace of the same name, has another. */
  readonly table: string;
  readonly originals: Settings;
  /** For whoever looks. */
  readonly level: number;
  /** The preset that the policy began with; null without one. */
  readonly preset: string | null;
  /** Since when: ISO 8601. */
  readonly at: string;
}

const FILE = 'defense.json';

const isSetting = new Map<string, RegExp>([
  [DROP_RATE, /^-?\d{1,10}$/],
  ...actions.map((action) => [sysctlOf[action], /^[0-3]$/] as const),
]);

export class Originals {
  readonly #files: Files;
  readonly table: string;

  constructor(files: Files, table: string) {
    this.#files = files;
    this.table = table;
  }

  /** Whichever table it is of. Throws STORE_DAMAGED, FILE_UNREADABLE. */
  read(): HeldRecord | undefined {
    const bytes = this.#files.read(FILE);
    if (bytes === undefined) return undefined;
    try {
      const record = JSON.parse(bytes.toString('utf8')) as HeldRecord;
      if (fits(record)) return record;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new IpvsError('STORE_DAMAGED', {
      subject: `${this.#files.place}/${FILE}`,
      detail: 'it is no record of the defense',
      hint: 'what settings were is not known: set drop_entry, drop_packet and secure_tcp by hand, and move it away',
    });
  }

  /** Nothing to put back is no record. Throws FILE_UNWRITABLE. */
  write(record: Omit<HeldRecord, 'version' | 'table'>): void {
    const { table } = this;
    if (Object.keys(record.originals).length === 0) this.#files.remove(FILE);
    else this.#files.write(FILE, `${JSON.stringify({ ...record, version: 1, table }, null, 1)}\n`);
  }

  remove(): void {
    this.#files.remove(FILE);
  }
}

function fits(record: Partial<HeldRecord> | null): boolean {
  if (typeof record !== 'object' || record === null) return false;
  const { version, table, originals, level, at } = record;
  if (version !== 1 || typeof table !== 'string' || typeof at !== 'string' || !Number.isInteger(level)) return false;
  if (typeof originals !== 'object' || originals === null) return false;
  return Object.entries(originals).every(([name, value]) => isSetting.get(name)?.test(value) === true);
}
