/** Settings of the kernel: files below /proc/sys, whose net/ is that of the network namespace that this process is in. */
import { readFileSync, writeFileSync } from 'node:fs';
import { errnoOf, IpvsError } from '../errors.ts';

/** By names such as `net.ipv4.vs.expire_nodest_conn`. Both throw SYSCTL_FAILED. */
export interface Sysctls {
  /** A whole number. */
  read(name: string): number;
  write(name: string, value: number): void;
}

export const processSysctls: Sysctls = {
  read(name) {
    const path = pathOf(name);
    const text = attempt('read', name, () => readFileSync(path, 'latin1')).trim();
    if (/^-?\d{1,15}$/.test(text)) return Number(text);
    throw new IpvsError('SYSCTL_FAILED', { operation: 'read', subject: name, detail: 'it is no number' });
  },
  write(name, value) {
    const path = pathOf(name);
    attempt('set', name, () => writeFileSync(path, `${value}\n`));
  },
};

function attempt<T>(operation: string, subject: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new IpvsError('SYSCTL_FAILED', { operation, subject, errno: errnoOf(cause), cause });
  }
}

function pathOf(name: string): string {
  if (/^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(name)) return `/proc/sys/${name.replaceAll('.', '/')}`;
  throw new IpvsError('SYSCTL_FAILED', { subject: name, detail: 'it is no name of one' });
}
