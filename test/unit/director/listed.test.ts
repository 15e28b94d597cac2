/** What `ipvs list --json` prints, as a description. */
import { describe, expect, it } from 'vitest';
import { formatJson } from '../../../src/cli/words/output.ts';
import { Director } from '../../../src/director/director.ts';
import type { DestinationInput } from '../../../src/ipvs/destination.ts';
import type { VirtualServiceInput } from '../../../src/ipvs/service.ts';
import { parseState } from '../../../src/state/document.ts';
import { openMemory } from '../../../src/testing/index.ts';
import { problemsOf } from '../../helpers/problems.ts';

const services: readonly [VirtualServiceInput, ...DestinationInput[]][] = [
  [
    {
      address: 'tcp://192.0.2.1:80',
      scheduler: 'sh',
      schedulerFlags: ['sh-port'],
      persistence: { timeoutSeconds: 60 },
    },
    { address: '10.0.0.1', weight: 0, upperThreshold: 9, lowerThreshold: 3 },
    { address: '10.0.0.2:8080', weight: 2 },
  ],
  [{ address: 'udp://192.0.2.1:5060', persistence: { engine: 'sip', netmask: '255.0.255.0' }, onePacket: false }],
  [
    { address: 'udp://192.0.2.1:53', onePacket: true },
    { address: '10.0.0.1', forward: 'direct' },
  ],
  [
    { address: 'fwmark:5/inet6', persistence: { netmask: 64 } },
    { address: '[2001:db8::1]:0', forward: 'tunnel' },
  ],
  [
    { address: 'tcp://192.0.2.3:80' },
    { address: '10.0.0.1', forward: { tunnel: 'gue', port: 6080, checksum: 'csum' } },
    { address: '10.0.0.2', forward: { tunnel: 'gre' } },
  ],
];

it.each([false, true])('describes the table that it is of, with counters: %s', async (statistics) => {
  const ipvs = openMemory();
  for (const [service, ...destinations] of services) {
    await ipvs.addService(service);
    for (const destination of destinations) await ipvs.addDestination(service.address as string, destination);
  }
  const listed = formatJson(await ipvs.snapshot({ statistics }).then(({ services }) => ({ services })));
  const director = new Director({ ipvs });
  const plan = await director.plan({ desired: parseState(listed) }, { adopt: true });
  expect(plan).toMatchObject({ changes: [], strays: [], conflicts: [] });
  expect(plan.intent.desired.services).toHaveLength(services.length);
});

describe('is refused', () => {
  it.each([
    [
      'a part',
      'incomplete: x',
      'f.yaml:1:45: services[0].incomplete: not all destinations could be read, so this is not the whole service',
    ],
    [
      'what a newer kernel says',
      'unknownAttributes: []',
      'f.yaml:1:52: services[0].unknownAttributes: it is of a newer kernel, and cannot be described',
    ],
    [
      'what contradicts itself',
      'persistence: { timeout: 5m, timeoutSeconds: 300 }',
      'f.yaml:1:46: services[0].persistence: timeout and timeoutSeconds are the same setting',
    ],
  ])('%s', (_, more, problem) => {
    expect(problemsOf(`services: [{ address: fwmark:1, ${more} }]`)).toEqual([problem]);
  });
});
