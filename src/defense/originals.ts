/** What a controller does, and what settings were before it changed them: on disk before the first change, until all is put back. */
import { IpvsError } from '../base/errors.ts';
import type { Files } from '../record/files.ts';
import { isListOf, isRecord, isText } from '../record/shapes.ts';
import { actions, DROP_RATE, sysctlOf } from './action.ts';
import { type DefensePolicy, normalizePolicy } from './policy.ts';
import type { Settings } from './step.ts';

export interface HeldRecord {
  readonly version: 1;
  /** Which table: another boot, or another namespace of the same name, has another. */
  readonly table: string;
  readonly originals: Settings;
  /** What the controller wrote of these, or was about to: what else is found there is somebody else's. */
  readonly written: Readonly<Record<string, readonly string[]>>;
  /** For whoever looks. */
  readonly level: number;
  /** For whoever looks; null where it is of another release. */
  readonly policy: DefensePolicy | null;
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
      if (fits(record)) return { ...record, policy: policyOf(record.policy) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new IpvsError('STORE_DAMAGED', {
      subject: `${this.#files.place}/${FILE}`,
      detail: 'it is no record of the defense',
      hint: 'what settings were is not known: set drop_entry, drop_packet and secure_tcp by hand, and move it away',
    });
  }

  /** Throws FILE_UNWRITABLE. */
  write(record: Omit<HeldRecord, 'version' | 'table'>): void {
    const { table } = this;
    this.#files.write(FILE, `${JSON.stringify({ ...record, version: 1, table }, null, 1)}\n`);
  }

  /** Nothing is to be put back, and nobody defends. Throws FILE_UNWRITABLE. */
  remove(): void {
    this.#files.remove(FILE);
  }
}

function fits(record: Partial<HeldRecord> | null): boolean {
  if (typeof record !== 'object' || record === null) return false;
  const { version, table, originals, written, level, at } = record;
  if (version !== 1 || typeof table !== 'string' || typeof at !== 'string' || !Number.isInteger(level)) return false;
  if (!isRecord(originals) || !isRecord(written)) return false;
  return Object.entries(originals).every(
    ([name, value]) =>
      typeof value === 'string' && isSetting.get(name)?.test(value) === true && isListOf(written[name], isText),
  );
}

/** Nothing that is put back depends on it. */
function policyOf(policy: DefensePolicy | null): DefensePolicy | null {
  try {
    return isRecord(policy) ? normalizePolicy(policy) : null;
  } catch (error) {
    if (error instanceof IpvsError) return null;
    throw error;
  }
}
