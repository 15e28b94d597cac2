/** The text of files as a desired state, and its schema. Pure. */
import { z } from 'zod';
import { type CheckedDocument, checkDocument, jsonSchema, type Section, throwProblems } from '../config/document.ts';
import { includeSection } from '../config/include.ts';
import type { Hosts } from './host-name.ts';
import { CONNTRACK, withNeeded } from './needed-settings.ts';
import { Findings } from './places.ts';
import { defenseSection, resolveDefense } from './sections/defense.ts';
import { masqueradeSection, resolveMasquerade } from './sections/masquerade.ts';
import { resolveServices } from './sections/services.ts';
import { defaultsSection, servicesSection } from './sections/services-schema.ts';
import {
  limitsSection,
  resolveLimits,
  resolveSync,
  resolveSysctls,
  resolveTimeouts,
  syncSection,
  sysctlsSection,
  timeoutsSection,
} from './sections/table.ts';
import type { DesiredState } from './state.ts';

/** All that may stand at the top of a file. */
export const sections: Readonly<Record<string, Section>> = {
  $schema: { schema: z.string().optional().meta({ description: 'For editors' }) },
  include: includeSection,
  defaults: defaultsSection,
  services: servicesSection,
  timeouts: timeoutsSection,
  sync: syncSection,
  sysctls: sysctlsSection,
  defense: defenseSection,
  masquerade: masqueradeSection,
  limits: limitsSection,
};

/**
 * Reads a description of the desired state that stands in one text, and names no hosts. Pure; `file` is only for
 * messages. Throws CONFIG_INVALID, whose `problems` lists everything that is wrong.
 */
export function parseState(text: string, file = 'state.yaml'): DesiredState {
  const document = checkDocument(text, file, sections);
  const findings = new Findings();
  const state = resolveState([document], new Map(), findings);
  const includes = (document.values['include'] ?? []) as unknown[];
  if (includes.length > 0) findings.report({ document, path: ['include'] }, 'only loadState() reads other files');
  throwProblems([...document.problems, ...findings.problems]);
  return state;
}

/** What checked documents come to together. */
export function resolveState(documents: readonly CheckedDocument[], hosts: Hosts, findings: Findings): DesiredState {
  const [first] = documents;
  // A file that was cut off would take everything away.
  if (first && documents.every(saysNothing))
    findings.report(
      { document: first, path: [] },
      'it says nothing; a table without services is described by "services: []"',
    );
  const services = resolveServices(documents, hosts, findings);
  const timeouts = resolveTimeouts(documents, findings);
  const sync = resolveSync(documents, findings);
  const defense = resolveDefense(documents, findings);
  const masquerade = resolveMasquerade(documents, findings);
  const sysctls = withNeeded(resolveSysctls(documents, findings), { services, ...(masquerade && { masquerade }) });
  refuseContradiction(documents, services, sysctls, findings);
  const limits = resolveLimits(documents, findings);
  return {
    services,
    ...(timeouts && { timeouts }),
    ...(sync && { sync }),
    ...(sysctls && { sysctls }),
    ...(defense && { defense }),
    ...(masquerade && { masquerade }),
    ...(limits && { limits }),
  };
}

/** Forwarding may be somebody else's to decide; without this one the rules are never asked. */
function refuseContradiction(
  documents: readonly CheckedDocument[],
  services: DesiredState['services'],
  sysctls: DesiredState['sysctls'],
  findings: Findings,
): void {
  const service = sysctls?.[CONNTRACK] === '0' && services.find(({ sourceNat }) => sourceNat)?.service.address;
  const document = documents.find(({ values }) => values['sysctls']);
  if (!service || !document) return;
  findings.report({ document, path: ['sysctls'] }, `sourceNat of ${service} needs ${CONNTRACK}: 1`);
}

function saysNothing({ values, problems, broken }: CheckedDocument): boolean {
  return Object.keys(values).length + problems.length + broken.size === 0;
}

/** The JSON Schema of what `parseState` and `loadState` read. */
export function stateSchema(): object {
  return { title: 'IPVS Director: what the kernel should balance', ...jsonSchema(sections) };
}
