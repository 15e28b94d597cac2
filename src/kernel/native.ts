/**
 * The one typed declaration of what the C++ addon exports (native/), and its loader.
 *
 * Every function is a thin system call: synchronous, non-blocking, on the caller's buffer. A result
 * below zero is a negated errno.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IpvsError } from '../base/errors.ts';

export interface Native {
  /**
   * Opens an AF_NETLINK socket of `protocol`, bound, with capped and extended acknowledgements, in
   * the network namespace at `namespacePath` (empty: the current one).
   */
  openNetlink(protocol: number, namespacePath: string, receiveBufferBytes: number, sendBufferBytes: number): number;
  /** Opens an AF_INET datagram socket, the carrier of the `IP_VS_SO_*` options. */
  openDatagram(namespacePath: string): number;
  /** Opens an AF_PACKET socket that sends whole frames and receives nothing. Needs CAP_NET_RAW in the namespace. */
  openPacket(namespacePath: string): number;
  /** Opens /proc/net/`name` for reading, as the network namespace at `namespacePath` sees it. */
  openProcNet(namespacePath: string, name: string): number;
  /** Opens /proc/sys/net/`path` for reading or for writing, as the network namespace at `namespacePath` sees it. */
  openProcSysNet(namespacePath: string, path: string, forWriting: boolean): number;
  /**
   * Opens `path` (made if need be, never through a symbolic link) and locks it with flock(2): EWOULDBLOCK (11) while
   * another descriptor holds it. The lock lasts until `close`, or the end of the process.
   */
  lockFile(path: string): number;
  /** Sends the first `length` bytes to the kernel as one datagram. */
  send(fd: number, bytes: Uint8Array, length: number): number;
  /** Sends an Ethernet frame, header included, on the interface of that index. */
  sendPacket(fd: number, interfaceIndex: number, bytes: Uint8Array): number;
  /** Receives one datagram; returns its whole length, more than `bytes.length` if it was cut off. */
  receive(fd: number, bytes: Uint8Array): number;
  /** getsockopt(2): `bytes` goes in and comes back; returns the length that the kernel wrote. */
  getOption(fd: number, level: number, name: number, bytes: Uint8Array): number;
  /** setsockopt(2). */
  setOption(fd: number, level: number, name: number, bytes: Uint8Array): number;
  /** Closes a descriptor that this addon opened; any other is EBADF. */
  close(fd: number): number;
  /** Enters the network namespace and replaces this program by `file`; returns only on failure. */
  execInNamespace(namespacePath: string, file: string, argv: readonly string[], environment: readonly string[]): number;
}

const functions = [
  'openNetlink',
  'openDatagram',
  'openPacket',
  'openProcNet',
  'openProcSysNet',
  'lockFile',
  'send',
  'sendPacket',
  'receive',
  'getOption',
  'setOption',
  'close',
  'execInNamespace',
] as const satisfies readonly (keyof Native)[];

let loaded: Native | undefined;

/** The addon, loaded at the first call. Throws ADDON_NOT_LOADED. */
export function native(): Native {
  loaded ??= load(process.env['IPVS_DIRECTOR_ADDON']);
  return loaded;
}

function load(override: string | undefined): Native {
  const paths = override ? [override] : candidates();
  // A file that is there and does not load has an error worth seeing; only an absent one is passed over.
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    const host = `${process.platform}-${process.arch}, Node ${process.version}`;
    throw new IpvsError('ADDON_NOT_LOADED', { subject: host, detail: `not found: ${paths.join(', ')}` });
  }
  const addon: { exports: Partial<Native> } = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (cause) {
    throw new IpvsError('ADDON_NOT_LOADED', {
      subject: path,
      detail: firstLine(cause).replace(`${path}: `, ''),
      cause,
    });
  }
  // Any addon loads; one of an older build lacks what is new.
  const lacking = functions.find((name) => typeof addon.exports[name] !== 'function');
  if (lacking !== undefined) {
    throw new IpvsError('ADDON_NOT_LOADED', {
      subject: path,
      detail: `it has no ${lacking}: it is another one, or an older`,
    });
  }
  return addon.exports as Native;
}

function candidates(): string[] {
  const root = packageRoot();
  const musl = join(root, 'prebuilds', `linux-${process.arch}-musl.node`);
  return [
    join(root, 'build', 'Release', 'ipvs_director.node'),
    existsSync(musl) && isMusl() ? musl : join(root, 'prebuilds', `linux-${process.arch}.node`),
    join(root, 'build', 'cmake', 'Release', 'ipvs_director.node'),
  ];
}

/** This module runs from src/, from dist/ and from parts of the bundled program: the root is above each. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

/** Only asked where a musl binary could be meant: the report costs some 12 ms. */
function isMusl(): boolean {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime === undefined;
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? '';
}
