/** Network namespaces by name, as ip-netns(8) keeps them. */
import { isAbsolute } from 'node:path';
import { IpvsError } from '../errors.ts';
import { quote } from './address.ts';

const NAMED_NAMESPACES = '/run/netns';

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
