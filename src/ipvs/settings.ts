/**
 * What can be set on each noun, in words: the one source of help texts, the man page and the reference. What is
 * accepted is decided where the noun is checked (service.ts, destination.ts, timeouts.ts, sync-daemon.ts).
 */
import type { ErrorCode } from '../base/errors.ts';
import { forwardMethods, tunnelChecksums, tunnelTypes } from './destination.ts';
import { featureOf } from './features.ts';

export interface Setting {
  /** Of the Node API. */
  readonly property: string;
  /** Of the command line. */
  readonly option: string;
  readonly alias?: string;
  /** What stands for the value in help texts; without one the option is a switch. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** In the file, where it has a place there. */
  readonly key?: string;
  readonly about: string;
  readonly values: string;
  /** What holds where it is not said. */
  readonly default?: string;
  /** Its key in features.ts, where not every kernel has it. */
  readonly feature?: string;
  /** Whether the socket options can express it too. */
  readonly sockopt: boolean;
  readonly errors: readonly ErrorCode[];
}

export const settingsOfService: readonly Setting[] = [
  {
    property: 'scheduler',
    option: 'scheduler',
    alias: 's',
    value: 'NAME',
    key: 'scheduler',
    about: 'How a destination is chosen for a new connection',
    values: 'rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos, or none',
    default: 'wlc',
    sockopt: true,
    errors: ['SCHEDULER_NOT_FOUND', 'INVALID_SCHEDULER'],
  },
  {
    property: 'schedulerFlags',
    option: 'scheduler-flags',
    value: 'FLAGS',
    key: 'schedulerFlags',
    about: 'Flags of the scheduler, separated by commas',
    values: 'sh-fallback, sh-port, mh-fallback, mh-port, flag-1 to flag-3, or none',
    default: 'none',
    sockopt: true,
    errors: ['INVALID_SCHEDULER'],
  },
  {
    property: 'persistence.timeoutSeconds',
    option: 'persistence',
    alias: 'p',
    value: 'DURATION',
    key: 'persistence.timeout',
    about: 'How long a client stays with its destination',
    values: '1s to 4294967s (300s, 15m, 2h), or none',
    default: 'none',
    sockopt: true,
    errors: ['INVALID_DURATION'],
  },
  {
    property: 'persistence.netmask',
    option: 'netmask',
    value: 'LENGTH',
    key: 'persistence.netmask',
    about: 'Clients of one network stay together',
    values: 'prefix length, 1 to 32 or 128, or an IPv4 mask',
    default: 'single clients',
    sockopt: true,
    errors: ['INVALID_NETMASK'],
  },
  {
    property: 'persistence.engine',
    option: 'engine',
    value: 'NAME',
    key: 'persistence.engine',
    about: 'What clients are told apart by, inside the packet',
    values: 'sip (the Call-ID; udp only), or none',
    default: 'none',
    sockopt: false,
    errors: ['INVALID_PERSISTENCE', 'ENGINE_NOT_FOUND'],
  },
  {
    property: 'onePacket',
    option: 'one-packet',
    key: 'onePacket',
    about: 'Schedule every UDP packet by itself',
    values: 'yes or no',
    default: 'no',
    sockopt: true,
    errors: ['INVALID_OPTION'],
  },
];

export const settingsOfDestination: readonly Setting[] = [
  {
    property: 'weight',
    option: 'weight',
    alias: 'w',
    value: 'NUMBER',
    key: 'weight',
    about: 'Share of new connections',
    values: '0 to 2147483647; 0 takes no new ones',
    default: '1',
    sockopt: true,
    errors: ['INVALID_WEIGHT'],
  },
  {
    property: 'forward',
    option: 'forward',
    alias: 'f',
    value: 'METHOD',
    choices: forwardMethods,
    key: 'forward',
    about: 'How packets reach it',
    values: forwardMethods.join(', '),
    default: 'masquerade',
    sockopt: true,
    errors: ['INVALID_FORWARD'],
  },
  {
    property: 'forward.tunnel',
    option: 'tunnel',
    value: 'TYPE',
    choices: tunnelTypes,
    key: 'forward.tunnel',
    about: 'Forward by this tunnel',
    values: 'ipip (also by sockopt), gue, gre',
    default: 'ipip',
    feature: 'attribute tunnel-gue',
    sockopt: false,
    errors: ['INVALID_FORWARD'],
  },
  {
    property: 'forward.port',
    option: 'tunnel-port',
    value: 'PORT',
    key: 'forward.port',
    about: 'UDP port of a gue tunnel, which needs one',
    values: '1 to 65535',
    feature: 'attribute tunnel-gue',
    sockopt: false,
    errors: ['INVALID_PORT', 'INVALID_FORWARD'],
  },
  {
    property: 'forward.checksum',
    option: 'tunnel-checksum',
    value: 'KIND',
    choices: tunnelChecksums,
    key: 'forward.checksum',
    about: 'Checksums of a gue or gre tunnel: nocsum, csum, or remcsum (gue only: the far end computes it)',
    values: tunnelChecksums.join(', '),
    default: 'nocsum',
    feature: 'attribute tunnel-checksum',
    sockopt: false,
    errors: ['INVALID_FORWARD'],
  },
  {
    property: 'upperThreshold',
    option: 'upper-threshold',
    value: 'NUMBER',
    key: 'upperThreshold',
    about: 'No new connections at this many, active and inactive ones together',
    values: '0 to 2147483647; 0 is no limit',
    default: '0',
    sockopt: true,
    errors: ['INVALID_THRESHOLD'],
  },
  {
    property: 'lowerThreshold',
    option: 'lower-threshold',
    value: 'NUMBER',
    key: 'lowerThreshold',
    about: 'New connections again below this many',
    values: '0 up to the upper threshold; 0 is three quarters of it',
    default: '0',
    sockopt: true,
    errors: ['INVALID_THRESHOLD'],
  },
];

