/** The section `masquerade` of a file: what may stand in it, and what it comes to. */
import { z } from 'zod';
import type { CheckedDocument, Section } from '../../config/document.ts';
import {
  conflictOf,
  type MasqueradeInput,
  type MasqueradeRule,
  masqueradeProtocols,
  normalizeMasquerade,
} from '../../iptables/rules/masquerade.ts';
import { attemptEach } from '../attempt.ts';
import { type Findings, isPartial, type Place, placeText } from '../places.ts';

const rule = z.strictObject({
  source: z
    .string({ error: ({ input }) => (input === undefined ? 'it is missing' : 'a network is written 10.0.0.0/24') })
    .meta({ description: 'The inner network: 10.0.0.0/24, fd00::/64' }),
  out: z.string().optional().meta({ description: 'Only what leaves through this network interface' }),
  protocol: z.enum(masqueradeProtocols).optional().meta({ description: 'Only this protocol' }),
  ports: z
    .union([z.string().meta({ pattern: '^[0-9]{1,5}(-[0-9]{1,5})?$' }), z.number()], {
      error: 'ports are written 61000-65095',
    })
    .optional()
    .meta({ description: 'The ports that outside sees. Default: those of the connections, where they are free' }),
  randomFully: z.boolean().optional().meta({ description: 'Each connection takes any of the ports' }),
  toSource: z
    .string()
    .optional()
    .meta({ description: 'The address that outside sees. Default: that of the interface through which they leave' }),
});

export const masqueradeSection: Section = {
  schema: z
    .array(rule satisfies z.ZodType<MasqueradeInput>)
    .nullish()
    .meta({ description: 'Inner networks that reach outside under an address of this host; [] is none' }),
};

/** Undefined where no file says anything of it: then it is not managed. */
export function resolveMasquerade(
  documents: readonly CheckedDocument[],
  findings: Findings,
): MasqueradeRule[] | undefined {
  const rules: { readonly rule: MasqueradeRule; readonly place: Place }[] = [];
  let isSaid = false;
  for (const document of documents) {
    const entries = document.values['masquerade'] as readonly MasqueradeInput[] | null | undefined;
    if (entries) isSaid = true;
    for (const [i, entry] of entries?.entries() ?? []) {
      const place = { document, path: ['masquerade', i] };
      const before = findings.problems.length;
      const standIn = { source: entry.toSource?.includes(':') ? '2001:db8::/64' : '10.0.0.0/24' };
      const made = attemptEach(findings, place, place, entry, standIn, normalizeMasquerade);
      // Without the part that is wrong it may be the same as another rule.
      if (made === undefined || findings.problems.length > before || isPartial(place)) continue;
      const other = rules.find(({ rule }) => conflictOf(made, rule));
      const conflict = other && conflictOf(made, other.rule);
      if (conflict) findings.report(place, `${conflict.message}, at ${placeText(other.place)}; ${conflict.hint ?? ''}`);
      else rules.push({ rule: made, place });
    }
  }
  return isSaid ? rules.map(({ rule }) => rule) : undefined;
}
