/** `ipvs validate`: what `ipvs apply` would find wrong with files, without a kernel. */

import { IpvsError } from '../../base/errors.ts';
import { visible } from '../../base/quote.ts';
import type { Lookup } from '../../state/host-lookup.ts';
import type { LoadedState } from '../../state/load.ts';
import { loadDescription, sourceOf } from '../description.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { EXIT, printError, printWarnings } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { counted, printJson } from '../words/output.ts';

interface ValidateOptions extends GlobalOptions {
  readonly file: readonly string[];
  readonly resolve?: boolean;
}

const spec = command<ValidateOptions>({
  description:
    'Reads each file exactly as "ipvs apply" does, with what it includes, and tells everything that is wrong. It needs neither the kernel nor root.',
  arguments: { file: 'YAML or JSON, each for itself; - is standard input' },
  options: {
    resolve: {
      describe: 'Ask for the addresses of host names; --no-resolve takes the names as they are. Default: yes',
    },
  },
  examples: [
    { line: 'ipvs validate web.yaml' },
    { line: 'ipvs validate *.yaml --no-resolve --json', meaning: 'where the hosts are not known' },
  ],
  run,
});

export { spec as command };

async function run({ file, resolve, json = false }: ValidateOptions): Promise<number> {
  // yargs leaves "-" out of a list.
  const files = process.argv.includes('-') ? [...file, '-'] : file;
  const results = [];
  for (const file of files) {
    const source = sourceOf(file);
    const name = typeof source === 'string' ? source : source.file;
    try {
      const loaded = await loadDescription(source, resolve === false ? { lookup: pretended() } : {});
      const counts = countsOf(loaded);
      results.push({ file: name, valid: true, ...counts, warnings: loaded.warnings });
      if (json) continue;
      printWarnings(loaded.warnings, false);
      const hosts = resolve === false && counts.hosts > 0 ? `, ${counted(counts.hosts, 'host')} not resolved` : '';
      print(
        `${visible(name)}: valid: ${counted(counts.services, 'service')}, ${counted(counts.destinations, 'destination')}${hosts}`,
      );
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      const { code, message, problems } = error;
      results.push({ file: name, valid: false, code, ...(problems.length > 0 ? { problems } : { message }) });
      if (!json) printError(error, false);
    }
  }
  if (json) printJson(results);
  return results.every(({ valid }) => valid) ? EXIT.done : EXIT.error;
}

function countsOf({ state, hosts }: LoadedState) {
  const destinations = state.services.reduce((sum, { destinations }) => sum + destinations.length, 0);
  return { services: state.services.length, destinations, hosts: hosts.size };
}

/** An address for every name, of ranges that nobody has (RFC 1112, RFC 6666), so that all else is checked. */
function pretended(): Lookup {
  let number = 0;
  return async (_, family) => {
    number++;
    const [high, low] = [number >>> 8, number & 0xff];
    return [family === 'inet' ? `240.${high >>> 8}.${high & 0xff}.${low}` : `100::${high.toString(16)}:${low}`];
  };
}
