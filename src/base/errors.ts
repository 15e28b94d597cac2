/**
 * The one table of errors. Every error that leaves this package is an `IpvsError` with a `code` of
 * this table; docs/reference/errors.md lists the same codes (a test compares the two).
 *
 * Kinds: `input` (what the caller said), `config` (what a file or the record says), `kernel` (the kernel was
 * reached and refused), `transport` (the kernel could not be reached, or its answer not be read).
 */
import { constants } from 'node:os';

export type ErrorKind = 'input' | 'config' | 'kernel' | 'transport';

interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint?: string;
}

export const errorTable = {
  INVALID_ADDRESS: { kind: 'input', message: 'malformed address' },
  NOT_A_HOST: {
    kind: 'input',
    message: 'no address of a host',
    hint: 'a destination is one host: not unspecified, multicast, broadcast or link-local',
  },
  INVALID_PORT: { kind: 'input', message: 'invalid port' },
  INVALID_FWMARK: { kind: 'input', message: 'invalid firewall mark', hint: 'a mark is a number from 1 to 4294967295' },
  INVALID_PROTOCOL: {
    kind: 'input',
    message: 'unknown protocol',
    hint: 'tcp, udp and sctp are balanced by the kernel',
  },
  INVALID_SCHEDULER: { kind: 'input', message: 'invalid scheduler' },
  INVALID_PERSISTENCE: { kind: 'input', message: 'invalid persistence' },
  INVALID_DURATION: {
    kind: 'input',
    message: 'invalid duration',
    hint: 'write seconds, or a number with s, m, h or d: 300s, 15m',
  },
  INVALID_NETMASK: { kind: 'input', message: 'invalid netmask' },
  INVALID_WEIGHT: { kind: 'input', message: 'invalid weight', hint: 'a weight is a whole number from 0 to 2147483647' },
  INVALID_THRESHOLD: { kind: 'input', message: 'invalid connection thresholds' },
  INVALID_FORWARD: { kind: 'input', message: 'invalid forwarding method' },
  INVALID_SYNC: { kind: 'input', message: 'invalid sync daemon' },
  INVALID_MASQUERADE: { kind: 'input', message: 'invalid masquerade rule' },
  INVALID_MATCH: { kind: 'input', message: 'invalid match of a firewall mark' },
  INVALID_OPTION: { kind: 'input', message: 'invalid option' },
  PORT_ZERO: {
    kind: 'input',
    message: 'port 0 (every port) needs persistence',
    hint: 'without it the kernel refuses each packet of the service',
  },
  MIXED_FAMILIES: {
    kind: 'input',
    message: 'service and destination are of different address families',
    hint: 'only forwarding by tunnel can cross them',
  },
  FILE_UNREADABLE: { kind: 'config', message: 'cannot read the file' },
  FILE_UNWRITABLE: { kind: 'config', message: 'cannot write the file' },
  CONFIG_INVALID: { kind: 'config', message: 'the file is not valid' },
  LIMIT_EXCEEDED: {
    kind: 'config',
    message: 'the plan takes away more than one apply may',
    hint: 'look at the plan; --force carries it out all the same',
  },
  WIDER_EFFECTS: {
    kind: 'config',
    message: 'with an address the kernel takes away more than the plan is about',
    hint: 'look at the plan; --force carries it out all the same, and "ipvs undo" adds routes again',
  },
  WEIGHTS_TOO_UNEVEN: {
    kind: 'config',
    message: 'the scheduler wrr takes too many steps between the weights',
    hint: 'use smaller weights, or weights with a common divisor; --force sets them all the same',
  },
  NOT_OURS: {
    kind: 'config',
    message: 'it is described, but somebody else made it',
    hint: '--adopt takes it over; connections and counters stay',
  },
  PLAN_OUTDATED: {
    kind: 'config',
    message: 'the plan is not what would be done now',
    hint: 'the table, or what was applied, changed meanwhile: plan anew',
  },
  NO_SUCH_ENTRY: {
    kind: 'config',
    message: 'there is no such entry',
    hint: '"ipvs history" lists those that are kept',
  },
  NO_SUCH_DRAIN: {
    kind: 'config',
    message: 'it is not being drained',
    hint: '"ipvs drain list" shows what is',
  },
  STORE_DAMAGED: {
    kind: 'config',
    message: 'the record of what was applied is damaged',
    hint: 'without it nothing is ours, and "ipvs apply --adopt" begins anew: move its folder away',
  },
  STORE_UNSAFE: {
    kind: 'config',
    message: 'the state folder is not safe',
    hint: 'it must belong to the user who runs this, and nobody else may write to it',
  },
  LOCKED: {
    kind: 'transport',
    message: 'another program is changing this table',
    hint: 'wait for it; the lock goes with the process that holds it',
  },
  ABORTED: { kind: 'input', message: 'it was called off' },
  NOT_VERIFIED: {
    kind: 'kernel',
    message: 'done, and not there afterwards',
  },
  PERMISSION_DENIED: {
    kind: 'kernel',
    message: 'not permitted',
    hint: 'IPVS needs CAP_NET_ADMIN in the initial user namespace: run it as root',
  },
  IPVS_NOT_LOADED: { kind: 'kernel', message: 'ip_vs is not loaded', hint: 'load it with "modprobe ip_vs"' },
  SERVICE_EXISTS: { kind: 'kernel', message: 'the service exists already' },
  SERVICE_NOT_FOUND: { kind: 'kernel', message: 'there is no such service' },
  DESTINATION_EXISTS: { kind: 'kernel', message: 'the destination exists already' },
  DESTINATION_NOT_FOUND: { kind: 'kernel', message: 'there is no such destination' },
  SCHEDULER_NOT_FOUND: { kind: 'kernel', message: 'the kernel has no such scheduler' },
  ENGINE_NOT_FOUND: { kind: 'kernel', message: 'the kernel has no such persistence engine' },
  FAMILY_NOT_SUPPORTED: {
    kind: 'kernel',
    message: 'the kernel does not support this address family',
    hint: 'IPv6 needs a kernel with CONFIG_IP_VS_IPV6, and IPv6 that is not switched off',
  },
  ADDRESS_NOT_USABLE: {
    kind: 'kernel',
    message: 'the kernel does not take this address for a destination',
    hint: 'it must be a unicast address; in a new network namespace "lo" must be up',
  },
  SYNC_EXISTS: {
    kind: 'kernel',
    message: 'such a sync daemon runs already',
    hint: 'one master and one backup run in a network namespace; stop it first',
  },
  SYNC_NOT_FOUND: { kind: 'kernel', message: 'no such sync daemon runs' },
  SYNC_MIXED: {
    kind: 'kernel',
    message: 'sync daemons and destinations of another address family exclude each other',
    hint: 'stop the daemon, or remove such destinations',
  },
  INTERFACE_NOT_FOUND: { kind: 'kernel', message: 'there is no such network interface' },
  ADDRESS_EXISTS: {
    kind: 'kernel',
    message: 'the address is on the interface already',
    hint: '"ip address show" shows it, perhaps with another prefix length',
  },
  ROUTE_NOT_RESTORED: { kind: 'kernel', message: 'the route does not come back' },
  ADDRESS_NOT_FOUND: {
    kind: 'kernel',
    message: 'the address is not on the interface',
    hint: '"ip address show" shows what is; the prefix length has to be the same',
  },
  PROC_UNREADABLE: {
    kind: 'kernel',
    message: 'cannot read what the kernel shows',
    hint: 'some files are for root alone, some came with later kernels',
  },
  INVALID_DEFENSE: { kind: 'input', message: 'invalid defense policy' },
  INVALID_SYSCTL: { kind: 'input', message: 'invalid setting of the kernel' },
  SYSCTL_NOT_FOUND: { kind: 'kernel', message: 'this kernel has no such setting' },
  SYSCTL_HELD: {
    kind: 'kernel',
    message: 'the defense has changed the setting for now, and puts it back',
    hint: 'wait until it is over ("ipvs defense status"), end "ipvs defense run", or leave the setting out',
  },
  SYSCTL_FAILED: {
    kind: 'kernel',
    message: 'cannot read or change the setting of the kernel',
    hint: 'settings are for root; some are not shown in containers, some came with later kernels',
  },
  MAPPING_NOT_FOUND: { kind: 'kernel', message: 'there is no such mapping' },
  CONNTRACK_UNAVAILABLE: {
    kind: 'kernel',
    message: 'the kernel does not show its tracked connections',
    hint: 'it needs the module nf_conntrack_netlink, of the running kernel',
  },
  MASQUERADE_EXISTS: {
    kind: 'kernel',
    message: 'there is such a rule already',
    hint: '"ipvs masquerade list" shows it; delete it first',
  },
  MASQUERADE_NOT_FOUND: {
    kind: 'kernel',
    message: 'there is no such rule',
    hint: '"ipvs masquerade list" shows those that are ours',
  },
  NAT_UNAVAILABLE: {
    kind: 'kernel',
    message: 'the kernel has no address translation for iptables',
    hint: 'nft needs nf_tables, nft_compat and nft_chain_nat of the running kernel, legacy needs iptable_nat',
  },
  EXTENSION_UNAVAILABLE: {
    kind: 'kernel',
    message: 'the kernel lacks a part of iptables',
    hint: 'rules of services need tables mangle and filter, xt_ipvs, xt_mark, xt_conntrack and REJECT of the running kernel',
  },
  IPTABLES_REFUSED: { kind: 'kernel', message: 'iptables refused' },
  IPTABLES_INCOMPLETE: {
    kind: 'kernel',
    message: 'iptables does not show the whole table',
    hint: 'nothing is changed while rules may be hidden',
  },
  IPTABLES_MISSING: {
    kind: 'transport',
    message: 'iptables is not installed',
    hint: 'masquerade rules need it: install the package iptables',
  },
  IPTABLES_TOO_OLD: {
    kind: 'transport',
    message: 'this iptables is too old',
    hint: 'it takes 1.6.2 or later',
  },
  KERNEL_REFUSED: { kind: 'kernel', message: 'the kernel refused' },
  NAMESPACE_NOT_FOUND: {
    kind: 'transport',
    message: 'there is no such network namespace',
    hint: '"ip netns list" shows those with a name',
  },
  NAMESPACE_REFUSED: { kind: 'transport', message: 'cannot enter the network namespace' },
  ADDON_NOT_LOADED: {
    kind: 'transport',
    message: 'the native addon does not load',
    hint: 'let the package run its install script, or run "npm run build:addon" in its folder',
  },
  SOCKET_FAILED: { kind: 'transport', message: 'the socket to the kernel failed' },
  TRANSPORT_LACKS: {
    kind: 'transport',
    message: 'the socket options of IPVS cannot express this',
    hint: 'use the transport netlink',
  },
  REPLY_LOST: {
    kind: 'transport',
    message: "the kernel's answer was lost, and the table does not show the change",
    hint: 'read the table before trying again',
  },
  REPLY_MALFORMED: { kind: 'transport', message: "the kernel's answer cannot be read" },
  TABLE_CHANGING: {
    kind: 'transport',
    message: 'the table changed faster than it could be read',
    hint: 'try again',
  },
  CLOSED: { kind: 'transport', message: 'used after close()' },
} as const;

