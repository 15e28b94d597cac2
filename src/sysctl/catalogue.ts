/**
 * The settings of the kernel that balancing depends on, as a table: net.ipv4.vs.* of all kernels that we name
 * (ip_vs_ctl.c, vs_vars; ip_vs_lblc.c, ip_vs_lblcr.c), and those around it. docs/reference/sysctls.md is made from it.
 */
import { type Feature, featureOf } from '../ipvs/features.ts';
import type { SysctlKind } from './kind.ts';

export interface SysctlSpec {
  /** `*` stands for an interface, `all` or `default`. */
  readonly name: string;
  readonly kind: SysctlKind;
  /** What a network namespace begins with, as the kernel shows it; null where that depends. */
  readonly default: string | null;
  /** On what it depends. */
  readonly dependsOn?: string;
  /** `host`: one value for all network namespaces. */
  readonly scope: 'namespace' | 'host';
  /** Nobody sets it: it only shows. */
  readonly readOnly?: true;
  /** Root of a container (of a user namespace of its own) may not set it. */
  readonly rootOfHostOnly?: true;
  /** One line. */
  readonly about: string;
  /** Who should touch it, and when. */
  readonly who: string;
}

const INT_MAX = 2 ** 31 - 1;
const onOff: SysctlKind = { type: 'switch' };
const mode: SysctlKind = { type: 'mode' };

function number(
  least: number,
  most: number,
  more: { unit?: string; refuse?: (n: number) => string | undefined } = {},
): SysctlKind {
  const { unit, refuse } = more;
  return {
    type: 'number',
    least,
    most,
    ...(unit !== undefined && { unit }),
    ...(refuse && { refuse: ([only = 0]: readonly number[]) => refuse(only) }),
  };
}

/** The kernel keeps them in jiffies, of which 1000 may make a second. */
const seconds = (least = 1): SysctlKind => number(least, Math.floor(INT_MAX / 1000), { unit: 'seconds' });
const namespaced = { scope: 'namespace' } as const;

function vs(
  name: string,
  kind: SysctlKind,
  fallback: string | null,
  rest: Pick<SysctlSpec, 'about' | 'who'> & Partial<SysctlSpec>,
): SysctlSpec {
  return { ...namespaced, name: `net.ipv4.vs.${name}`, kind, default: fallback, ...rest };
}

function conntrack(
  name: string,
  kind: SysctlKind,
  fallback: string | null,
  rest: Pick<SysctlSpec, 'about' | 'who'> & Partial<SysctlSpec>,
): SysctlSpec {
  return { ...namespaced, name: `net.netfilter.nf_conntrack_${name}`, kind, default: fallback, ...rest };
}

function ofInterface(
  name: string,
  kind: SysctlKind,
  fallback: string | null,
  rest: Pick<SysctlSpec, 'about' | 'who'> & Partial<SysctlSpec>,
): SysctlSpec {
  return { ...namespaced, name: `net.ipv4.conf.*.${name}`, kind, default: fallback, ...rest };
}

const defenseOnly = 'the defense ("ipvs defense"), or who defends by hand';
const gateways = 'gateways: where masqueraded connections last longer or shorter than this';
const syncDirectors = 'directors that synchronise connections';

