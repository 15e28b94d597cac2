/** The memory backend, held to what every backend is held to. */
import { describe, expect, it } from 'vitest';
import { conformanceCases, MemoryBackend, modelKernels, type Profile, profileOf } from '../../../src/testing/index.ts';

const hosts: Readonly<Record<string, Partial<Profile>>> = {
  'without IPv6, and few modules': { ipv6: false, schedulers: ['rr', 'wlc'] },
  'with few modules': { schedulers: ['rr', 'wlc'], engines: [] },
  'whose lo never was up': { loopback: false },
  'without the privilege': { permitted: false },
};

const profiles = (['netlink', 'sockopt'] as const).flatMap((transport) => [
  { kernel: '7.2' as const, transport, host: 'with everything', given: {} },
  // Without mh, whose one case is dear.
  ...modelKernels.map((kernel) => ({
    kernel,
    transport,
    host: 'with some',
    given: { schedulers: ['rr', 'wlc', 'sh'] },
  })),
  ...Object.entries(hosts).map(([host, given]) => ({ kernel: '7.2' as const, transport, host, given })),
]);

describe.each(profiles)('Linux $kernel by $transport, a host $host', ({ kernel, transport, given }) => {
  const profile = profileOf({ kernel, transport, ...given });
  it.each(conformanceCases(profile))('$name', async ({ run }) => {
    await run(new MemoryBackend({ profile }));
  });
});

it('each case concerns one of them at least', () => {
  const names = new Set(
    profiles.flatMap((p) => conformanceCases(profileOf({ ...p, ...p.given })).map(({ name }) => name)),
  );
  expect(names.size).toBeGreaterThan(30);
});
