/** The section `defense`: what may stand in it, and the policy that it comes to. */
import { z } from 'zod';
import { given } from '../../base/check.ts';
import type { CheckedDocument, Section } from '../../config/document.ts';
import { actions } from '../../defense/action.ts';
import { type DefensePolicy, normalizePolicy, type PolicyInput, policyDefaults } from '../../defense/policy.ts';
import { presetNames } from '../../defense/presets.ts';
import { signals, type ThresholdName, thresholds } from '../../defense/signal.ts';
import { attempt } from '../attempt.ts';
import { type Findings, type Place, placeText } from '../places.ts';
import { duration, share, whole } from '../values.ts';

const preset = z.enum(presetNames).meta({ description: 'What is not said is as in it' });

const about = (name: ThresholdName) => ({ description: signals[thresholds[name].signal].about });
const shareOf = (name: ThresholdName) => share.optional().meta(about(name));

const limits = z.strictObject({
  memoryFreeBelow: shareOf('memoryFreeBelow'),
  memoryAvailableBelow: shareOf('memoryAvailableBelow'),
  memoryPressureAbove: shareOf('memoryPressureAbove'),
  newConnectionsPerSecondAbove: whole(0, 1_000_000_000, signals.newConnections.about),
  tableAbove: shareOf('tableAbove'),
  halfOpenAbove: shareOf('halfOpenAbove'),
});

const level = z.strictObject({
  actions: z.array(z.enum(actions)).meta({ description: 'What the kernel is told to do at this level' }),
  dropRate: whole(2, 2 ** 31 - 1, 'drop-packet drops one in so many new connections. Default: 10'),
  enter: limits.meta({ description: 'When it is entered: any of these is enough' }),
  leave: limits.meta({ description: 'The same signals: while any of these still holds, it stays' }),
  minHold: duration.optional().meta({ description: 'So long no step is made from it. Default: 10s' }),
  max: duration
    .optional()
    .meta({ description: 'So long it is in force at most; then not again before it is calm. Default: 30m' }),
});

const policy = z.strictObject({
  preset: preset.optional(),
  levels: z
    .array(level)
    .optional()
    .meta({ description: 'From the mildest on. Each is one step above the one before; the first is above watching' }),
  tableLimit: whole(
    1,
    2 ** 30,
    'How many connections the table may hold. Default: conn_max where it is set, else what a quarter of the memory holds',
  ),
  sampleEntries: whole(
    10,
    100_000,
    `How many entries are looked at for half-open ones. Default: ${policyDefaults.sampleEntries}`,
  ),
  leastEntries: whole(
    1,
    100_000,
    `Among fewer TCP entries half-open ones mean nothing. Default: ${policyDefaults.leastEntries}`,
  ),
  stale: duration
    .optional()
    .meta({ description: `A signal that is older holds the level. Default: ${policyDefaults.staleSeconds}s` }),
});

export const defenseSection: Section = {
  schema: z
    .union([preset, policy], { error: `one of ${presetNames.join(', ')}, or a map with "levels"` })
    .nullish()
    .meta({ description: 'How the kernel is defended against floods' }),
};

type Said = z.infer<typeof preset> | z.infer<typeof policy>;

/** Undefined where no file says anything of it: then it is not managed. */
export function resolveDefense(documents: readonly CheckedDocument[], findings: Findings): DefensePolicy | undefined {
  let first: Place | undefined;
  let found: DefensePolicy | undefined;
  for (const document of documents) {
    const said = document.values['defense'] as Said | null | undefined;
    // Levels and thresholds only mean something together.
    if (said == null || document.isPartial(['defense'])) continue;
    const place = { document, path: ['defense'] };
    if (first) findings.report(place, `it is said twice, first at ${placeText(first)}`);
    first ??= place;
    found ??= attempt(findings, place, place, () => normalizePolicy(inputOf(said)));
  }
  return found;
}

function inputOf(said: Said): PolicyInput {
  if (typeof said === 'string') return said;
  const { stale, levels, ...rest } = said;
  return given({
    ...rest,
    staleSeconds: stale,
    levels: levels?.map(({ minHold, max, ...level }) => given({ ...level, minHoldSeconds: minHold, maxSeconds: max })),
  }) as PolicyInput;
}
