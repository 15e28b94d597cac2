/** `ipvs disown`: what was ours is somebody else's from now on. */
import { command } from '../spec/command.ts';
import { directOptions, withDirector } from '../spec/globals.ts';
import { SERVICE } from '../words/shared.ts';
import { type ServicesOptions, servicesOf, told } from './adopt.ts';

const spec = command<ServicesOptions>({
  description:
    'Forgets that services are ours, whether a file or a verb made them: the kernel keeps them as they are, and no apply touches them without --adopt.',
  arguments: { services: SERVICE },
  options: { all: { describe: 'All services that are ours' } },
  examples: [{ line: 'ipvs disown tcp://192.0.2.10:80' }, { line: 'ipvs disown --all' }],
  async run(options) {
    const meant = servicesOf(options);
    const direct = await directOptions(options);
    const disowned = await withDirector(options, (director) => director.disown(meant, direct));
    return told('disowned', disowned, 'nothing to disown: no service is ours', options);
  },
});

export { spec as command };
