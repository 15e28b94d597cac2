// Writes docs/reference/kernels.md from the table of features (src/ipvs/features.ts).
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { kernelsPage } from './lib/kernels-page.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// Node 20 runs no TypeScript.
const { outputFiles } = await build({
  entryPoints: [join(root, 'src', 'ipvs', 'features.ts')],
  bundle: true,
  write: false,
  platform: 'node',
  format: 'esm',
});
const source = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64');
const { features, isOlder } = await import(`data:text/javascript;base64,${source}`);

writeFileSync(join(root, 'docs', 'reference', 'kernels.md'), kernelsPage(features, isOlder));
