/** Settings of the kernel that are changed for a moment: what they were is in the ledger before, so that it survives a crash. */
import { IpvsError } from '../errors.ts';
import type { Ledger } from '../plan/ledger.ts';
import type { Store } from '../plan/store.ts';
import type { Sysctls } from '../sysctl/sysctls.ts';

export class SysctlLoans {
  readonly #sysctls: Sysctls | undefined;
  readonly #store: Pick<Store, 'writeLedger'>;

  /** `sysctls`: undefined where there are none: in memory. */
  constructor(sysctls: Sysctls | undefined, store: Pick<Store, 'writeLedger'>) {
    this.#sysctls = sysctls;
    this.#store = store;
  }

  /** Undefined where it cannot be known. */
  read(name: string): number | undefined {
    try {
      return this.#sysctls && Number(this.#sysctls.read(name));
    } catch (error) {
      if (error instanceof IpvsError) return undefined;
      throw error;
    }
  }

  /** Returns the ledger that says so. Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED, and then nothing is changed. */
  borrow(ledger: Ledger, name: string, value: number): Ledger {
    if (this.#sysctls === undefined) {
      throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name, detail: 'a table in memory has none' });
    }
    const before = Number(this.#sysctls.read(name));
    if (before === value) return ledger;
    const lent = { ...ledger, changedSysctls: { ...ledger.changedSysctls, [name]: before } };
    this.#store.writeLedger(lent);
    this.#sysctls.write(name, String(value));
    return lent;
  }

  /** Gives back what was changed, by this process or one that died. What that is refused for stays in the ledger. */
  giveBack(ledger: Ledger): { readonly ledger: Ledger; readonly problems: readonly IpvsError[] } {
    const { changedSysctls = {}, ...rest } = ledger;
    const sysctls = this.#sysctls;
    const left = Object.entries(changedSysctls);
    if (left.length === 0 || sysctls === undefined) return { ledger, problems: [] };
    const problems: IpvsError[] = [];
    const refused = left.filter(([name, value]) => {
      try {
        sysctls.write(name, String(value));
        return false;
      } catch (error) {
        if (!(error instanceof IpvsError)) throw error;
        problems.push(error);
        return true;
      }
    });
    const after = refused.length === 0 ? rest : { ...rest, changedSysctls: Object.fromEntries(refused) };
    this.#store.writeLedger(after);
    return { ledger: after, problems };
  }
}
