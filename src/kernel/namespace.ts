/** Network namespaces by name, as ip-netns(8) keeps them. */
import { closeSync, constants, openSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { errno, errnoOf, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';

export const NAMED_NAMESPACES = '/run/netns';

/** A name becomes its path below /run/netns; an absolute path stays. Throws INVALID_OPTION. */
export function namespacePath(netns: string): string {
  if (typeof netns === 'string' && !netns.includes('\0')) {
    if (isAbsolute(netns)) return netns;
    if (netns !== '' && netns !== '.' && netns !== '..' && !netns.includes('/')) return `${NAMED_NAMESPACES}/${netns}`;
  }
  throw new IpvsError('INVALID_OPTION', {
    detail: `network namespace ${quote(netns)}`,
    hint: 'a name, or an absolute path',
  });
}

export interface HeldNamespace {
  /** Empty for the current one. */
  readonly path: string;
  /** Once or more. */
  release(): void;
}

/**
 * Keeps a namespace at hand for what `open` makes, so that everything opened in it later is opened in the same one,
 * even if its name has gone to another by then. Throws INVALID_OPTION, NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED.
 */
export function inNamespace<T>(netns: string | undefined, open: (namespace: HeldNamespace) => T): T {
  if (netns === undefined) return open({ path: '', release: () => undefined });
  const path = namespacePath(netns);
  const fd = openNamespace(path);
  let held = true;
  const release = () => {
    if (held) closeSync(fd);
    held = false;
  };
  try {
    return open({ path: `/proc/self/fd/${fd}`, release });
  } catch (error) {
    release();
    if (error instanceof IpvsError && error.code === 'NAMESPACE_REFUSED') throw namespaceError(error.errno ?? 0, path);
    throw error;
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw namespaceError(errnoOf(error) ?? 0, path);
  }
}

/** What errno means when a namespace could not be entered. */
export function namespaceError(code: number, path: string): IpvsError {
  if (code === errno.ENOENT) return new IpvsError('NAMESPACE_NOT_FOUND', { subject: path });
  const hint = code === errno.EPERM ? 'entering a namespace needs CAP_SYS_ADMIN: run it as root' : undefined;
  return new IpvsError('NAMESPACE_REFUSED', { subject: path, errno: code, ...(hint === undefined ? {} : { hint }) });
}
