/**
 * What is not in every kernel, or not in every configuration of one. docs/reference/kernels.md is made
 * from this table, errors take from it which kernel has what, and probe.ts asks the running kernel.
 */
import type { ErrorCode } from '../base/errors.ts';

export type FeatureKind = 'scheduler' | 'engine' | 'module' | 'configuration' | 'attribute' | 'sysctl' | 'proc';

interface Entry {
  readonly name: string;
  /** What the kernel calls it: a module, an attribute and its number, a file. */
  readonly kernelName: string;
  /**
   * The first Linux that has it: "4.18", or "about 3.18" where the releases around it were not compared.
   * Absent: every Linux since 3.0.
   */
  readonly since?: string;
  /** The kernel's option that it also needs: "CONFIG_IP_VS_MH". */
  readonly configuration?: string;
  /** Debian's kernels, by version, that are built without it; `any` of them may lack it. */
  readonly lackedBy?: readonly string[] | 'any';
  /** What it is for. */
  readonly purpose: string;
  /** What happens where it is missing. */
  readonly without: string;
  /** With this error. */
  readonly error?: ErrorCode;
}

export interface AttributeFeature extends Entry {
  readonly kind: 'attribute';
  /** Where the attribute stands. */
  readonly of: 'service' | 'destination' | 'daemon';
  /** The attribute by which the kernel is recognised. */
  readonly number: number;
}

export type Feature = AttributeFeature | (Entry & { readonly kind: Exclude<FeatureKind, 'attribute'> });

function scheduler(
  name: string,
  purpose: string,
  more: Partial<Pick<Entry, 'since' | 'without' | 'lackedBy'>> = {},
): Feature {
  return {
    kind: 'scheduler',
    name,
    kernelName: `ip_vs_${name}`,
    configuration: `CONFIG_IP_VS_${name.toUpperCase()}`,
    purpose,
    without: 'a service with it is refused',
    error: 'SCHEDULER_NOT_FOUND',
    ...more,
  };
}

function protocol(name: string): Feature {
  return {
    kind: 'configuration',
    name,
    kernelName: `${name}_conn_schedule`,
    configuration: `CONFIG_IP_VS_PROTO_${name.toUpperCase()}`,
    purpose: `services of ${name}`,
    without: 'such a service is taken, and its packets are not balanced',
  };
}

function destinationAttribute(
  name: string,
  number: number,
  kernelName: string,
  more: Pick<Entry, 'since' | 'purpose' | 'without'>,
): Feature {
  return { kind: 'attribute', of: 'destination', name, number, kernelName, ...more };
}

function syncAttribute(name: string, number: number, kernelName: string, purpose: string, without: string): Feature {
  return {
    kind: 'attribute',
    of: 'daemon',
    name: `sync-${name}`,
    number,
    kernelName: `IPVS_DAEMON_ATTR_${kernelName} (${number})`,
    since: 'about 4.3',
    purpose,
    without: `it is ignored: ${without}`,
  };
}

function sysctl(
  name: string,
  purpose: string,
  without: string,
  more: Pick<Entry, 'since' | 'configuration' | 'lackedBy'>,
): Feature {
  return { kind: 'sysctl', name, kernelName: `net.ipv4.vs.${name}`, purpose, without, ...more };
}

function proc(name: string, purpose: string, without: string, more: Pick<Entry, 'since'> = {}): Feature {
  return { kind: 'proc', name, kernelName: `/proc/net/${name}`, purpose, without, ...more };
}

const fixedTables = 'the tables have a fixed size';
const oneTimer = 'one timer computes the rates of a network namespace';
const kernelDecides = 'the kernel decides';

