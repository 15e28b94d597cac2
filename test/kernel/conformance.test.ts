/** Both ways into the kernel, held to what every backend is held to. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, KernelTransport } from '../../src/ipvs/backend.ts';
import { type Profile, profileOf } from '../../src/ipvs/memory/profile.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import { SockoptBackend } from '../../src/ipvs/sockopt/backend.ts';
import { namespacePath } from '../../src/kernel/namespace.ts';
import { native } from '../../src/kernel/native.ts';
import { conformanceCases } from '../../src/testing/index.ts';
import { kernelProfile } from '../helpers/kernel-profile.ts';
import { ip, makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

function open(transport: KernelTransport, netns: string): Backend {
  const options = { native: native(), namespacePath: namespacePath(netns) };
  return transport === 'netlink' ? new NetlinkBackend(options) : new SockoptBackend(options);
}

describe.each<KernelTransport>(['netlink', 'sockopt'])('%s', (transport) => {
  let namespace: TestNamespace;
  let backend: Backend;
  let profile: Profile;
  beforeAll(async () => {
    namespace = makeNamespace('conformance');
    profile = await kernelProfile(namespace.name, transport);
    backend = open(transport, namespace.name);
  });
  afterAll(() => {
    backend.close();
    namespace.remove();
  });

  // Which cases there are follows from what every kernel has; what they expect, from what this one has.
  const names = conformanceCases(profileOf({ transport })).map(({ name }) => name);
  it.each(names)('%s', async (name) => {
    const found = conformanceCases(profile).find((candidate) => candidate.name === name);
    expect(found, 'this kernel should show it').toBeDefined();
    await found?.run(backend);
  });
});

describe.each<KernelTransport>(['netlink', 'sockopt'])('%s, in a namespace whose lo never was up', (transport) => {
  const netns = `ipvs-down-${process.pid}-${transport}`;
  let backend: Backend;
  beforeAll(() => {
    ip('netns', 'add', netns);
    backend = open(transport, netns);
  });
  afterAll(() => {
    backend.close();
    ip('netns', 'delete', netns);
  });

  const name = 'before lo ever was up, no address of IPv4 is';
  it(name, async () => {
    const found = conformanceCases(profileOf({ transport, loopback: false })).find((c) => c.name === name);
    expect(found).toBeDefined();
    await found?.run(backend);
  });
});