export type ErrorCode = keyof typeof errorTable;

/** One thing that is wrong in a file. */
export interface ConfigProblem {
  readonly file: string;
  /** From 1, as editors count. */
  readonly line: number;
  readonly column: number;
  /** `services[0].destinations[2].weight` */
  readonly path: string;
  readonly message: string;
  /** The key or word that was probably meant; `message` names it too. */
  readonly suggestion?: string;
  /** Two lines for people: that of the file (of a long one a part), and a caret under the place. */
  readonly excerpt?: string;
}

export interface ErrorDetails {
  /** What was attempted: "add service". */
  readonly operation?: string;
  /** On what: a service, a destination, a file, in canonical text. */
  readonly subject?: string;
  /** What exactly is wrong, where the code alone does not say it. */
  readonly detail?: string;
  /** Which field of the input is meant: ["persistence", "netmask"]. */
  readonly path?: readonly string[];
  /** A better hint than the table's. */
  readonly hint?: string;
  /** Positive errno, as the kernel gave it. */
  readonly errno?: number | undefined;
  /** CONFIG_INVALID: everything that is wrong, in the order of the file. */
  readonly problems?: readonly ConfigProblem[];
  readonly cause?: unknown;
}

/** The hint of errors that were seen to come from that: two reads differ, with no change of ours in between. */
export const OTHER_WRITER = 'another program is writing to the table; try again';

