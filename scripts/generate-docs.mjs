// Writes the man page and the parts of docs/reference/ that say what commands and settings say of themselves.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const bundle = join(root, '.cache', 'manual.mjs');

await build({
  entryPoints: [join(root, 'src', 'cli', 'manual', 'pages.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
const { manualPages } = await import(pathToFileURL(bundle).href);
const pages = await manualPages(version, (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8'));
for (const [path, text] of Object.entries(pages)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
