/** The sections `timeouts`, `sync`, `sysctls` and `limits`: what may stand in them, and what they come to. */
import { z } from 'zod';
import type { CheckedDocument, Section } from '../../config/document.ts';
import { MOST_WEIGHT } from '../../ipvs/destination.ts';
import { normalizeSyncDaemon, type SyncDaemon, syncStates } from '../../ipvs/sync-daemon.ts';
import { normalizeTimeouts, type Timeouts } from '../../ipvs/timeouts.ts';
import { MOST_WEIGHT_STEPS } from '../../ipvs/weight-steps.ts';
import { normalizeSysctls, type SysctlValue } from '../../sysctl/settings.ts';
import { attempt, attemptEach } from '../attempt.ts';
import { type Findings, type Place, placeText, Unique, within } from '../places.ts';
import type { Limits } from '../state.ts';
import { duration, share, whole } from '../values.ts';

const timeouts = z
  .strictObject({
    tcp: duration.optional().meta({ description: 'TCP connections that are established' }),
    tcpFin: duration.optional().meta({ description: 'TCP connections after a FIN' }),
    udp: duration.optional().meta({ description: 'UDP' }),
  })
  .nullish()
  .meta({ description: 'How long the kernel keeps idle connections; what is not said stays as it is' });

const daemon = z.strictObject({
  state: z.enum(syncStates),
  interface: z.string().meta({ description: 'Network interface that the multicast goes through' }),
  id: whole(0, 255, 'Goes with every message; a backup takes in only its own, with 0 all. Default: 0'),
  maxLength: whole(1, 0xffff, "Bytes of the longest message. Default: what the interface's MTU leaves"),
  group: z.string().optional().meta({ description: 'Multicast group. Default: 224.0.0.81' }),
  port: whole(1, 0xffff, 'UDP port of its first thread. Default: 8848'),
  ttl: whole(1, 255, 'How many routers a message may pass. Default: 1'),
});

const STEPS_RANGE = `a whole number from 1 to ${MOST_WEIGHT}`;

const limits = z
  .strictObject({
    maxChange: share
      .optional()
      .meta({ description: "The share of the services, or of a service's weight, that one apply may remove" }),
    maxWeightSteps: z
      .int({ error: STEPS_RANGE })
      .min(1, { error: STEPS_RANGE })
      .max(MOST_WEIGHT, { error: STEPS_RANGE })
      .optional()
      .meta({
        description: `The most steps that the weights of a service under wrr may take: the heaviest over their greatest common divisor. Default: ${MOST_WEIGHT_STEPS}`,
      }),
  })
  .nullish()
  .meta({ description: 'How much one apply may change, and how uneven weights may be' });

export const timeoutsSection: Section = { schema: timeouts };
export const syncSection: Section = {
  schema: z.array(daemon).nullish().meta({
    description:
      'The daemons that synchronise connections, one master and one backup at most; [] stops those of a file',
  }),
};
const sysctlValue = z.union([z.string(), z.number(), z.boolean()], {
  error: 'a value is a word or a number; two numbers are written "3 50"',
});

export const sysctlsSection: Section = {
  schema: z.preprocess(withoutPrototype, z.record(z.string(), sysctlValue).nullish()).meta({
    description:
      'Settings of the kernel, by name; those of IPVS by their last part too. What is not said stays as it is',
  }),
};
export const limitsSection: Section = { schema: limits };

/** A key that the library would leave out, and say nothing. */
function withoutPrototype(settings: unknown, context: z.RefinementCtx): unknown {
  if (typeof settings === 'object' && settings !== null && Object.hasOwn(settings, '__proto__'))
    context.addIssue({ code: 'custom', path: ['__proto__'], message: 'there is no such setting' });
  return settings;
}

const timeoutOf = { tcp: 'tcpSeconds', tcpFin: 'tcpFinSeconds', udp: 'udpSeconds' } as const;

/** Undefined where no file says anything of it: then it is not managed. So are the others. */
export function resolveTimeouts(
  documents: readonly CheckedDocument[],
  findings: Findings,
): Partial<Timeouts> | undefined {
  const found = keysOf<keyof typeof timeoutOf, number>(documents, 'timeouts', findings).map(({ key, value, place }) =>
    attempt(findings, { ...place, path: ['timeouts'] }, place, () => normalizeTimeouts({ [timeoutOf[key]]: value })),
  );
  return found.length === 0 ? undefined : Object.assign({}, ...found);
}

export function resolveLimits(documents: readonly CheckedDocument[], findings: Findings): Limits | undefined {
  const found = keysOf<keyof Limits, number>(documents, 'limits', findings).map(({ key, value }) => [key, value]);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

export function resolveSysctls(
  documents: readonly CheckedDocument[],
  findings: Findings,
): Record<string, string> | undefined {
  const names = new Unique();
  const settings = keysOf<string, SysctlValue>(documents, 'sysctls', findings).flatMap(({ key, value, place }) => {
    const [setting] = Object.entries(attempt(findings, place, place, () => normalizeSysctls({ [key]: value })) ?? {});
    // The same one may be written in several ways.
    const before = setting && names.find(setting[0], place);
    if (before) findings.report(place, `it is said twice, first at ${placeText(before)}`);
    return before || !setting ? [] : [setting];
  });
  return settings.length === 0 ? undefined : Object.fromEntries(settings);
}

export function resolveSync(documents: readonly CheckedDocument[], findings: Findings): SyncDaemon[] | undefined {
  const states = new Unique();
  let daemons: SyncDaemon[] | undefined;
  for (const document of documents) {
    const entries = document.values['sync'] as readonly z.infer<typeof daemon>[] | null | undefined;
    if (entries) daemons ??= [];
    for (const [i, entry] of entries?.entries() ?? []) {
      const place = { document, path: ['sync', i] };
      const { maxLength, ...rest } = entry;
      const input = { ...rest, maxLengthBytes: maxLength };
      const made = attemptEach(findings, place, place, input, { interface: 'lo' }, normalizeSyncDaemon);
      const before = states.find(entry.state, within(place, 'state'));
      if (before) {
        findings.report(within(place, 'state'), `a ${entry.state} is described twice, first at ${placeText(before)}`);
      } else if (made) daemons?.push(made);
    }
  }
  return daemons;
}

interface Said<Key, Value> {
  readonly key: Key;
  readonly value: Value;
  readonly place: Place;
}

/** What all the files say in a section that is a map; each key may be said by one of them. */
function keysOf<Key extends string, Value>(
  documents: readonly CheckedDocument[],
  section: string,
  findings: Findings,
): Said<Key, Value>[] {
  const keys = new Unique();
  return documents.flatMap((document) =>
    Object.entries((document.values[section] ?? {}) as Record<Key, Value>).flatMap(([key, value]) => {
      const place = { document, path: [section, key] };
      const before = keys.find(key, place);
      if (before) findings.report(place, `it is said twice, first at ${placeText(before)}`);
      return before ? [] : [{ key: key as Key, value: value as Value, place }];
    }),
  );
}
