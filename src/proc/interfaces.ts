/** The network interfaces of a namespace, by name, as /proc/net/dev shows them. */
import { readFileSync } from 'node:fs';
import { IpvsError } from '../base/errors.ts';
import type { Native } from '../kernel/native.ts';

/** The kernel shows the file in pages, and resumes by position: one that is removed meanwhile hides another. */
const PAGE_BYTES = 4096;
const READ_TRIES = 5;

/** `namespacePath` as of `HeldNamespace`: empty for the current one. Throws PROC_UNREADABLE, TABLE_CHANGING. */
export function interfaceNames(native: Native, namespacePath: string): string[] {
  let before: string[] | undefined;
  for (let attempt = 0; attempt < READ_TRIES; attempt++) {
    const text = readDevices(native, namespacePath);
    const names = text.split('\n').flatMap((line) => /^ *(\S+?):/.exec(line)?.[1] ?? []);
    // What comes in one page is one moment.
    if (text.length < PAGE_BYTES || before?.join('\n') === names.join('\n')) return names;
    before = names;
  }
  throw new IpvsError('TABLE_CHANGING', { operation: 'read', subject: 'network interfaces' });
}

function readDevices(native: Native, namespacePath: string): string {
  const fd = native.openProcNet(namespacePath, 'dev');
  if (fd < 0) throw new IpvsError('PROC_UNREADABLE', { subject: '/proc/net/dev', errno: -fd });
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    native.close(fd);
  }
}
