/** Files as a desired state: with what they include, and the hosts that they name. */

import type { ConfigProblem } from '../base/errors.ts';
import { throwProblems } from '../config/document.ts';
import { type LoadedFile, loadDocuments, type TextSource } from '../config/load.ts';
import { resolveState, sections } from './document.ts';
import { type LookupOptions, lookUpHosts } from './host-lookup.ts';
import { hostsIn } from './host-name.ts';
import { Findings } from './places.ts';
import type { DesiredState } from './state.ts';

export interface LoadedState {
  readonly state: DesiredState;
  /** All that were read, the first one first. */
  readonly files: readonly LoadedFile[];
  /** What the names in them were resolved to: `known` of the next time. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  /** What does not prevent anything. */
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Reads a file, and whatever it includes, and resolves the host names in them. Throws FILE_UNREADABLE; CONFIG_INVALID,
 * whose `problems` lists everything that is wrong; and the reason of `signal`.
 */
export async function loadState(source: string | TextSource, options: LookupOptions = {}): Promise<LoadedState> {
  const { documents, files, problems } = loadDocuments(source, sections);
  const named = hostsIn(documents);
  const hosts = await lookUpHosts(named, options);
  const findings = new Findings();
  for (const [name, { kept }] of hosts) {
    const place = named.get(name)?.place;
    if (kept && place) findings.warn(place, `${name}: ${kept}; it keeps the addresses of last time`);
  }
  const state = resolveState(documents, hosts, findings);
  throwProblems(
    [...problems, ...findings.problems],
    documents.map(({ file }) => file),
  );
  const addresses = new Map([...hosts].map(([name, { addresses }]) => [name, addresses]));
  return { state, files, hosts: addresses, warnings: findings.warnings };
}