export const settingsOfTimeouts: readonly Setting[] = [
  {
    property: 'tcpSeconds',
    option: 'tcp',
    value: 'DURATION',
    key: 'tcp',
    about: 'TCP connections that are established',
    values: '1s to 2147483s',
    default: "900s, the kernel's",
    sockopt: true,
    errors: ['INVALID_DURATION'],
  },
  {
    property: 'tcpFinSeconds',
    option: 'tcp-fin',
    value: 'DURATION',
    key: 'tcpFin',
    about: 'TCP connections after a FIN',
    values: '1s to 2147483s',
    default: "120s, the kernel's",
    sockopt: true,
    errors: ['INVALID_DURATION'],
  },
  {
    property: 'udpSeconds',
    option: 'udp',
    value: 'DURATION',
    key: 'udp',
    about: 'UDP',
    values: '1s to 2147483s',
    default: "300s, the kernel's",
    sockopt: true,
    errors: ['INVALID_DURATION'],
  },
];

export const settingsOfSync: readonly Setting[] = [
  {
    property: 'interface',
    option: 'interface',
    alias: 'i',
    value: 'NAME',
    key: 'interface',
    about: 'Network interface that the multicast goes through',
    values: 'the name of one that exists; required',
    sockopt: true,
    errors: ['INTERFACE_NOT_FOUND', 'INVALID_SYNC'],
  },
  {
    property: 'id',
    option: 'id',
    value: 'NUMBER',
    key: 'id',
    about: 'Goes with every message; a backup takes in only its own, with 0 all',
    values: '0 to 255',
    default: '0',
    sockopt: true,
    errors: ['INVALID_SYNC'],
  },
  {
    property: 'maxLengthBytes',
    option: 'max-length',
    value: 'BYTES',
    key: 'maxLength',
    about: 'Longest message',
    values: '1 to 65535; the kernel raises that of a backup to at least 1024',
    default: "what the interface's MTU leaves",
    feature: 'attribute sync-maxlen',
    sockopt: false,
    errors: ['INVALID_SYNC'],
  },
  {
    property: 'group',
    option: 'group',
    value: 'ADDRESS',
    key: 'group',
    about: 'Multicast group',
    values: 'an IPv4 or IPv6 multicast address',
    default: '224.0.0.81',
    feature: 'attribute sync-group',
    sockopt: false,
    errors: ['INVALID_ADDRESS', 'INVALID_SYNC'],
  },
  {
    property: 'port',
    option: 'port',
    value: 'PORT',
    key: 'port',
    about: 'UDP port of its first thread',
    values: '1 to 65535',
    default: '8848',
    feature: 'attribute sync-port',
    sockopt: false,
    errors: ['INVALID_SYNC'],
  },
  {
    property: 'ttl',
    option: 'ttl',
    value: 'NUMBER',
    key: 'ttl',
    about: 'How many routers a message may pass',
    values: '1 to 255',
    default: '1',
    feature: 'attribute sync-ttl',
    sockopt: false,
    errors: ['INVALID_SYNC'],
  },
];

/** The first kernel that has it ("5.2", "about 4.3"), where not every one has. */
export function sinceOf({ feature }: Setting): string | undefined {
  return feature === undefined ? undefined : featureOf(feature)?.since;
}