export const catalogue: readonly SysctlSpec[] = [
  vs('am_droprate', number(2, INT_MAX, { refuse: refusedRate }), '10', {
    about: 'drop_packet "always" drops one in so many new connections; taken over within a second',
    who: defenseOnly,
  }),
  vs('amemthresh', number(0, INT_MAX, { unit: 'pages', refuse: refusedThreshold }), '1024', {
    about: 'With fewer free pages (MemFree and Buffers, of the whole host) the automatic modes engage',
    who: 'who uses the automatic modes: the default of 4 MB engages too late on most hosts',
  }),
  vs('backup_only', onOff, '0', {
    about: 'While a sync daemon runs as backup, this director balances nothing itself',
    who: 'pairs of directors with direct routing or tunnels, against loops',
  }),
  vs('cache_bypass', onOff, '0', {
    about: 'Without a destination, connections of a firewall mark go where the client wanted to go',
    who: 'transparent caches',
  }),
  vs('conn_lfactor', number(-8, 8), null, {
    dependsOn: 'the namespace: -4 in the first, -2 in others',
    about: 'How full the connection table may be before it grows, as a power of 2',
    who: 'nearly nobody: lower is faster and takes more memory',
    rootOfHostOnly: true,
  }),
  vs('conn_max', number(1, 2 ** 30, { refuse: refusedMost }), '1073741824', {
    about: 'The most connections; new ones are dropped beyond',
    who: 'every director whose memory can run out: it is the one limit that a flood cannot pass',
  }),
  vs('conn_reuse_mode', number(0, 3), '1', {
    about:
      'What a SYN from a port in use means: 0 the old connection, 1 a new one where safe, 2 and 3 also while the old one ends',
    who: 'nobody since Linux 5.9: 0 pins reused ports to servers that are gone',
  }),
  vs('conntrack', onOff, '0', {
    about: 'Netfilter tracks balanced connections, so rules of NAT and states see them',
    who: 'who gives them source addresses (sourceNat), or filters them by state; it costs an entry and time each',
  }),
  vs('debug_level', number(0, 100), '0', {
    scope: 'host',
    about: 'How much the kernel logs about IPVS',
    who: 'developers of the kernel',
    rootOfHostOnly: true,
  }),
  vs('drop_entry', mode, '0', {
    about: 'Half-open and idle entries are thrown out of the connection table at random',
    who: defenseOnly,
  }),
  vs('drop_packet', mode, '0', {
    about: 'New connections are dropped by a rate, honest ones like others',
    who: defenseOnly,
  }),
  vs('est_cpulist', { type: 'cpus' }, null, {
    dependsOn: 'the processors that are not isolated',
    about: 'The processors that compute rates',
    who: 'hosts with isolated processors',
    rootOfHostOnly: true,
  }),
  vs('est_nice', number(-20, 19), '0', {
    about: 'The priority of what computes rates',
    who: 'nearly nobody',
    rootOfHostOnly: true,
  }),
  vs('expire_nodest_conn', onOff, '0', {
    about: 'Connections to a destination that was deleted end at their next packet, instead of hanging silently',
    who: 'everybody whose destinations are deleted while clients remain, above all with UDP',
  }),
  vs('expire_quiescent_template', onOff, '0', {
    about: 'At weight 0 persistent clients go elsewhere with their next connection',
    who: 'everybody with persistence: without it drains of persistent services wait for the last client',
  }),
  vs('ignore_tunneled', onOff, '0', {
    about: 'Packets that came out of a tunnel are not balanced again',
    who: 'real servers that are directors too',
  }),
  vs('lblc_expiration', seconds(), '86400', {
    about: 'How long the scheduler lblc keeps an address that is not used',
    who: 'caches',
    rootOfHostOnly: true,
  }),
  vs('lblcr_expiration', seconds(), '86400', {
    about: 'How long the scheduler lblcr keeps an address that is not used',
    who: 'caches',
    rootOfHostOnly: true,
  }),
  vs('nat_icmp_send', onOff, '0', {
    about: 'A masqueraded packet of no known connection is answered with ICMP, instead of silence',
    who: 'who wants real servers to give up dead connections at once',
  }),
  vs('pmtu_disc', onOff, '1', {
    about: 'Packets in tunnels may not be fragmented, and clients are told of smaller MTUs',
    who: 'tunnels through networks that drop ICMP: 0, or a smaller MTU at the real servers',
  }),
  vs('run_estimation', onOff, '1', {
    about: 'Counters and rates are published; 0 freezes them, all totals included',
    who: 'directors with ten thousands of services that need no counters',
    rootOfHostOnly: true,
  }),
  vs('schedule_icmp', onOff, '0', {
    about: 'ICMP of no known connection is scheduled like what it is about',
    who: 'directors behind ECMP',
  }),
  vs('secure_tcp', mode, '0', {
    about: 'TCP is followed by a stricter table of states',
    who: defenseOnly,
  }),
  vs('sloppy_sctp', onOff, '0', {
    about: 'Any packet of SCTP begins a connection, not only an INIT',
    who: 'directors that take over connections without synchronising them, with a scheduler that hashes',
  }),
  vs('sloppy_tcp', onOff, '0', {
    about: 'Any packet of TCP begins a connection, not only a SYN',
    who: 'directors that take over connections without synchronising them, with a scheduler that hashes',
  }),
  vs('snat_reroute', onOff, '1', {
    about: 'Answers are routed once more, by the virtual address as their source',
    who: 'hosts without routes by source may save it',
  }),
  vs('svc_lfactor', number(-8, 8), null, {
    dependsOn: 'the namespace: -3 in the first, -2 in others',
    about: 'How full the service table may be before it grows, as a power of 2',
    who: 'nearly nobody',
    rootOfHostOnly: true,
  }),
  vs('sync_persist_mode', onOff, '0', {
    about: 'Of persistent services only the templates are synchronised',
    who: syncDirectors,
  }),
  vs('sync_ports', number(1, 64, { refuse: refusedPorts }), '1', {
    about: 'How many threads synchronise, each on a port of its own; read when a daemon starts',
    who: `${syncDirectors}, with many connections: the same on both`,
  }),
  vs('sync_qlen_max', number(1, Number.MAX_SAFE_INTEGER, { unit: 'messages' }), null, {
    dependsOn: 'memory',
    about: 'How many messages may wait to be sent',
    who: syncDirectors,
    rootOfHostOnly: true,
  }),
  vs('sync_refresh_period', seconds(0), '0', {
    about: 'The same state of a connection is sent again after so long; 0: as sync_threshold says',
    who: syncDirectors,
  }),
  vs('sync_retries', number(0, 3), '0', {
    about: 'How often a message is repeated within an eighth of sync_refresh_period',
    who: `${syncDirectors}, over networks that lose packets`,
  }),
  vs('sync_sock_size', number(0, INT_MAX, { unit: 'bytes' }), '0', {
    about: "The buffer of the daemons' sockets; 0: the system's default",
    who: syncDirectors,
    rootOfHostOnly: true,
  }),
  vs('sync_threshold', { type: 'pair', least: 0, most: INT_MAX, refuse: refusedSyncThreshold }, '3\t50', {
    about: 'A connection is synchronised after so many packets, and again with each so many',
    who: syncDirectors,
  }),
  vs('sync_version', number(0, 1), '1', {
    about: 'The format of messages; 0 knows no IPv6, no marks and no timeouts',
    who: 'nobody, but beside a kernel older than 2.6.39',
  }),
  {
    ...namespaced,
    name: 'net.ipv4.ip_forward',
    kind: onOff,
    default: '0',
    about:
      'The host forwards IPv4; setting it sets conf.*.forwarding, and some other settings of interfaces to those of a router',
    who: 'masquerade and gateways need 1',
  },
  {
    ...namespaced,
    name: 'net.ipv4.ip_local_port_range',
    kind: { type: 'pair', least: 1, most: 65535, refuse: refusedPortRange },
    default: '32768\t60999',
    about: 'The ports of connections that this host begins',
    who: 'hosts whose own ports must not meet those of masquerade (masquerade.ports)',
  },
  {
    ...namespaced,
    name: 'net.ipv4.ip_nonlocal_bind',
    kind: onOff,
    default: '0',
    about: 'Programs may listen on IPv4 addresses that are not here (yet)',
    who: 'directors whose local programs listen on virtual addresses',
  },
  {
    ...namespaced,
    name: 'net.ipv6.ip_nonlocal_bind',
    kind: onOff,
    default: '0',
    about: 'Programs may listen on IPv6 addresses that are not here (yet)',
    who: 'directors whose local programs listen on virtual addresses',
  },
  {
    ...namespaced,
    name: 'net.ipv6.conf.*.forwarding',
    kind: onOff,
    default: '0',
    about: 'The host forwards IPv6, and then takes no router advertisements by default; "all" counts',
    who: 'masquerade and gateways of IPv6 need net.ipv6.conf.all.forwarding=1',
  },
  ofInterface('forwarding', onOff, null, {
    dependsOn: 'net.ipv4.ip_forward, which sets it',
    about: 'IPv4 that comes in here is forwarded',
    who: 'who forwards between some interfaces only',
  }),
  ofInterface('rp_filter', number(0, 2), null, {
    dependsOn: 'the distribution: 0, 1 or 2',
    about:
      'Packets whose source is routed elsewhere are dropped (1), or those that no route leads back to (2); the higher of "all" and the interface counts',
    who: 'directors where answers take another way: 2 or 0',
  }),
  ofInterface('arp_ignore', number(0, 8), '0', {
    about:
      'Which ARP requests are answered: 1 only for addresses of that interface; the higher of "all" and the interface counts',
    who: 'real servers with direct routing: 1 (or 2), so that they do not answer for the virtual address',
  }),
  ofInterface('arp_announce', number(0, 2), '0', {
    about: 'Which source address ARP requests have: 2 the best one; the higher of "all" and the interface counts',
    who: 'real servers with direct routing: 2, so that they do not announce the virtual address',
  }),
  ofInterface('route_localnet', onOff, '0', {
    about: '127.0.0.0/8 is routed like other networks',
    who: 'nobody, but who balances to programs on the loopback address',
  }),
  ofInterface('accept_local', onOff, '0', {
    about: 'Packets with a source address of this host are taken in',
    who: 'directors with local clients of their own virtual addresses, through other hosts',
  }),
  ofInterface('send_redirects', onOff, '1', {
    about: 'Clients on the same link are told of shorter ways by ICMP',
    who: 'directors with one interface and masquerade: 0, or clients go around them',
  }),
  conntrack('max', number(1, INT_MAX), null, {
    dependsOn: 'memory',
    scope: 'host',
    about: 'The most tracked connections; each namespace compares its own number with it',
    who: 'gateways: when it is full, new connections are dropped',
    rootOfHostOnly: true,
  }),
  conntrack('buckets', number(512, INT_MAX, { refuse: refusedBuckets }), null, {
    dependsOn: 'memory',
    scope: 'host',
    about: 'The size of the table of tracked connections',
    who: 'gateways: a quarter of nf_conntrack_max, or as much',
    rootOfHostOnly: true,
  }),
  conntrack('count', number(0, INT_MAX), null, {
    dependsOn: 'traffic',
    readOnly: true,
    about: 'How many connections are tracked now',
    who: 'nobody: it only shows',
  }),
  conntrack('acct', onOff, '0', {
    about: 'Packets and bytes of tracked connections are counted, of those that begin from then on',
    who: 'who wants to see how much mappings carried',
  }),
  conntrack('timestamp', onOff, '0', {
    about: 'When a tracked connection began is kept',
    who: 'who accounts for connections',
  }),
  conntrack('tcp_be_liberal', onOff, '0', {
    about: 'TCP outside of its window is not called invalid',
    who: 'directors that see one direction only',
  }),
  conntrack('tcp_loose', onOff, '1', {
    about: 'A connection that is in the middle may be taken up',
    who: 'gateways that must lose no connection with their table',
  }),
  conntrack('tcp_timeout_established', seconds(), '432000', {
    about: 'How long a tracked TCP connection is kept without packets; IPVS keeps its own 15 minutes',
    who: gateways,
  }),
  conntrack('tcp_timeout_syn_sent', seconds(), '120', {
    about: 'How long a tracked SYN waits for an answer',
    who: gateways,
  }),
  conntrack('tcp_timeout_syn_recv', seconds(), '60', {
    about: 'How long a tracked handshake waits for its end',
    who: gateways,
  }),
  conntrack('tcp_timeout_fin_wait', seconds(), '120', {
    about: 'How long a tracked connection is kept after the first FIN',
    who: gateways,
  }),
  conntrack('tcp_timeout_close_wait', seconds(), '60', {
    about: 'How long a tracked connection is kept after a FIN of the other side',
    who: gateways,
  }),
  conntrack('tcp_timeout_last_ack', seconds(), '30', {
    about: 'How long a tracked connection waits for the last acknowledgement',
    who: gateways,
  }),
  conntrack('tcp_timeout_time_wait', seconds(), '120', {
    about: 'How long a tracked connection that ended keeps its port',
    who: `${gateways}; it bounds how many connections a second one address can carry`,
  }),
  conntrack('tcp_timeout_close', seconds(), '10', {
    about: 'How long a tracked connection that was reset is kept',
    who: gateways,
  }),
  conntrack('udp_timeout', seconds(), '30', {
    about: 'How long UDP without an answer is kept',
    who: gateways,
  }),
  conntrack('udp_timeout_stream', seconds(), '120', {
    about: 'How long UDP in both directions is kept',
    who: gateways,
  }),
  conntrack('icmp_timeout', seconds(), '30', {
    about: 'How long an ICMP request is kept',
    who: gateways,
  }),
  conntrack('generic_timeout', seconds(), '600', {
    about: 'How long protocols that are not known are kept',
    who: gateways,
  }),
  conntrack('icmpv6_timeout', seconds(), '30', {
    about: 'How long an ICMPv6 request is kept',
    who: gateways,
  }),
  conntrack('gre_timeout', seconds(), '30', {
    about: 'How long GRE without an answer is kept',
    who: gateways,
  }),
  conntrack('gre_timeout_stream', seconds(), '180', {
    about: 'How long GRE in both directions is kept',
    who: gateways,
  }),
  conntrack('sctp_timeout_established', seconds(), '210', {
    about: 'How long a tracked SCTP association is kept without packets',
    who: gateways,
  }),
  conntrack('events', number(0, 2), null, {
    dependsOn: 'the kernel: 2, or 1 before 5.18',
    about: 'Whether programs are told of connections: 0 never, 1 always, 2 while one listens',
    who: 'who runs conntrackd',
  }),
  ...(
    [
      ['closed', 'that was closed'],
      ['cookie_wait', 'that waits for a cookie'],
      ['cookie_echoed', 'that sent a cookie back'],
      ['shutdown_sent', 'that one side shuts down'],
      ['shutdown_recd', 'that the other side shuts down'],
      ['shutdown_ack_sent', 'whose shutdown was acknowledged'],
      ['heartbeat_sent', 'that only heartbeats were seen of'],
    ] as const
  ).map(([state, words]) =>
    conntrack(`sctp_timeout_${state}`, seconds(0), null, {
      dependsOn: 'the kernel: 3 to 30 seconds, some 0 in older ones',
      about: `How long a tracked SCTP association ${words} is kept`,
      who: gateways,
    }),
  ),
  conntrack('frag6_timeout', seconds(), '60', {
    about: 'How long fragments of IPv6 wait for the rest',
    who: 'nearly nobody',
  }),
  conntrack('frag6_high_thresh', number(0, Number.MAX_SAFE_INTEGER, { unit: 'bytes' }), null, {
    dependsOn: 'the kernel: 4194304',
    about: 'How much memory fragments of IPv6 may take',
    who: 'nearly nobody',
  }),
  conntrack('frag6_low_thresh', number(0, Number.MAX_SAFE_INTEGER, { unit: 'bytes' }), null, {
    dependsOn: 'the kernel: 3145728',
    about: 'Down to how much memory fragments of IPv6 are thrown away',
    who: 'nearly nobody',
  }),
  conntrack('tcp_timeout_max_retrans', seconds(), '300', {
    about: 'How long a connection is kept after nf_conntrack_tcp_max_retrans repetitions',
    who: gateways,
  }),
  conntrack('tcp_timeout_unacknowledged', seconds(), '300', {
    about: 'How long a connection is kept whose data nobody acknowledges',
    who: gateways,
  }),
  conntrack('tcp_max_retrans', number(0, 255), '3', {
    about: 'After how many repetitions the shorter timeout holds',
    who: gateways,
  }),
  conntrack('tcp_ignore_invalid_rst', onOff, '0', {
    about: 'A reset outside of the window does not mark a connection as closed',
    who: 'directors that see one direction only',
  }),
  conntrack('checksum', onOff, '1', {
    about: 'Packets with a wrong checksum are called invalid',
    who: 'nearly nobody',
  }),
  conntrack('log_invalid', number(0, 255), '0', {
    about: 'Invalid packets of this protocol number are logged; 255 of all',
    who: 'who looks for lost packets, for a moment',
  }),
  conntrack('expect_max', number(1, INT_MAX), null, {
    dependsOn: 'memory',
    scope: 'host',
    about: 'How many connections helpers (FTP, SIP) may expect',
    who: 'gateways with many FTP clients',
    rootOfHostOnly: true,
  }),
];

