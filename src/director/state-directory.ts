/** Where the record of what was applied is kept. */
import { homedir } from 'node:os';
import { join } from 'node:path';

const NAME = 'ipvs-director';

/** Root's is the system's; everybody else has one of their own (XDG Base Directory Specification). */
export function stateDirectory(): string {
  if (process.getuid?.() === 0) return join('/var/lib', NAME);
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), NAME);
}
