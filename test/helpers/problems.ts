/** What is wrong with descriptions, in lines. */

import { IpvsError } from '../../src/base/errors.ts';
import { parseState } from '../../src/state/document.ts';

/** None if nothing is. */
export function problemsOf(text: string): string[] {
  try {
    parseState(text, 'f.yaml');
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'CONFIG_INVALID') return error.message.split('\n');
    throw error;
  }
  return [];
}
