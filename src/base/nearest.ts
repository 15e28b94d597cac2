/** What was probably meant by a word that is none of those known. */

/** Longer words are no misspellings of ours. */
const MOST_CHARACTERS = 64;

/** The known word that is nearest, if it is near: a third of it may be wrong, and how it is spelt counts for nothing. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MOST_CHARACTERS) return undefined;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = distanceOf(plain(word), plain(name));
    const most = Math.max(1, Math.floor(name.length / 3));
    // Of two letters one wrong leaves nothing to recognise it by.
    if (distance > most || (distance > 0 && name.length < 3 && word.length < 3)) continue;
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  return best?.name;
}

/** `upper_threshold` and `Upper-Threshold` are `upperThreshold`. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '');
}

/** Letters inserted, left out, replaced, or swapped with their neighbour (optimal string alignment). */
export function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, replaced);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}
