/** What a kernel lacks, for the tests that need it. */
import { release } from 'node:os';
import type { TestContext } from 'vitest';
import { isOlder } from '../../src/ipvs/features.ts';
import { probeFeatures } from '../../src/ipvs/probe.ts';

/**
 * Why this kernel may lack a feature ("scheduler mh") that the probe says is absent: it is too old for it, or need not
 * be built with it. Undefined where it has it; any other kernel without it fails.
 */
export async function absence(key: string): Promise<string | undefined> {
  const [feature] = await probeFeatures({ only: [key] });
  if (feature === undefined) throw new Error(`no answer about "${key}"`);
  const { state, evidence, since, configuration, lackedBy = [] } = feature;
  if (state === 'present') return undefined;
  const lack = `Linux ${release()} has no ${key} (${evidence})`;
  if (state === 'absent' && isOlder(release(), feature)) return `${lack}: it came with ${since}`;
  // What Debian's kernels are built with is known.
  const [, version = ''] = /^(\d+\.\d+).*-(?:amd64|arm64)$/.exec(release()) ?? [];
  const mayLack = version === '' || lackedBy === 'any' || lackedBy.includes(version);
  if (state === 'absent' && configuration !== undefined && mayLack) return `${lack}: it is built with ${configuration}`;
  throw new Error(`${lack}, which should have it: ${state}`);
}

/** Skips a test where this kernel may lack a feature, and does. */
export async function requireFeature(skip: TestContext['skip'], key: string): Promise<void> {
  const reason = await absence(key);
  if (reason !== undefined) skip(reason);
}
