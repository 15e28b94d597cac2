/** Commands that plan, apply or compare warn of what masqueraded services lack. */
import type { Director, Intent } from '../director/director.ts';
import type { MissingPrerequisite } from '../director/prerequisites.ts';
import { printWarning } from './terminal/exit.ts';

/** On stderr, or for JSON as data: what to add to what is printed. */
export async function warnOfPrerequisites(
  director: Director,
  intent: Intent | undefined,
  json: boolean,
): Promise<{ readonly prerequisites?: readonly MissingPrerequisite[] }> {
  const missing = await director.missingPrerequisites(intent);
  if (missing.length === 0) return {};
  if (!json) for (const { service, message } of missing) printWarning(`${service}: ${message}`);
  return { prerequisites: missing };
}