export const features: readonly Feature[] = [
  scheduler('rr', 'each destination in turn'),
  scheduler('wrr', 'in turn, in proportion to the weights'),
  scheduler('lc', 'the fewest connections'),
  scheduler('wlc', 'the fewest connections for the weight'),
  scheduler('lblc', 'for caches: an address stays with its server while that has room'),
  scheduler('lblcr', 'for caches: an address stays with a set of servers'),
  scheduler('dh', "a hash of the packet's destination"),
  scheduler('sh', "a hash of the client's address"),
  scheduler('sed', 'the shortest expected delay'),
  scheduler('nq', 'an idle destination first, else as sed'),
  scheduler('fo', 'failover: the highest weight that is available', { since: 'about 3.18' }),
  scheduler('ovf', 'the highest weight until it has as many connections, then the next', { since: 'about 4.3' }),
  scheduler('mh', 'Maglev hashing: another destination moves few clients', { since: '4.18' }),
  scheduler('twos', 'the less loaded of two that were drawn by weight', {
    since: 'about 5.12',
    lackedBy: ['6.1'],
    without: 'a service with it is refused (Debian bookworm does not build it)',
  }),
  {
    kind: 'engine',
    name: 'sip',
    kernelName: 'ip_vs_pe_sip',
    configuration: 'CONFIG_IP_VS_PE_SIP',
    purpose: 'persistence by the Call-ID of SIP',
    without: 'a service with it is refused',
    error: 'ENGINE_NOT_FOUND',
  },
  {
    kind: 'module',
    name: 'ip_vs_ftp',
    kernelName: 'ip_vs_ftp',
    configuration: 'CONFIG_IP_VS_FTP',
    purpose: 'FTP through masquerade; nothing loads it but "modprobe ip_vs_ftp"',
    without: 'data connections of FTP fail where they are masqueraded',
  },
  {
    kind: 'configuration',
    name: 'ipv6',
    kernelName: 'AF_INET6',
    configuration: 'CONFIG_IP_VS_IPV6',
    purpose: 'services and destinations of IPv6; IPv6 must not be switched off (ipv6.disable=1) either',
    without: 'they are refused',
    error: 'FAMILY_NOT_SUPPORTED',
  },
  protocol('tcp'),
  protocol('udp'),
  protocol('sctp'),
  {
    kind: 'attribute',
    of: 'service',
    name: 'statistics-64',
    number: 12,
    kernelName: 'IPVS_SVC_ATTR_STATS64, IPVS_DEST_ATTR_STATS64 (12)',
    since: 'about 4.1',
    purpose: 'counters of 64 bits',
    without: 'the counters of 32 bits are read instead, and wrap',
  },
  destinationAttribute('destination-family', 11, 'IPVS_DEST_ATTR_ADDR_FAMILY (11)', {
    since: 'about 3.18',
    purpose: "destinations of the other address family than the service's, by tunnel",
    without: 'it is ignored: the address is taken for one of the other family',
  }),
  destinationAttribute('tunnel-gue', 13, 'IPVS_DEST_ATTR_TUN_TYPE (13), IPVS_DEST_ATTR_TUN_PORT (14)', {
    since: 'about 5.2',
    purpose: 'tunnels in UDP (GUE)',
    without: 'it is ignored: the tunnel is plain IP in IP',
  }),
  // The number of GRE has no attribute of its own; that of the checksums came in the same release.
  destinationAttribute('tunnel-gre', 15, 'IP_VS_CONN_F_TUNNEL_TYPE_GRE (2) of IPVS_DEST_ATTR_TUN_TYPE (13)', {
    since: 'about 5.3',
    purpose: 'tunnels in GRE',
    without: 'the packets are plain IP in IP',
  }),
  destinationAttribute('tunnel-checksum', 15, 'IPVS_DEST_ATTR_TUN_FLAGS (15)', {
    since: 'about 5.3',
    purpose: 'checksums of GUE and GRE, remote checksum offload of GUE',
    without: 'it is ignored: no checksums',
  }),
  syncAttribute('maxlen', 4, 'SYNC_MAXLEN', 'the length of a message', "what the interface's MTU leaves"),
  syncAttribute('group', 5, 'MCAST_GROUP', 'the multicast group', '224.0.0.81'),
  syncAttribute('group6', 6, 'MCAST_GROUP6', 'a multicast group of IPv6', '224.0.0.81'),
  syncAttribute('port', 7, 'MCAST_PORT', 'the UDP port', '8848'),
  syncAttribute('ttl', 8, 'MCAST_TTL', 'how many routers a message may pass', '1'),
  sysctl('backup_only', 'a backup directs no packets itself', 'direct routing and tunnels can loop between directors', {
    since: 'about 3.9',
  }),
  sysctl('conn_lfactor', 'how full the connection table may be before it grows', fixedTables, { since: 'about 7.1' }),
  sysctl('conn_max', 'the most connections of a network namespace', 'memory is the limit', { since: '7.2' }),
  sysctl(
    'conn_reuse_mode',
    'what a new connection from a reused port means',
    'it goes to the destination of the old one',
    { since: 'about 4.1' },
  ),
  sysctl('conntrack', 'connections are tracked by netfilter', 'NAT rules and states of iptables do not see them', {
    configuration: 'CONFIG_IP_VS_NFCT',
  }),
  sysctl('debug_level', 'how much the kernel logs about IPVS', 'it logs little (Debian does not build it)', {
    configuration: 'CONFIG_IP_VS_DEBUG',
    lackedBy: 'any',
  }),
  sysctl('est_cpulist', 'the CPUs that compute rates', oneTimer, { since: 'about 6.2' }),
  sysctl('est_nice', 'the priority of computing rates', oneTimer, { since: 'about 6.2' }),
  sysctl('ignore_tunneled', 'packets that came by tunnel are not balanced again', 'they are', { since: 'about 4.3' }),
  sysctl('lblc_expiration', 'how long lblc keeps an address; there while it is loaded', 'ip_vs_lblc is not loaded', {
    configuration: 'CONFIG_IP_VS_LBLC',
    lackedBy: 'any',
  }),
  sysctl('lblcr_expiration', 'how long lblcr keeps an address; there while it is loaded', 'ip_vs_lblcr is not loaded', {
    configuration: 'CONFIG_IP_VS_LBLCR',
    lackedBy: 'any',
  }),
  sysctl('pmtu_disc', 'whether tunnels forbid fragments', 'they do', { since: 'about 3.7' }),
  sysctl('run_estimation', 'switches counters and rates off, which saves CPU', 'they are always on', {
    since: 'about 5.15',
  }),
  sysctl('schedule_icmp', 'ICMP of no known connection is scheduled too', 'it is not', { since: 'about 4.3' }),
  sysctl('sloppy_sctp', 'after a failover, any packet of SCTP begins a connection', 'only an INIT does', {
    since: 'about 3.11',
  }),
  sysctl('sloppy_tcp', 'after a failover, any packet of TCP begins a connection', 'only a SYN does', {
    since: 'about 3.11',
  }),
  sysctl('svc_lfactor', 'how full the service table may be before it grows', fixedTables, { since: 'about 7.1' }),
  sysctl('sync_persist_mode', 'templates alone are synchronised, not their connections', 'both are', {
    since: 'about 3.11',
  }),
  sysctl('sync_ports', 'how many threads synchronise, each on a port', kernelDecides, { since: 'about 3.5' }),
  sysctl('sync_qlen_max', 'how many messages wait to be sent', kernelDecides, { since: 'about 3.5' }),
  sysctl('sync_refresh_period', 'how often the same state is sent again', 'only sync_threshold decides', {
    since: 'about 3.5',
  }),
  sysctl('sync_retries', 'how often a message is repeated', 'it is not', { since: 'about 3.5' }),
  sysctl('sync_sock_size', "the size of the socket's buffer", kernelDecides, { since: 'about 3.5' }),
  proc('ip_vs_app', 'helpers such as that of FTP', 'they are not shown'),
  proc('ip_vs_conn', 'the connection table', 'it cannot be read'),
  proc('ip_vs_conn_sync', 'the connection table with the origin of each', 'the origin cannot be read'),
  proc('ip_vs_stats', 'totals', 'they cannot be read'),
  proc('ip_vs_stats_percpu', 'totals by CPU', 'they cannot be read'),
  proc('ip_vs_status', 'sizes and load of the tables', 'they are not known', { since: 'about 7.1' }),
];

