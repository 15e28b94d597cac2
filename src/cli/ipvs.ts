#!/usr/bin/env node
import { main } from './main.ts';
/** The command `ipvs`. */
import { EXIT } from './terminal/exit.ts';
import { complain, outputFailure } from './terminal/stdout.ts';

await main(process.argv.slice(2));

process.on('beforeExit', () => {
  const failure = outputFailure();
  if (failure === undefined || process.exitCode === EXIT.error) return;
  complain(`ipvs: the output cannot be written: ${failure}`);
  process.exitCode = EXIT.error;
});
