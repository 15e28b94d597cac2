/** `ipvs schema`: for editors that complete and check YAML. */
import type { Argv } from 'yargs';
import { stateSchema } from '../../director/director.ts';
import { EXIT } from '../exit.ts';
import { printJson } from '../output.ts';

export function builder(yargs: Argv): Argv {
  return yargs
    .usage('$0 schema\n\nPrints the JSON Schema of the files that "ipvs apply" reads.')
    .example('$0 schema > ipvs.schema.json', '');
}

export async function handler(): Promise<number> {
  printJson(stateSchema());
  return EXIT.done;
}
