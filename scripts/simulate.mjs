// Drives the whole Director over models of everything that it touches, with faults and other programs, and checks what
// must hold after each step.
//
//   npm run simulate -- [--seed N] [--steps M] [--seconds S]
//
// Without options: 10,000 steps from a random seed. A failure prints its seed and the smallest game that fails.
// "--seed N --steps 1" plays that game again. Exit status 1 if something did not hold.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
// Beside the sources: packages are found from there.
const bundle = join(root, '.cache', `simulate-${process.pid}.mjs`);
await build({
  entryPoints: [join(root, 'test/simulation/main.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
try {
  const { main } = await import(pathToFileURL(bundle).href);
  process.exitCode = await main();
} finally {
  rmSync(bundle);
}
