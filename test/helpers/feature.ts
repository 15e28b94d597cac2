/** What a kernel lacks, for the tests that need it. */
import { release } from 'node:os';
import type { TestContext } from 'vitest';
import { isOlder } from '../../src/ipvs/features.ts';
import { probeFeatures } from '../../src/ipvs/probe.ts';

/**
 * Skips a test where the probe of a feature ("scheduler mh") says that it is absent, and the kernel is too old for
 * it or need not be built with it. Any other kernel without it fails.
 */
export async function requireFeature(skip: TestContext['skip'], key: string): Promise<void> {
  const [feature] = await probeFeatures({ only: [key] });
  if (feature === undefined) throw new Error(`no answer about "${key}"`);
  const { state, evidence, since, configuration } = feature;
  if (state === 'present') return;
  const lack = `Linux ${release()} has no ${key} (${evidence})`;
  if (state === 'absent' && isOlder(release(), feature)) skip(`${lack}: it came with ${since}`);
  if (state === 'absent' && configuration !== undefined) skip(`${lack}: it is built with ${configuration}`);
  throw new Error(`${lack}, which should have it: ${state}`);
}
