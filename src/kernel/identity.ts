/** Which network namespace this is: its name for people and folders, and what tells it from every other, over reboots. */
import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { NAMED_NAMESPACES } from './namespace.ts';
import type { Native } from './native.ts';

export interface Identity {
  /** `host`, `netns-blue`, or `inode-4026532281` for one without a name. */
  readonly name: string;
  /** Of this boot and this namespace alone. */
  readonly table: string;
}

const SOL_SOCKET = 1;
/** asm-generic/socket.h; since Linux 5.14. A cookie is never given twice in a boot, as an inode number may be. */
const SO_NETNS_COOKIE = 71;

/** `path` as of `HeldNamespace`: empty for the current one. */
export function identityOf(native: Pick<Native, 'openDatagram' | 'getOption' | 'close'>, path: string): Identity {
  const own = statSync(path || '/proc/self/ns/net');
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { name: nameOf(own, path), table: `${boot}/${cookieOf(native, path) ?? `inode-${own.ino}`}` };
}

function nameOf(own: Stats, path: string): string {
  const same = (other: string) => isSame(statOf(other), own);
  // Whose namespace process 1 has is not for everybody to see (CAP_SYS_PTRACE), which must not change the name: the files
  // of a namespace in /proc have numbers of their own, and anybody sees those.
  const isFirst = () => path === '' && isSame(statOf('/proc/1/net/dev'), statOf('/proc/self/net/dev'));
  if (same('/proc/1/ns/net') || isFirst()) return 'host';
  const named = namedNamespaces().find((name) => same(`${NAMED_NAMESPACES}/${name}`));
  return named === undefined ? `inode-${own.ino}` : `netns-${named}`;
}

function isSame(one: Stats | undefined, other: Stats | undefined): boolean {
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** Undefined for what is not there (any more), or not for us to see. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function namedNamespaces(): string[] {
  try {
    return readdirSync(NAMED_NAMESPACES).sort();
  } catch {
    return [];
  }
}

function cookieOf(native: Pick<Native, 'openDatagram' | 'getOption' | 'close'>, path: string): string | undefined {
  const fd = native.openDatagram(path);
  if (fd < 0) return undefined;
  try {
    const cookie = new Uint8Array(8);
    if (native.getOption(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie) !== cookie.length) return undefined;
    return String(new DataView(cookie.buffer).getBigUint64(0, true));
  } finally {
    native.close(fd);
  }
}
