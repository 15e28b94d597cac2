/** Settings of the kernel's network code: the files below /proc/sys/net, of any network namespace. */
import { readSync, writeSync } from 'node:fs';
import { errno, errnoOf, IpvsError } from '../base/errors.ts';
import { loadModule } from '../ipvs/netlink/load-module.ts';
import type { Native } from '../kernel/native.ts';
import { interfaceNames } from '../proc/interfaces.ts';
import { schedulerOf, sysctlPath } from './name.ts';

/** By canonical names such as `net.ipv4.vs.expire_nodest_conn`. */
export interface Sysctls {
  /** As the kernel shows it, without the end of the line. Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED. */
  read(name: string): string;
  /** What is refused changes nothing. Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED. */
  write(name: string, value: string): void;
}

/** What settings there are depends on the interfaces, and on the module. */
export interface SysctlHost extends Sysctls {
  /** The names of the network interfaces. */
  interfaces(): string[];
  /** Has ip_vs loaded, with which its settings come; whether it is there now. */
  loadModule(): boolean;
}

/** A setting is shown in one page at most (fs/proc/proc_sysctl.c). */
const MOST_BYTES = 4096;

export class KernelSysctls implements SysctlHost {
  readonly #native: Native;
  readonly #namespacePath: string;
  readonly #bytes = Buffer.alloc(MOST_BYTES);

  /** `namespacePath` as of `HeldNamespace`: empty for the current one. */
  constructor(native: Native, namespacePath = '') {
    this.#native = native;
    this.#namespacePath = namespacePath;
  }

  read(name: string): string {
    const bytes = this.#bytes;
    return this.#opened('read', name, false, (fd) =>
      bytes.toString('latin1', 0, readSync(fd, bytes, 0, MOST_BYTES, 0)).trimEnd(),
    );
  }

  write(name: string, value: string): void {
    // The kernel takes an empty value for success and changes nothing.
    if (value.trim() === '')
      throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name, detail: 'no value' });
    this.#opened('set', name, true, (fd) => writeSync(fd, `${value}\n`));
  }

  interfaces(): string[] {
    return interfaceNames(this.#native, this.#namespacePath);
  }

  loadModule(): boolean {
    return loadModule(this.#native);
  }

  #opened<T>(operation: string, name: string, forWriting: boolean, action: (fd: number) => T): T {
    const fd = this.#native.openProcSysNet(this.#namespacePath, sysctlPath(name), forWriting);
    if (fd < 0) throw failed(operation, name, -fd);
    try {
      return action(fd);
    } catch (cause) {
      throw failed(operation, name, errnoOf(cause), cause);
    } finally {
      this.#native.close(fd);
    }
  }
}

function failed(operation: string, subject: string, number: number | undefined, cause?: unknown): IpvsError {
  if (number === errno.ENOENT)
    return new IpvsError('SYSCTL_NOT_FOUND', { operation, subject, hint: absenceHint(subject) });
  const notTaken = number === errno.EINVAL || number === errno.ERANGE;
  const hint = notTaken ? `the kernel does not take this value: "ipvs sysctl explain ${subject}"` : undefined;
  return new IpvsError('SYSCTL_FAILED', { operation, subject, errno: number, cause, ...(hint && { hint }) });
}

/** Whole families of settings come with a module. */
function absenceHint(name: string): string {
  const scheduler = schedulerOf(name);
  if (scheduler !== undefined)
    return `it comes with the scheduler ${scheduler}: describe a service that uses it, or add one first`;
  if (name.startsWith('net.ipv4.vs.'))
    return `ip_vs is not loaded, or this kernel does not have it: "ipvs sysctl explain ${name}" says which has`;
  if (name.startsWith('net.netfilter.')) return 'nf_conntrack is not loaded (ip_vs loads it), or this kernel lacks it';
  return 'there is no such interface, or this kernel lacks it';
}
