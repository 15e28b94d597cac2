/** Original values, put back: at the end of a controller, after a crash, and when somebody says so. */
import { IpvsError, refusalBy } from '../base/errors.ts';
import { heldAs } from '../sysctl/held-setting.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';
import type { HeldRecord, Originals } from './originals.ts';
import { type Kept, letGo, type Settings, WATCHING, type Write } from './step.ts';
import { shortName, valueWords } from './words.ts';

export interface PutBack {
  readonly written: readonly Write[];
  /** What of it is still not as it was, and why. */
  readonly refused: readonly Refusal[];
  /** What somebody else set meanwhile, which stays. */
  readonly kept: readonly Kept[];
}

export interface Refusal {
  readonly sysctl: string;
  /** The value that it should have. */
  readonly to: string;
  readonly error: IpvsError;
}

/** Nothing that fails keeps the rest from being put back. */
export function putBack(
  { originals: all, written: ours }: Pick<HeldRecord, 'originals' | 'written'>,
  sysctls: Sysctls,
): PutBack {
  const refused = new Map<string, IpvsError>();
  const found = readSettings(Object.keys(all), sysctls, refused);
  const kept = Object.entries(all).flatMap(([sysctl, original]): Kept[] => {
    const value = found[sysctl];
    const isKept =
      value !== undefined && heldAs(sysctl, { original, written: ours[sysctl] ?? [] }, value) === 'changed';
    return isKept ? [{ sysctl, value, original }] : [];
  });
  // Of what could not be read, nobody knows whether it is still ours.
  const others = new Set([...kept.map(({ sysctl }) => sysctl), ...refused.keys()]);
  const originals = Object.fromEntries(Object.entries(all).filter(([sysctl]) => !others.has(sysctl)));
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
    refused: [...refused].map(([sysctl, error]) => ({ sysctl, to: all[sysctl] as string, error })),
    kept,
  };
}

/** "drop_entry is automatic: somebody else set it meanwhile, so it stays (before the defense: off)" */
export function keptWords({ sysctl, value, original }: Kept): string {
  const before = valueWords(sysctl, original);
  return `${shortName(sysctl)} is ${valueWords(sysctl, value)}: somebody else set it meanwhile, so it stays (before the defense: ${before})`;
}

export interface Recovered extends PutBack {
  /** Of another boot, or another namespace: forgotten, as what the settings are now is somebody else's. */
  readonly dropped?: HeldRecord;
}

/** Deals with what is on record; what is refused stays there. Throws STORE_DAMAGED, FILE_UNREADABLE, FILE_UNWRITABLE. */
export function putBackRecorded(originals: Originals, sysctls: Sysctls): Recovered {
  const record = originals.read();
  const nothing = { written: [], refused: [], kept: [] };
  if (record === undefined) return nothing;
  if (record.table !== originals.table) {
    originals.remove();
    return { ...nothing, dropped: record };
  }
  const result = putBack(record, sysctls);
  const left = Object.fromEntries(result.refused.map(({ sysctl, to }) => [sysctl, to]));
  if (result.refused.length === 0) originals.remove();
  else originals.write({ ...record, originals: left, level: 0 });
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
