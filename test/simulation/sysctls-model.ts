/** A model of the settings of a network namespace: switches that keep what is written to them. */
import { IpvsError } from '../../src/base/errors.ts';
import type { SysctlHost } from '../../src/sysctl/sysctls.ts';

export const settings = [
  'net.ipv4.ip_forward',
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
] as const;

export class SysctlsModel implements SysctlHost {
  values: Readonly<Record<string, string>>;
  readonly #interfaces: readonly string[];

  constructor(interfaces: readonly string[], values?: Readonly<Record<string, string>>) {
    this.#interfaces = interfaces;
    this.values = values ?? Object.fromEntries(settings.map((name) => [name, '0']));
  }

  read(name: string): string {
    const value = this.values[name];
    if (value === undefined) throw new IpvsError('SYSCTL_NOT_FOUND', { operation: 'read', subject: name });
    return value;
  }

  write(name: string, value: string): void {
    this.read(name);
    if (!/^[01]$/.test(value)) throw new IpvsError('SYSCTL_FAILED', { operation: 'set', subject: name, errno: 22 });
    this.values = { ...this.values, [name]: value };
  }

  interfaces(): string[] {
    return [...this.#interfaces];
  }

  loadModule(): boolean {
    return true;
  }
}
