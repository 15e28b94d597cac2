// Builds the native addon when a package manager installs this package from source.
// Nothing is built where a prebuilt binary for this host came with the package, and nothing is
// downloaded where Node's own headers are installed beside it.
//
//   node scripts/install.mjs            build if needed
//   node scripts/install.mjs --force    build in any case

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const forced = process.argv.includes('--force') || process.env['npm_config_build_from_source'] === 'true';

/** @type {any} */
const report = process.report.getReport();
const libc = report.header.glibcVersionRuntime ? '' : '-musl';
const prebuilt = existsSync(join(root, 'prebuilds', `linux-${process.arch}${libc}.node`));
if (process.platform !== 'linux' || (prebuilt && !forced)) process.exit(0);

// Official archives, NodeSource's packages and the container images keep the headers here.
const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];

// npm puts its own node-gyp on the PATH of every script that it runs.
const build = spawnSync('node-gyp', ['rebuild', '--loglevel=warn', ...headers], { cwd: root, stdio: 'inherit' });
if (build.error) {
  console.error(`ipvs-director: node-gyp did not start (${build.error.message}); run this as "npm run build:addon"`);
}
process.exit(build.status ?? 1);
