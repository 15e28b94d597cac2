/** The settings of a network namespace that balancing depends on: listed, read, and set together or not at all. */
import { IpvsError, refusalBy } from '../base/errors.ts';
import { catalogue, type SysctlSpec, sysctlSpec } from './catalogue.ts';
import { sameSysctlValue } from './kind.ts';
import { findSysctl, normalizeSysctls, type SysctlValue } from './settings.ts';
import type { SysctlHost } from './sysctls.ts';

export interface SysctlState {
  readonly name: string;
  /** As the kernel shows it. */
  readonly value: string;
  /** What a network namespace begins with; null where that depends. */
  readonly default: string | null;
}

/** Raw: what was there before may be what we would not set. */
export interface SysctlOperation {
  readonly type: 'sysctl.set';
  readonly name: string;
  readonly value: string;
}

export interface SysctlChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

export class SysctlTable implements Disposable {
  readonly #host: SysctlHost;
  readonly #release: () => void;

  /** `release` is called at the end. */
  constructor(host: SysctlHost, release: () => void = () => undefined) {
    this.#host = host;
    this.#release = release;
  }

  close(): void {
    this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** All that this kernel has now, those of interfaces for each, in the order of the catalogue. Throws SYSCTL_FAILED. */
  list(): SysctlState[] {
    const interfaces = ['all', 'default', ...this.#host.interfaces()];
    return catalogue.flatMap((spec) =>
      namesOf(spec, interfaces).flatMap((name) => {
        const value = this.find(name);
        return value === undefined ? [] : [{ name, value, default: spec.default }];
      }),
    );
  }

  /** Throws INVALID_SYSCTL, SYSCTL_NOT_FOUND, SYSCTL_FAILED. */
  get(name: string): SysctlState {
    const { name: whole, spec } = findSysctl(name);
    return { name: whole, value: this.#host.read(whole), default: spec.default };
  }

  /** The value of a canonical name; undefined where this kernel does not have it, or not now. Throws SYSCTL_FAILED. */
  find(name: string): string | undefined {
    try {
      return this.#host.read(name);
    } catch (error) {
      if (error instanceof IpvsError && error.code === 'SYSCTL_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** All of them, or after a refusal none. Returns what is different now. Throws INVALID_SYSCTL, SYSCTL_NOT_FOUND, SYSCTL_FAILED. */
  set(wanted: Readonly<Record<string, SysctlValue>>): SysctlChange[] {
    const settings = Object.entries(normalizeSysctls(wanted)).sort(([a], [b]) => orderOf(a) - orderOf(b));
    if (settings.some(([name]) => isOfModule(name))) this.#host.loadModule();
    const before = settings.map(([name, to]): SysctlChange => ({ name, from: this.#host.read(name), to }));
    const begun: SysctlChange[] = [];
    try {
      for (const change of before) {
        const { name, to } = change;
        // Looked at only now: one before may have set it too.
        if (isSame(name, this.#host.read(name), to)) continue;
        begun.push(change);
        this.execute({ type: 'sysctl.set', name, value: to });
      }
      for (const { name, to } of before) this.#check(name, to);
    } catch (error) {
      this.#putBack(begun);
      throw error;
    }
    return before.filter(({ name, from, to }) => !isSame(name, from, to));
  }

  /** As far as that goes: what made it necessary is what is told. */
  #putBack(changes: readonly SysctlChange[]): void {
    for (const { name, from } of [...changes].reverse()) refusalBy(() => this.#host.write(name, from));
  }

  #check(name: string, value: string): void {
    const now = this.#host.read(name);
    if (isSame(name, now, value)) return;
    const detail = `the kernel made ${now} of ${value}`;
    throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name, detail });
  }

  /** Throws SYSCTL_NOT_FOUND, SYSCTL_FAILED; also where the kernel took it for another value. */
  execute({ name, value }: SysctlOperation): void {
    this.#host.write(name, value);
    this.#check(name, value);
  }

  /** Settings of IPVS come with its module, which brings connection tracking too: whether it is there now. */
  loadModule(): boolean {
    return this.#host.loadModule();
  }
}

/** Those that set others come before those. */
export function orderOf(name: string): number {
  if (name === 'net.ipv4.ip_forward') return 0;
  return /^net\.ipv[46]\.conf\.all\./.test(name) ? 1 : 2;
}

export function isOfModule(name: string): boolean {
  return name.startsWith('net.ipv4.vs.') || name.startsWith('net.netfilter.nf_conntrack_');
}

/** Whether two values of a setting mean the same. */
export function isSame(name: string, a: string, b: string): boolean {
  const kind = sysctlSpec(name)?.kind;
  return kind === undefined ? a === b : sameSysctlValue(kind, a, b);
}

function namesOf({ name }: SysctlSpec, interfaces: readonly string[]): string[] {
  if (!name.includes('*')) return [name];
  return interfaces.map((each) => name.replace('*', each.replaceAll('.', '/')));
}
