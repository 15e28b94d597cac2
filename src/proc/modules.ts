/** Which modules the running kernel has, without having it load one. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';

/** False only where it is sure: what is built in shows up in no file that every host has. */
export function mayHaveModule(name: string): boolean {
  if (!existsSync('/sys/module') || existsSync(`/sys/module/${name}`)) return true;
  try {
    return readFileSync(`/lib/modules/${release()}/modules.builtin`, 'utf8').includes(`/${name}.ko`);
  } catch {
    return true;
  }
}
