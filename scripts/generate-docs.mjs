// Writes the man page, the schema of files, and what docs/reference/ says of commands, settings and features, from their
// tables in src/; and what docs/performance.md and docs/flood.md say of figures, from bench/results/.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { kernelsPage } from './lib/kernels-page.mjs';
import { keptResults, resultsInMarkdown } from './lib/performance-page.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const bundle = join(root, '.cache', 'manual.mjs');

await build({
  stdin: {
    contents: `
      export { withTable } from './src/cli/manual/markdown.ts';
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
const { manualPages, withTable, features, isOlder } = await import(pathToFileURL(bundle).href);
const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
const pages = {
  ...(await manualPages(version, read)),
  'docs/reference/kernels.md': kernelsPage(features, isOlder),
  'docs/performance.md': withTable(read('docs/performance.md'), 'results', resultsInMarkdown(keptResults(root))),
  'docs/flood.md': withTable(read('docs/flood.md'), 'results', resultsInMarkdown(keptResults(root, 'flood'))),
};
for (const [path, text] of Object.entries(pages)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
