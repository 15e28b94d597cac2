/** Which features the running kernel has: it is asked for each, and nothing is changed by it. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { refuseUnknownKeys } from '../base/check.ts';
import { errno, errnoName, IpvsError } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { namespacePath } from '../kernel/namespace.ts';
import { native } from '../kernel/native.ts';
import { NetlinkConnection, type Request } from '../netlink/connection.ts';
import { attributesOf, NETLINK_GENERIC, resolveFamily } from '../netlink/generic.ts';
import type { Acknowledgement, Message } from '../netlink/message.ts';
import { type AttributeFeature, type Feature, featureOf, features, isOlder } from './features.ts';
import {
  dumpServicesRequest,
  IPVS_FAMILY_NAME,
  probeDaemonRequest,
  probeDestinationRequest,
  probeSchedulerRequest,
  serviceReader,
} from './netlink/wire.ts';

export interface ProbeOptions {
  /** A network namespace: a name below /run/netns, or a path. Default: the current one. */
  readonly netns?: string;
  /** Features by kind and name, such as "scheduler mh". Default: all. */
  readonly only?: readonly string[];
}

export interface Finding {
  readonly state: 'present' | 'absent' | 'unknown';
  /** How that was found out, or why it cannot be. */
  readonly evidence: string;
}

export type ProbedFeature = Feature & Finding;

/**
 * Asks the running kernel for features. The table stays as it is; the kernel loads the modules that are asked
 * for, schedulers and engines. Throws IPVS_NOT_LOADED, INVALID_OPTION, and what opening a namespace throws.
 */
export async function probeFeatures(options: ProbeOptions = {}): Promise<readonly ProbedFeature[]> {
  refuseUnknownKeys(options, 'probe', ['netns', 'only']);
  const { netns, only } = options;
  if (only !== undefined && !Array.isArray(only))
    throw new IpvsError('INVALID_OPTION', { detail: '"only" is a list of features', path: ['only'] });
  const wanted = only === undefined ? features : only.map(known);
  const path = netns === undefined ? '' : namespacePath(netns);
  // Asking for the family would load the module.
  if (!existsSync('/proc/net/ip_vs')) throw new IpvsError('IPVS_NOT_LOADED');
  const connection = NetlinkConnection.open({ native: native(), namespacePath: path, protocol: NETLINK_GENERIC });
  try {
    const kernel = await kernelBehind(connection, wanted);
    return wanted.map((feature) => ({ ...feature, ...find(feature, kernel) }));
  } finally {
    connection.close();
  }
}

function known(key: string): Feature {
  const feature = featureOf(key);
  if (feature !== undefined) return feature;
  throw new IpvsError('INVALID_OPTION', { detail: `there is no feature ${quote(key)}`, path: ['only'] });
}

/** What the probes look at. */
export interface Kernel {
  /** As `uname -r` says it. */
  readonly release: string;
  ask(request: (family: number) => Request): Acknowledgement;
  /** Any service of the table, and the numbers of its attributes; undefined where there is none to ask about. */
  readonly service: SeenService | undefined;
  exists(path: string): boolean;
  /** Undefined where it cannot be read. */
  read(path: string): string | undefined;
}

export interface SeenService {
  readonly address: string;
  readonly attributes: ReadonlySet<number>;
}

async function kernelBehind(connection: NetlinkConnection, wanted: readonly Feature[]): Promise<Kernel> {
  const family = resolveFamily(connection, IPVS_FAMILY_NAME);
  if (family === undefined) throw new IpvsError('IPVS_NOT_LOADED');
  const texts = new Map<string, string | undefined>();
  const asksForService = wanted.some((feature) => feature.kind === 'attribute' && feature.of !== 'daemon');
  const services = asksForService ? (await connection.dump(dumpServicesRequest(family), seenService)).items : [];
  return {
    release: release(),
    ask: (request) => connection.request(request(family), () => undefined).outcome,
    service: services[0],
    exists: existsSync,
    read(path) {
      if (!texts.has(path)) texts.set(path, textOf(path));
      return texts.get(path);
    },
  };
}

