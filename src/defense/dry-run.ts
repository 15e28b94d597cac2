/** Settings as they would be: what is written stays here. */
import type { Sysctls } from '../sysctl/sysctls.ts';

export class DrySysctls implements Sysctls {
  readonly #real: Pick<Sysctls, 'read'>;
  readonly #written = new Map<string, string>();

  constructor(real: Pick<Sysctls, 'read'>) {
    this.#real = real;
  }

  read(name: string): string {
    return this.#written.get(name) ?? this.#real.read(name);
  }

  write(name: string, value: string): void {
    this.#real.read(name); // what is not there cannot be written either
    this.#written.set(name, value);
  }
}
