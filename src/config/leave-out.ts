/** Leaves the wrong values out of a tree, so that all others can still be checked. */
import type { Path } from './source.ts';

type Values = Readonly<Record<string, unknown>>;

export interface Left {
  readonly values: Values;
  /** Whether something is left out of the value at `path`, at any depth. */
  isPartial(path: Path): boolean;
  /** Where the value at `path` stands in the tree before: elements of lists may have moved up. */
  placeOf(path: Path): Path;
}

/**
 * Leaves out the values at `targets`. `check` returns what the rest comes to, or the next ones to leave out: a missing
 * key that is required takes its whole map with it.
 */
export function leaveOut(content: unknown, targets: readonly Path[], check: (rest: unknown) => Values | Path[]): Left {
  const tree = structuredClone(content);
  const partial = new Set<object>();
  const places = new Map<object, number[]>();
  const left = (values: Values): Left => ({
    values,
    isPartial: (path) => {
      const value = nodesOn(tree, path).at(-1);
      return isContainer(value) && partial.has(value);
    },
    placeOf: (path) => {
      const nodes = nodesOn(tree, path);
      return path.map((key, i) => places.get(nodes[i] as object)?.[key as number] ?? key);
    },
  });
  for (let next = targets; ; ) {
    // All are found before the first one goes: elements of a list move up.
    const found = next.map((path) => foundAt(tree, path));
    if (found.includes(undefined)) return left({});
    for (const [container, keys] of byContainer(
      found.filter((one) => one !== undefined),
      partial,
    )) {
      if (Array.isArray(container)) removeElements(container, keys as Set<number>, places);
      else for (const key of keys) Reflect.deleteProperty(container, key);
    }
    const checked = check(tree);
    if (!Array.isArray(checked)) return left(checked as Values);
    next = checked;
  }
}

interface Found {
  /** From the root to the container of the key. */
  readonly containers: readonly object[];
  readonly key: string | number;
}

/** The value at `path`, or where that is missing, the innermost one around it. Undefined if that is the root. */
function foundAt(tree: unknown, path: Path): Found | undefined {
  const nodes = nodesOn(tree, path);
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const container = nodes[depth];
    const key = path[depth] as string | number;
    if (isContainer(container) && Object.hasOwn(container, key))
      return { containers: nodes.slice(0, depth + 1) as object[], key };
  }
  return undefined;
}

/** The root, and what each key of `path` leads to. */
function nodesOn(tree: unknown, path: Path): unknown[] {
  const nodes = [tree];
  for (const key of path) {
    const node = nodes.at(-1);
    nodes.push(
      isContainer(node) && Object.hasOwn(node, key) ? (node as Record<string | number, unknown>)[key] : undefined,
    );
  }
  return nodes;
}

/** A list or a plain map. YAML can also hold bytes and sets. */
function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function byContainer(found: readonly Found[], partial: Set<object>): Map<object, Set<string | number>> {
  const groups = new Map<object, Set<string | number>>();
  for (const { containers, key } of found) {
    for (const container of containers) partial.add(container);
    const container = containers.at(-1) as object;
    groups.set(container, (groups.get(container) ?? new Set()).add(key));
  }
  return groups;
}

function removeElements(list: unknown[], indices: ReadonlySet<number>, places: Map<object, number[]>): void {
  const before = places.get(list) ?? list.map((_, i) => i);
  places.set(
    list,
    before.filter((_, i) => !indices.has(i)),
  );
  const rest = list.filter((_, i) => !indices.has(i));
  list.length = 0;
  for (const element of rest) list.push(element);
}
