/** Original values, put back: at the end of a controller, after a crash, and when somebody says so. */
import { IpvsError, refusalBy } from '../errors.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';
import type { HeldRecord, Originals } from './originals.ts';
import { letGo, type Settings, WATCHING, type Write } from './step.ts';

export interface PutBack {
  readonly written: readonly Write[];
  /** What of it is still not as it was, and why. */
  readonly refused: readonly Refusal[];
}

export interface Refusal {
  readonly sysctl: string;
  /** The value that it should have. */
  readonly to: string;
  readonly error: IpvsError;
}

/** Nothing that fails keeps the rest from being put back. */
export function putBack(originals: Settings, sysctls: Sysctls): PutBack {
  const refused = new Map<string, IpvsError>();
  const read = () => readSettings(Object.keys(originals), sysctls, refused);
  const { writes } = letGo({ ...WATCHING, originals }, read());
  const written = writes.filter(({ sysctl, to }) => {
    const error = refusalBy(() => sysctls.write(sysctl, to));
    if (error) refused.set(sysctl, error);
    return error === undefined;
  });
  // The kernel says what was done.
  for (const { sysctl, to } of letGo({ ...WATCHING, originals }, read()).writes) {
    const detail = `it does not become ${to}`;
    if (!refused.has(sysctl)) refused.set(sysctl, new IpvsError('SYSCTL_FAILED', { subject: sysctl, detail }));
  }
  return {
    written,
    refused: [...refused].map(([sysctl, error]) => ({ sysctl, to: originals[sysctl] as string, error })),
  };
}

export interface Recovered extends PutBack {
  /** Of another boot, or another namespace: forgotten, as what the settings are now is somebody else's. */
  readonly dropped?: HeldRecord;
}

/** Deals with what is on record; what is refused stays there. Throws STORE_DAMAGED, FILE_UNREADABLE, FILE_UNWRITABLE. */
export function putBackRecorded(originals: Originals, sysctls: Sysctls): Recovered {
  const record = originals.read();
  if (record === undefined) return { written: [], refused: [] };
  if (record.table !== originals.table) {
    originals.remove();
    return { written: [], refused: [], dropped: record };
  }
  const result = putBack(record.originals, sysctls);
  const left = Object.fromEntries(result.refused.map(({ sysctl, to }) => [sysctl, to]));
  originals.write({ ...record, originals: left, level: 0 });
  return result;
}

/** What can be read of them; `refused` is told why the rest cannot. */
export function readSettings(
  names: readonly string[],
  sysctls: Pick<Sysctls, 'read'>,
  refused: Map<string, IpvsError> = new Map(),
): Settings {
  const settings: Record<string, string> = {};
  for (const name of names) {
    const error = refusalBy(() => {
      settings[name] = sysctls.read(name);
    });
    if (error) refused.set(name, error);
  }
  return settings;
}