function seenService(message: Message): SeenService {
  const attributes = new Set<number>();
  const reader = attributesOf(message);
  if (reader.next()) for (const inside = reader.nested(); inside.next(); ) attributes.add(inside.type);
  return { address: serviceReader(false)(message).address, attributes };
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Asks for one feature. */
export function find(feature: Feature, kernel: Kernel): Finding {
  switch (feature.kind) {
    case 'scheduler':
      return answered(
        kernel.ask((family) => probeSchedulerRequest(family, feature.name)),
        { present: errno.EINVAL, absent: errno.ENOENT },
      );
    case 'engine':
      return answered(
        kernel.ask((family) => probeSchedulerRequest(family, 'none', feature.name)),
        { present: errno.EINVAL, absent: errno.ENOENT },
      );
    case 'attribute':
      return findAttribute(feature, kernel);
    case 'configuration':
      if (feature.name !== 'ipv6') return findSymbol(feature.kernelName, kernel);
      return answered(
        kernel.ask((family) => probeSchedulerRequest(family, 'none')),
        { present: errno.EINVAL, absent: errno.EAFNOSUPPORT },
      );
    case 'module':
      return findModule(feature.kernelName, kernel);
    case 'sysctl':
      // Linux 6.1 shows none of them in a user namespace; this one is as old as IPVS.
      if (!kernel.exists(`${SYSCTLS}/drop_entry`)) return { state: 'unknown', evidence: `${SYSCTLS} shows nothing` };
      return findFile(`${SYSCTLS}/${feature.name}`, kernel);
    case 'proc':
      return findFile(feature.kernelName, kernel);
  }
}

const SYSCTLS = '/proc/sys/net/ipv4/vs';

function findFile(path: string, kernel: Kernel): Finding {
  return kernel.exists(path)
    ? { state: 'present', evidence: `${path} is there` }
    : { state: 'absent', evidence: `${path} is not there` };
}

/** Loaded, or listed among what modprobe can load. */
function findModule(name: string, kernel: Kernel): Finding {
  if (kernel.exists(`/sys/module/${name}`)) return { state: 'present', evidence: 'it is loaded' };
  const folder = `/lib/modules/${kernel.release}`;
  const lists = ['modules.dep', 'modules.builtin'].map((list) => kernel.read(`${folder}/${list}`));
  if (lists.every((list) => list === undefined)) return { state: 'unknown', evidence: `${folder} cannot be read` };
  return lists.some((list) => list?.includes(`/${name}.ko`))
    ? { state: 'present', evidence: `it is in ${folder}, not loaded` }
    : { state: 'absent', evidence: `it is not in ${folder}` };
}

/** A function of ip_vs that is built only with an option. */
function findSymbol(name: string, kernel: Kernel): Finding {
  const symbols = kernel.read('/proc/kallsyms');
  if (!symbols?.includes(' ip_vs_')) return { state: 'unknown', evidence: '/proc/kallsyms does not show ip_vs' };
  return new RegExp(` ${name}\\b`).test(symbols)
    ? { state: 'present', evidence: `/proc/kallsyms has ${name}` }
    : { state: 'absent', evidence: `/proc/kallsyms has no ${name}` };
}

function findAttribute(feature: AttributeFeature, kernel: Kernel): Finding {
  const { number } = feature;
  if (feature.of === 'daemon') {
    const answer = kernel.ask((family) => probeDaemonRequest(family, number));
    // Without words it is about something else: destinations of mixed families.
    const about = answer.errno !== errno.EINVAL || answer.text !== undefined;
    return answered(answer, { present: about ? errno.EINVAL : undefined, absent: errno.ENODEV });
  }
  const { service } = kernel;
  if (service === undefined) {
    const evidence = `Linux ${kernel.release}; there is no service to ask about`;
    return { state: isOlder(kernel.release, feature) ? 'unknown' : 'present', evidence };
  }
  if (feature.of === 'destination') {
    const answer = kernel.ask((family) => probeDestinationRequest(family, service.address, number));
    return answered(answer, { present: errno.EINVAL, absent: errno.ENOENT });
  }
  const sent = service.attributes.has(number);
  return { state: sent ? 'present' : 'absent', evidence: `${service.address} is ${sent ? '' : 'not '}sent with it` };
}

function answered(
  { errno: code }: Acknowledgement,
  { present, absent }: { present: number | undefined; absent: number },
): Finding {
  const evidence = `the kernel answers ${errnoName(code)}`;
  if (code === present) return { state: 'present', evidence };
  return { state: code === absent ? 'absent' : 'unknown', evidence };
}
