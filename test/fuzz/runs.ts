/** How often a property is tried, and from which seed. */
import fc from 'fast-check';
import { inject } from 'vitest';

/** FUZZ_RUNS=50: fifty times as often. FUZZ_SECONDS=60: every property for a minute, however often that is. */
const times = fromEnvironment('FUZZ_RUNS') ?? 1;
const seconds = fromEnvironment('FUZZ_SECONDS');

function fromEnvironment(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined) return undefined;
  if (Number(text) > 0) return Number(text);
  throw new Error(`${name}=${text} is no number above 0`);
}

const howLong =
  seconds === undefined
    ? (usual: number) => ({ numRuns: Math.ceil(usual * times) })
    : () => ({ numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 1000 });

/** Fails with the counterexample, made as small as possible, and the seed. */
export function fuzz<Ts>(usual: number, property: fc.IRawProperty<Ts>): Promise<void> | void {
  return fc.assert(property, { seed: inject('seed'), ...howLong(usual) });
}
