/** `ipvs zero` */
import { serviceKey } from '../../net/address.ts';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withVerb } from '../spec/globals.ts';
import { SERVICE } from '../words/shared.ts';

const spec = command<GlobalOptions & { readonly service?: string }>({
  description:
    'Sets the counters of a service and its destinations to zero; without a service all of them, the totals included. Connections are not touched.',
  arguments: { service: SERVICE },
  examples: [{ line: 'ipvs zero tcp://192.0.2.10:80' }, { line: 'ipvs zero', meaning: 'everything' }],
  async run(options) {
    const service = options.service === undefined ? undefined : serviceKey(options.service);
    await withVerb(options, 'zero', {}, (ipvs) => ipvs.zero(service));
    return { done: 'zeroed the counters of', subject: service ?? 'all services' };
  },
});

export { spec as command };
