/** Files as a desired state: with what they include, and the hosts that they name. */
import { throwProblems } from '../config/document.ts';
import { type LoadedFile, loadDocuments, type TextSource } from '../config/load.ts';
import type { ConfigProblem } from '../errors.ts';
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
  const places = hostsIn(documents);
  const hosts = await lookUpHosts([...places.keys()], options);
  const findings = new Findings();
  for (const [name, place] of places) {
    const failure = hosts.failures.get(name);
    if (failure === undefined || !hosts.addresses.has(name)) continue;
    findings.warn(place, `${name}: ${failure}; it keeps the addresses of last time`);
  }
  const state = resolveState(documents, hosts, findings);
  throwProblems(
    [...problems, ...findings.problems],
    documents.map(({ file }) => file),
  );
  return { state, files, hosts: hosts.addresses, warnings: findings.warnings };
}
