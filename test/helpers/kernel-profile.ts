/** The profile of the running kernel, asked of it. */
import { release } from 'node:os';
import type { Backend, KernelTransport } from '../../src/ipvs/backend.ts';
import { type Destination, normalizeDestination } from '../../src/ipvs/destination.ts';
import { featureKey, features, isOlder } from '../../src/ipvs/features.ts';
import { type ModelKernel, modelKernels, type Profile, profileOf } from '../../src/ipvs/memory/profile.ts';
import { NetlinkBackend } from '../../src/ipvs/netlink/backend.ts';
import type { Operation } from '../../src/ipvs/operation.ts';
import { probeFeatures } from '../../src/ipvs/probe.ts';
import { normalizeService } from '../../src/ipvs/service.ts';
import { namespacePath } from '../../src/kernel/namespace.ts';
import { native } from '../../src/kernel/native.ts';

/** Of a namespace that `makeNamespace` made: `lo` is up, and alone. Its table is emptied, its timeouts are changed. */
export async function kernelProfile(netns: string, transport: KernelTransport): Promise<Profile> {
  const modules = features.filter(({ kind }) => kind === 'scheduler' || kind === 'engine');
  const found = await probeFeatures({ netns, only: modules.map(featureKey) });
  const present = (kind: string) =>
    found.filter((feature) => feature.kind === kind && feature.state === 'present').map(({ name }) => name);
  const backend = new NetlinkBackend({ native: native(), namespacePath: namespacePath(netns) });
  try {
    const profile = profileOf({
      transport,
      kernel: modelKernel(),
      hz: await ticksPerSecond(backend),
      schedulers: present('scheduler'),
      engines: present('engine'),
      interfaces: { lo: { mtu: 65_536, multicast6: false } },
    });
    const boundedThresholds = !(await takes(backend, destination({ upperThreshold: 2 ** 31 })));
    return { ...profile, differences: { ...profile.differences, boundedThresholds } };
  } finally {
    backend.close();
  }
}

/** The newest that is not newer than the running one. */
function modelKernel(): ModelKernel {
  const known = modelKernels.filter((since) => !isOlder(release(), { since }));
  return known.at(-1) ?? modelKernels[0];
}

/** CONFIG_HZ, by the longest timeout that is taken: INT_MAX / HZ. */
async function ticksPerSecond(backend: Backend): Promise<number> {
  for (const hz of [1000, 300, 250, 100]) {
    const longest = Math.floor((2 ** 31 - 1) / hz);
    const timeout = (udpSeconds: number) => [{ type: 'timeouts.set', timeouts: { udpSeconds } } as const];
    if ((await takes(backend, timeout(longest))) && !(await takes(backend, timeout(longest + 1)))) return hz;
  }
  throw new Error('HZ is none of those that Linux can be configured with');
}

function destination(settings: Partial<Destination>): Operation[] {
  const service = normalizeService({ address: 'fwmark:1', scheduler: 'none' });
  const destination = { ...normalizeDestination({ address: '10.0.0.1' }, service.address), ...settings };
  return [
    { type: 'service.add', service },
    { type: 'destination.add', service: service.address, destination },
  ];
}

async function takes(backend: Backend, operations: readonly Operation[]): Promise<boolean> {
  const results = await backend.execute(operations);
  await backend.execute([{ type: 'flush' }]);
  return results.at(-1)?.error === undefined;
}
