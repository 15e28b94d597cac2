/** `ipvs adopt`: what others made is ours from now on. */
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { directOptions, withDirector } from '../spec/globals.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { printJson } from '../words/output.ts';
import { SERVICE } from '../words/shared.ts';

export interface ServicesOptions extends GlobalOptions {
  readonly services?: readonly string[];
  readonly all?: boolean;
}

const spec = command<ServicesOptions>({
  description:
    'Takes over services that others made, with their destinations, as if a verb of ours had made them: the kernel keeps them as they are, and files may describe them from then on. What is ours already stays so.',
  arguments: { services: SERVICE },
  options: { all: { describe: 'All services that there are' } },
  examples: [{ line: 'ipvs adopt tcp://192.0.2.10:80' }, { line: 'ipvs adopt --all' }],
  async run(options) {
    const meant = servicesOf(options);
    const direct = await directOptions(options);
    const adopted = await withDirector(options, (director) => director.adopt(meant, direct));
    return told('adopted', adopted, 'nothing to adopt: all of it is ours', options);
  },
});

export { spec as command };

/** Those that are named, or all. */
export function servicesOf({ services = [], all = false }: ServicesOptions): readonly string[] | 'all' {
  if (all && services.length > 0) throw new UsageError('--all is every service: name none');
  if (!all && services.length === 0) throw new UsageError('say which services, or --all');
  return all ? 'all' : services;
}

export function told(done: string, services: readonly string[], nothing: string, { json }: GlobalOptions): number {
  if (json) printJson({ done, services });
  else print(services.length === 0 ? nothing : services.map((service) => `${done} ${service}`).join('\n'));
  return EXIT.done;
}
