/**
 * The socket that carries the `IP_VS_SO_SET_*` and `IP_VS_SO_GET_*` options (linux/ip_vs.h): level IPPROTO_IP
 * of any AF_INET socket. It needs CAP_NET_ADMIN only in the user namespace that owns the network
 * namespace. The kernel does not load ip_vs for it: until then every option is ENOPROTOOPT.
 */
import { IpvsError } from '../base/errors.ts';
import { namespaceError } from '../kernel/namespace.ts';
import type { Native } from '../kernel/native.ts';

const SOL_IP = 0;

export class OptionSocket {
  readonly #native: Native;
  #fd: number;

  private constructor(native: Native, fd: number) {
    this.#native = native;
    this.#fd = fd;
  }

  /** `namespacePath` is empty for the current namespace. Throws SOCKET_FAILED, NAMESPACE_NOT_FOUND, NAMESPACE_REFUSED. */
  static open(native: Native, namespacePath = ''): OptionSocket {
    const fd = native.openDatagram(namespacePath);
    if (fd >= 0) return new OptionSocket(native, fd);
    if (namespacePath !== '') throw namespaceError(-fd, namespacePath);
    throw new IpvsError('SOCKET_FAILED', { operation: 'open', errno: -fd });
  }

  /** The kernel reads `bytes` and writes its answer over them; its length, or a negative errno. */
  get(option: number, bytes: Uint8Array): number {
    return this.#native.getOption(this.#fd, SOL_IP, option, bytes);
  }

  /** 0, or a negative errno. The length of `bytes` must be exactly that of the option's struct. */
  set(option: number, bytes: Uint8Array): number {
    return this.#native.setOption(this.#fd, SOL_IP, option, bytes);
  }

  close(): void {
    if (this.#fd >= 0) this.#native.close(this.#fd);
    this.#fd = -1;
  }
}
