/** Settings of the kernel that are changed for a moment: what they were is in the ledger before, so that it survives a crash. */
import { IpvsError, refusalBy } from '../base/errors.ts';
import type { Ledger } from '../record/ledger.ts';
import type { Store } from '../record/store.ts';
import { type HeldSetting, heldAs } from '../sysctl/held-setting.ts';
import { isSame } from '../sysctl/sysctl-table.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';

export class SysctlLoans {
  readonly #sysctls: Sysctls | undefined;
  readonly #store: Pick<Store, 'writeLedger'>;

  /** `sysctls`: undefined where there are none: in memory. */
  constructor(sysctls: Sysctls | undefined, store: Pick<Store, 'writeLedger'>) {
    this.#sysctls = sysctls;
    this.#store = store;
  }

  /** Undefined where this kernel does not have it. Throws SYSCTL_FAILED. */
  read(name: string): number | undefined {
    try {
      return this.#sysctls && Number(this.#sysctls.read(name));
    } catch (error) {
      if (error instanceof IpvsError && error.code === 'SYSCTL_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Returns the ledger that says so. Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED, and then nothing is changed. */
  borrow(ledger: Ledger, name: string, value: number): Ledger {
    if (this.#sysctls === undefined) {
      throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name, detail: 'a table in memory has none' });
    }
    const found = this.#sysctls.read(name);
    const lent = String(value);
    if (isSame(name, found, lent)) return ledger;
    const earlier = ledger.changedSysctls?.[name];
    const { original, written } = earlier === undefined ? { original: found, written: [] } : heldSetting(earlier);
    const held: HeldSetting = { original, written: [...new Set([...written, lent])] };
    const next = { ...ledger, changedSysctls: { ...ledger.changedSysctls, [name]: held } };
    this.#store.writeLedger(next);
    this.#sysctls.write(name, lent);
    return next;
  }

  /**
   * Gives back what was changed, by this process or one that died; what another program set since stays as it is. What that
   * is refused for stays in the ledger.
   */
  giveBack(ledger: Ledger): { readonly ledger: Ledger; readonly problems: readonly IpvsError[] } {
    const { changedSysctls = {}, ...rest } = ledger;
    const sysctls = this.#sysctls;
    const left = Object.entries(changedSysctls);
    if (left.length === 0 || sysctls === undefined) return { ledger, problems: [] };
    const problems: IpvsError[] = [];
    const refused = left.filter(([name, entry]) => {
      const held = heldSetting(entry);
      const error = refusalBy(() => {
        if (heldAs(name, held, sysctls.read(name)) === 'ours') sysctls.write(name, held.original);
      });
      if (error) problems.push(error);
      return error !== undefined;
    });
    const after = refused.length === 0 ? rest : { ...rest, changedSysctls: Object.fromEntries(refused) };
    this.#store.writeLedger(after);
    return { ledger: after, problems };
  }
}

/** The values to give back, by name. */
export function lentOriginals({ changedSysctls = {} }: Pick<Ledger, 'changedSysctls'>): Record<string, string> {
  return Object.fromEntries(Object.entries(changedSysctls).map(([name, held]) => [name, heldSetting(held).original]));
}

/** An earlier release kept only the original, and lent nothing but a switch that it set to 1. */
function heldSetting(entry: HeldSetting | number): HeldSetting {
  return typeof entry === 'number' ? { original: String(entry), written: ['1'] } : entry;
}