const byKey: ReadonlyMap<string, Feature> = new Map(features.map((feature) => [featureKey(feature), feature]));

/** "scheduler mh" */
export function featureKey({ kind, name }: Feature): string {
  return `${kind} ${name}`;
}

/** The feature of this key. */
export function featureOf(key: string): Feature | undefined {
  return byKey.get(key);
}

/** Whether a kernel, by what `uname -r` says, is older than the first that has the feature. */
export function isOlder(release: string, { since }: Pick<Feature, 'since'>): boolean {
  if (since === undefined) return false;
  const [major = 0, minor = 0] = numbersOf(release);
  const [sinceMajor = 0, sinceMinor = 0] = numbersOf(since);
  return major < sinceMajor || (major === sinceMajor && minor < sinceMinor);
}

function numbersOf(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number);
}

/** Why a kernel may have no such module, for the hint of an error. */
export function moduleHint(kind: 'scheduler' | 'engine', name: string): string {
  const { module, noun } = kind === 'scheduler' ? schedulerModule : engineModule;
  const since = featureOf(`${kind} ${name}`)?.since;
  const what =
    since === undefined ? `${noun} is a module` : `the ${kind} "${name}" came ${withLinux(since)}, as a module`;
  return `${what}: is ${module}${name} there for this kernel?`;
}

const schedulerModule = { noun: 'a scheduler', module: 'ip_vs_' };
const engineModule = { noun: 'an engine', module: 'ip_vs_pe_' };

function withLinux(since: string): string {
  return since.startsWith('about ') ? since.replace('about', 'around Linux') : `with Linux ${since}`;
}
