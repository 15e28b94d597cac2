/** The section `include`: paths, with wildcards in their last part. `*` is any text, `?` any character. */
import { z } from 'zod';
import type { Section } from './document.ts';

const path = z
  .string()
  .min(1, { error: 'it is no path' })
  .refine((text) => !/\p{Cc}/u.test(text), { error: 'it is no path' });

export const includeSection: Section = {
  schema: z
    .array(path, { error: 'a list of paths: [conf.d/*.yaml]' })
    .nullish()
    .meta({
      description: 'Other files with the same sections, relative to this one; * and ? may stand in their names',
      examples: [['conf.d/*.yaml']],
    }),
};

export function hasWildcard(path: string): boolean {
  return /[*?]/.test(path);
}

/** The names that fit, sorted; hidden ones only where the pattern says the dot. */
export function matchingNames(names: readonly string[], pattern: string): string[] {
  return names.filter((name) => (!name.startsWith('.') || pattern.startsWith('.')) && fits(name, pattern)).sort();
}

/** Without going back by more than one `*`, so that no pattern is slow. */
function fits(name: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      resume = i;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
