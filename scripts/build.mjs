// Builds dist/: the library as modules by tsc, the command as one bundle by esbuild.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const library = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
if (library.status !== 0) process.exit(library.status ?? 1);

await build({
  // main.js is what runs one command; tests call it many times in one process.
  entryPoints: ['ipvs.ts', 'main.ts'].map((name) => join(root, 'src', 'cli', name)),
  outdir: join(root, 'dist', 'cli'),
  bundle: true,
  // What only one command needs (zod and yaml for apply) lies in files of its own: parsing them would
  // cost every start a third of its time.
  splitting: true,
  chunkNames: 'parts/[name]-[hash]',
  // Names stay readable in the stack of a bug report.
  minifyWhitespace: true,
  minifySyntax: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // Loaded from its own package, and only for --log-level.
  external: ['pino'],
  alias: { cliui: join(root, 'scripts', 'lib', 'cliui.mjs') },
  define: { VERSION: JSON.stringify(version) },
  // yargs is CommonJS inside and calls require().
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'warning',
});
chmodSync(join(root, 'dist', 'cli', 'ipvs.js'), 0o755);
