#!/usr/bin/env node
/** The command `ipvs`. */
import { EXIT } from './exit.ts';
import { main } from './main.ts';
import { complain, outputFailure } from './stdout.ts';

await main(process.argv.slice(2));

process.on('beforeExit', () => {
  const failure = outputFailure();
  if (failure === undefined || process.exitCode === EXIT.error) return;
  complain(`ipvs: the output cannot be written: ${failure}`);
  process.exitCode = EXIT.error;
});
