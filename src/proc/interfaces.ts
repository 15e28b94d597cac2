/** The network interfaces of a namespace, by name, as /proc/net/dev shows them. */
import { readFileSync } from 'node:fs';
import { IpvsError } from '../errors.ts';
import type { Native } from '../native.ts';

/** `namespacePath` as of `HeldNamespace`: empty for the current one. Throws PROC_UNREADABLE. */
export function interfaceNames(native: Native, namespacePath: string): string[] {
  const fd = native.openProcNet(namespacePath, 'dev');
  if (fd < 0) throw new IpvsError('PROC_UNREADABLE', { subject: '/proc/net/dev', errno: -fd });
  try {
    const lines = readFileSync(fd, 'utf8').split('\n');
    return lines.flatMap((line) => /^ *(\S+?):/.exec(line)?.[1] ?? []);
  } finally {
    native.close(fd);
  }
}
