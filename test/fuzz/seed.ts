/** One seed for all properties of a run, said at its begin: also where a process dies, the run can be done again. */
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    seed: number;
  }
}

export default function setup({ provide }: TestProject): void {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff));
  if (!Number.isInteger(seed)) throw new Error(`FUZZ_SEED=${seed} is no whole number`);
  provide('seed', seed);
  console.log(`to do the same again: FUZZ_SEED=${seed}`);
}
