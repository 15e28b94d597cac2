/** Where things stand in the files, and what is said of them. */

import type { ConfigProblem } from '../base/errors.ts';
import type { CheckedDocument, Path } from '../config/document.ts';

export interface Place {
  readonly document: CheckedDocument;
  readonly path: Path;
}

/** The value at `keys` inside of a place. */
export function within({ document, path }: Place, ...keys: Path): Place {
  return { document, path: [...path, ...keys] };
}

/** Whether a wrong value is left out of the entry that holds a place, or of the defaults that are for it. */
export function isPartial({ document, path }: Place): boolean {
  const { broken } = document;
  return document.isPartial(path.slice(0, 2)) || document.isPartial(['defaults']) || broken.has('defaults');
}

/** `web.yaml:3:5` */
export function placeText({ document, path }: Place): string {
  const { file, line, column } = document.problem(path, '');
  return `${file}:${line}:${column}`;
}

/** What is found while files are made out. */
export class Findings {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: ConfigProblem[] = [];
  readonly #reported = new Set<string>();

  /** Once: an entry with several addresses is checked for each of them. */
  report({ document, path }: Place, message: string, suggestion?: string): void {
    const key = JSON.stringify([document.file, path, message]);
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.problems.push(document.problem(path, message, suggestion));
  }

  warn({ document, path }: Place, message: string, suggestion?: string): void {
    this.warnings.push(document.problem(path, message, suggestion));
  }
}

/** Things of which each may be there once, in whatever file. */
export class Unique {
  readonly #places = new Map<string, Place>();

  /** The place where it was found before; undefined the first time. */
  find(thing: string, place: Place): Place | undefined {
    const before = this.#places.get(thing);
    if (before === undefined) this.#places.set(thing, place);
    return before;
  }
}
