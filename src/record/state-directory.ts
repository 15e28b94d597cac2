/** Where the records of the kernel's tables are kept, unless somebody says where. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const NAME = 'ipvs-director';

/** What IPVS_DIRECTOR_STATE_DIR names; else root's is the system's; everybody else has one of their own (XDG Base Directory Specification). */
export function stateDirectory(): string {
  const named = process.env['IPVS_DIRECTOR_STATE_DIR'];
  if (named) return resolve(named);
  if (process.getuid?.() === 0) return join('/var/lib', NAME);
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), NAME);
}
