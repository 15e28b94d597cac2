/** `ipvs info` */
import type { Argv } from 'yargs';
import { EXIT } from '../exit.ts';
import { type GlobalOptions, withIpvs } from '../globals.ts';
import { print, printJson } from '../output.ts';

export function builder(yargs: Argv): Argv {
  return yargs
    .usage("$0 info\n\nShows the kernel's IPVS version and the size of its connection table.")
    .example('$0 info --json', '');
}

export async function handler(options: GlobalOptions): Promise<number> {
  const info = await withIpvs(options, (ipvs) => ipvs.info());
  if (options.json) printJson(info);
  else print(`IPVS ${info.version}, connection table of ${info.connectionTableSize} buckets`);
  return EXIT.done;
}
