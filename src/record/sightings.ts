/** Since when something is seen. Pure. */

/** When each key was seen first, ISO 8601. */
export type Seen = Readonly<Record<string, string>>;

export interface Sightings {
  readonly version: 1;
  /** Of which table. */
  readonly table: string;
  /** Of what differs from what was applied. */
  readonly applied: Seen;
  /** Of what differs from a file: the last one that was compared. */
  readonly file?: { readonly path: string; readonly seen: Seen };
}

/** More are seen anew each time. */
const MOST_SEEN = 10_000;

/** `path` names the file that the table was compared with, if it was not what was applied. What is not seen any more is forgotten. */
export function sighted(
  before: Sightings,
  { table, path, keys, now }: { table: string; path: string | undefined; keys: readonly string[]; now: string },
): { readonly seen: Seen; readonly next: Sightings } {
  const same = before.table === table ? before : undefined;
  const earlier = path === undefined ? same?.applied : same?.file?.path === path ? same.file.seen : undefined;
  const seen = Object.fromEntries(keys.map((key) => [key, earlier?.[key] ?? now]));
  const kept = Object.fromEntries(Object.entries(seen).slice(0, MOST_SEEN));
  const file = path === undefined ? same?.file : { path, seen: kept };
  const applied = path === undefined ? kept : (same?.applied ?? {});
  return { seen, next: { version: 1, table, applied, ...(file && { file }) } };
}
