/** Of which kernel a table is a model: what a host and its kernel have, and the way into it. Data. */
import type { KernelTransport } from '../backend.ts';
import { features } from '../features.ts';

/** The kernels that the model is compared with: each stands for those until the next. */
export const modelKernels = ['6.1', '6.12', '7.2'] as const;
export type ModelKernel = (typeof modelKernels)[number];

export interface Profile {
  /** Whose checks are made, and what can be said and seen. */
  readonly transport: KernelTransport;
  readonly kernel: ModelKernel;
  /** Default: those of that kernel's first release; stable releases carry some back. */
  readonly differences: KernelDifferences;
  /** CONFIG_HZ: timeouts are kept in ticks, in 32 bits. */
  readonly hz: number;
  /** Those that the kernel has or can load; "none" always works. */
  readonly schedulers: readonly string[];
  readonly engines: readonly string[];
  /** Network interfaces by name. */
  readonly interfaces: Readonly<Record<string, NetworkInterface>>;
  /** False where IPv6 is switched off. */
  readonly ipv6: boolean;
  /** Whether `lo` ever was up: before, the kernel has no route, and takes no address of IPv4 for a destination. */
  readonly loopback: boolean;
  /** False without CAP_NET_ADMIN. */
  readonly permitted: boolean;
}

export interface NetworkInterface {
  readonly mtu: number;
  /** Whether a packet to a multicast group of IPv6 can leave by it: not by `lo`. */
  readonly multicast6: boolean;
}

/** Where the kernels differ, as far as a table shows it. */
export interface KernelDifferences {
  /** Whether the connection table is made with the first service, and grows. */
  readonly growingTables: boolean;
  /** Whether thresholds above 2147483647 are refused. */
  readonly boundedThresholds: boolean;
}

const kernelDifferences: Readonly<Record<ModelKernel, KernelDifferences>> = {
  '6.1': { growingTables: false, boundedThresholds: false },
  '6.12': { growingTables: false, boundedThresholds: true },
  '7.2': { growingTables: true, boundedThresholds: true },
};

/** A host with everything. */
const everything: Omit<Profile, 'differences'> = {
  transport: 'netlink',
  kernel: '7.2',
  hz: 250,
  schedulers: namesOf('scheduler'),
  engines: namesOf('engine'),
  interfaces: { lo: { mtu: 65_536, multicast6: false }, eth0: { mtu: 1500, multicast6: true } },
  ipv6: true,
  loopback: true,
  permitted: true,
};

/** What is not said is as on a host with everything: netlink on the newest kernel, `lo` and `eth0`. */
export function profileOf(given: Partial<Profile> = {}): Profile {
  const { kernel = everything.kernel } = given;
  return { ...everything, differences: kernelDifferences[kernel], ...given };
}

function namesOf(kind: 'scheduler' | 'engine'): string[] {
  return features.filter((feature) => feature.kind === kind).map(({ name }) => name);
}