const brand = Symbol.for('ipvs-director.IpvsError');

export class IpvsError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly operation: string | undefined;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
  /** Which field of the input is meant: ["persistence", "netmask"]. */
  readonly path: readonly string[];
  readonly hint: string | undefined;
  /** Positive errno of the refusal, and its name: 17 and "EEXIST". */
  readonly errno: number | undefined;
  readonly errnoName: string | undefined;
  /** CONFIG_INVALID: everything that is wrong, in the order of the file. */
  readonly problems: readonly ConfigProblem[];

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(messageOf(code, details), details.cause === undefined ? undefined : { cause: details.cause });
    const entry: ErrorEntry = errorTable[code];
    this.name = 'IpvsError';
    this.code = code;
    this.kind = entry.kind;
    this.operation = details.operation;
    this.subject = details.subject;
    this.detail = details.detail;
    this.path = details.path ?? [];
    this.hint = details.hint ?? entry.hint;
    this.errno = details.errno;
    this.errnoName = details.errno === undefined ? undefined : errnoName(details.errno);
    this.problems = details.problems ?? [];
    Object.defineProperty(this, brand, { value: true });
  }

  /** By brand, not by prototype: two copies of this package in one process still agree. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }

  /** The same error with more told of it; what it knows already stays, except for `path`. */
  with(more: Pick<ErrorDetails, 'operation' | 'subject' | 'path'>): IpvsError {
    const known = {
      operation: this.operation,
      subject: this.subject,
      detail: this.detail,
      hint: this.hint,
      errno: this.errno,
      problems: this.problems,
    };
    const details = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
    return new IpvsError(this.code, { path: this.path, ...more, ...details, cause: this.cause });
  }
}

