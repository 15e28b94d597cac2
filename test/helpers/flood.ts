/** bench/flood.c, compiled for a test. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Returns the path of the program, in that folder. */
export function compileFlood(folder: string): string {
  const program = join(folder, 'flood');
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  execFileSync('cc', ['-std=c11', '-D_GNU_SOURCE', '-O2', ...warnings, '-o', program, 'bench/flood.c'], {
    stdio: 'pipe',
  });
  return program;
}
