/** Kernel modules that a test needs and that not every kernel is built with. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Whether the running kernel has it: loaded, built in, or to be had. */
export function hasModule(name: string): boolean {
  return existsSync(`/sys/module/${name}`) || spawnSync('modprobe', ['--dry-run', '--quiet', '--', name]).status === 0;
}