function messageOf(code: ErrorCode, { operation, subject, detail, errno, problems = [] }: ErrorDetails): string {
  if (problems.length > 0) return problems.map(formatProblem).join('\n');
  const where = [operation, subject].filter((part) => part !== undefined).join(' ');
  const what = [errorTable[code].message, detail].filter((part) => part !== undefined).join(': ');
  return `${where ? `${where}: ` : ''}${what}${errno === undefined ? '' : ` (${errnoName(errno)})`}`;
}

/** `web.yaml:7:14: services[0].scheduler: message`, as compilers write it and editors read it. */
export function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${path ? `${path}: ` : ''}${message}`;
}

/** "EEXIST" for 17. */
export function errnoName(errno: number): string {
  // Linux's ESOCKTNOSUPPORT and the like are not in Node's table.
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

/** Why an action was refused; undefined if it was done. A fault of ours is thrown. */
export function refusalBy(action: () => unknown): IpvsError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof IpvsError) return error;
    throw error;
  }
}

const lostAnswers: ReadonlySet<ErrorCode> = new Set([
  'REPLY_LOST',
  'REPLY_MALFORMED',
  'SOCKET_FAILED',
  'TABLE_CHANGING',
]);

/** Whether the kernel may have made the change that failed: its answer is missing, or the error is no refusal at all. */
export function isOutcomeUnknown(error: unknown): boolean {
  return !(error instanceof IpvsError) || lostAnswers.has(error.code);
}

/** The positive errno of an error of the platform's, whose own is negative; undefined of any other. */
export function errnoOf(error: unknown): number | undefined {
  const { errno } = error as NodeJS.ErrnoException;
  return errno === undefined ? undefined : Math.abs(errno);
}

/** Linux numbers of the errors that this package tells apart (include/uapi/asm-generic/errno*.h). */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  ENXIO: 6,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ERANGE: 34,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ENOBUFS: 105,
} as const;

/** Some numbers have two names: those above are the kernel's. */
const errnoNames: ReadonlyMap<number, string> = new Map(
  [...Object.entries(constants.errno), ...Object.entries(errno)].map(([name, number]) => [number, name]),
);