function refusedRate(rate: number): string | undefined {
  if (rate < 0) return 'below 0 it drops every new connection';
  if (rate === 0) return '0 drops nothing: that is what drop_packet "off" is for';
  return rate === 1 ? '1 drops every new connection' : undefined;
}

function refusedThreshold(pages: number): string | undefined {
  return pages < 0 ? 'below 0 it is 0, which never engages: that is what modes "off" are for' : undefined;
}

function refusedMost(connections: number): string | undefined {
  return connections < 1 ? 'it drops every new connection' : undefined;
}

function refusedPorts(ports: number): string | undefined {
  return Number.isInteger(Math.log2(ports)) ? undefined : 'the kernel takes powers of 2: 1, 2, 4 up to 64';
}

function refusedBuckets(buckets: number): string | undefined {
  return buckets % 512 === 0 ? undefined : 'the kernel takes whole pages: multiples of 512';
}

function refusedSyncThreshold([packets = 0, period = 0]: readonly number[]): string | undefined {
  return period !== 0 && packets >= period ? 'the first must be below the second, unless that is 0' : undefined;
}

function refusedPortRange([first = 0, last = 0]: readonly number[]): string | undefined {
  return first > last ? 'the first must not be above the second' : undefined;
}

const byName: ReadonlyMap<string, SysctlSpec> = new Map(catalogue.map((spec) => [spec.name, spec]));

/** Of a canonical name; undefined for a setting that is none of ours. */
export function sysctlSpec(name: string): SysctlSpec | undefined {
  return byName.get(name) ?? byName.get(name.replace(/^(net\.ipv[46]\.conf)\.[^.]+\./, '$1.*.'));
}

/** Since when there is one, where not every kernel has it. */
export function sysctlFeature({ name }: Pick<SysctlSpec, 'name'>): Feature | undefined {
  return name.startsWith('net.ipv4.vs.') ? featureOf(`sysctl ${name.slice('net.ipv4.vs.'.length)}`) : undefined;
}
