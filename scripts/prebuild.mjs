// Puts the addon for this architecture into prebuilds/, the way that it reaches users: package
// managers stop running the install scripts of dependencies.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** @type {any} */
const report = process.report.getReport();
const libc = report.header.glibcVersionRuntime ? '' : '-musl';
const target = join(root, 'prebuilds', `linux-${process.arch}${libc}.node`);

run(process.execPath, [join(root, 'scripts', 'install.mjs'), '--force']);
mkdirSync(dirname(target), { recursive: true });
copyFileSync(join(root, 'build', 'Release', 'ipvs_director.node'), target);
run('strip', ['--strip-unneeded', target]);

// What does not load must not be published.
const addon = createRequire(import.meta.url)(target);
if (typeof addon.openNetlink !== 'function') throw new Error(`${target} is not the addon`);

/**
 * @param {string} file
 * @param {string[]} args
 */
function run(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
