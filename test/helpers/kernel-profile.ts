/** The profile of the running kernel, asked of it. */
import { release } from 'node:os';
import type { KernelTransport } from '../../src/ipvs/backend.ts';
import { featureKey, features, isOlder } from '../../src/ipvs/features.ts';
import { namespacePath } from '../../src/ipvs/namespace.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink-backend.ts';
import { probeFeatures } from '../../src/ipvs/probe.ts';
import { type ModelKernel, modelKernels, type Profile } from '../../src/ipvs/profile.ts';
import { native } from '../../src/native.ts';

/** Of a namespace that `makeNamespace` made: `lo` is up, and alone. Its timeouts are changed. */
export async function kernelProfile(netns: string, transport: KernelTransport): Promise<Profile> {
  const modules = features.filter(({ kind }) => kind === 'scheduler' || kind === 'engine');
  const found = await probeFeatures({ netns, only: modules.map(featureKey) });
  const present = (kind: string) =>
    found.filter((feature) => feature.kind === kind && feature.state === 'present').map(({ name }) => name);
  return {
    transport,
    kernel: modelKernel(),
    hz: await ticksPerSecond(netns),
    schedulers: present('scheduler'),
    engines: present('engine'),
    interfaces: { lo: { mtu: 65_536, multicast6: false } },
    ipv6: true,
    loopback: true,
    permitted: true,
  };
}

/** The newest that is not newer than the running one. */
function modelKernel(): ModelKernel {
  const known = modelKernels.filter((since) => !isOlder(release(), { since }));
  return known.at(-1) ?? modelKernels[0];
}

/** CONFIG_HZ, by the longest timeout that is taken: INT_MAX / HZ. */
async function ticksPerSecond(netns: string): Promise<number> {
  const backend = new NetlinkBackend({ native: native(), namespacePath: namespacePath(netns) });
  try {
    for (const hz of [1000, 300, 250, 100]) {
      const longest = Math.floor((2 ** 31 - 1) / hz);
      const timeouts = [longest, longest + 1].map(
        (udpSeconds) => ({ type: 'timeouts.set', timeouts: { udpSeconds } }) as const,
      );
      const [taken, refused] = await backend.execute(timeouts);
      if (taken?.error === undefined && refused?.error !== undefined) return hz;
    }
  } finally {
    backend.close();
  }
  throw new Error('HZ is none of those that Linux can be configured with');
}
