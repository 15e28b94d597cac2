// Writes the man page, the schema of files, and what docs/reference/ says of commands, settings and features, from their tables in src/.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { kernelsPage } from './lib/kernels-page.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const bundle = join(root, '.cache', 'manual.mjs');

await build({
  stdin: {
    contents: `
      export { manualPages } from './src/cli/manual/pages.ts';
      export { features, isOlder } from './src/ipvs/features.ts';
    `,
    resolveDir: root,
  },
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
const { manualPages, features, isOlder } = await import(pathToFileURL(bundle).href);
const pages = {
  ...(await manualPages(version, (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8'))),
  'docs/reference/kernels.md': kernelsPage(features, isOlder),
};
for (const [path, text] of Object.entries(pages)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
