/** A file with all that it includes, read. The one place in which the files of a description are read. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { type ConfigProblem, IpvsError } from '../base/errors.ts';
import { type CheckedDocument, checkDocument, type Section } from './document.ts';
import { hasWildcard, matchingNames } from './include.ts';
import { MOST_CHARACTERS } from './source.ts';
import { fileError, readBytes, textOf } from './text-file.ts';

/** A file that was read. */
export interface LoadedFile {
  /** As it stands in messages. */
  readonly path: string;
  /** Of its bytes, in hexadecimal digits. */
  readonly sha256: string;
}

/** What was read already, such as standard input. `file` is for messages; what it includes is relative to its folder. */
export interface TextSource {
  readonly text: string;
  readonly file: string;
}

export interface LoadedDocuments {
  /** In the order in which they are read: what includes comes before what it includes. */
  readonly documents: readonly CheckedDocument[];
  readonly files: readonly LoadedFile[];
  /** Of the documents, and of what they include. */
  readonly problems: readonly ConfigProblem[];
}

/** How files are read; throws what node:fs throws, or FILE_UNREADABLE. */
export interface FileReader {
  readFile(path: string): Uint8Array;
  readFolder(path: string): readonly string[];
}

const MOST_NESTED = 8;
const MOST_FILES = 1000;

/** A character takes four bytes at most. */
const MOST_BYTES = 4 * MOST_CHARACTERS;

const disk: FileReader = {
  readFile: (path) => readBytes(path, path, MOST_BYTES),
  readFolder: (path) => readdirSync(path),
};

/**
 * Throws FILE_UNREADABLE if the file cannot be read; where that holds of one that is included, it is a problem of the
 * file that includes it.
 */
export function loadDocuments(
  source: string | TextSource,
  sections: Readonly<Record<string, Section>>,
  reader: FileReader = disk,
): LoadedDocuments {
  const loader = new Loader(sections, reader);
  loader.loadFirst(source);
  return loader;
}

type Refuse = (message: string) => void;

class Loader implements LoadedDocuments {
  readonly documents: CheckedDocument[] = [];
  readonly files: LoadedFile[] = [];
  readonly problems: ConfigProblem[] = [];
  readonly #sections: Readonly<Record<string, Section>>;
  readonly #reader: FileReader;
  readonly #seen = new Set<string>();
  #characters = 0;

  constructor(sections: Readonly<Record<string, Section>>, reader: FileReader) {
    this.#sections = sections;
    this.#reader = reader;
  }

  loadFirst(source: string | TextSource): void {
    const { file, text } = typeof source === 'string' ? { file: source, text: undefined } : source;
    const bytes = text === undefined ? this.#read(file) : Buffer.from(text);
    this.#seen.add(resolve(file));
    this.#check(text ?? textOf(bytes, file), bytes, file, []);
  }

  /** `chain`: the files that include it, from the first on. */
  #check(text: string, bytes: Uint8Array, file: string, chain: readonly string[]): void {
    this.#characters += text.length;
    this.files.push({ path: file, sha256: createHash('sha256').update(bytes).digest('hex') });
    const document = checkDocument(text, file, this.#sections);
    this.documents.push(document);
    this.problems.push(...document.problems);
    const includes = (document.values['include'] ?? []) as readonly string[];
    for (const [i, path] of includes.entries()) {
      const refuse = (message: string) => this.problems.push(document.problem(['include', i], message));
      for (const included of this.#meant(path, dirname(file), refuse))
        this.#include(included, [...chain, file], refuse);
    }
  }

  /** One that is included twice is read once. */
  #include(file: string, chain: readonly string[], refuse: Refuse): void {
    const identity = resolve(file);
    const isOuter = chain.some((outer) => resolve(outer) === identity);
    if (this.#seen.has(identity) && !isOuter) return;
    this.#seen.add(identity);
    if (isOuter) refuse(`the files include each other: ${[...chain, file].join(' → ')}`);
    else if (chain.length > MOST_NESTED) refuse(`${file} would be included more than ${MOST_NESTED} deep`);
    else if (this.files.length >= MOST_FILES) refuse(`${file} would be one more than ${MOST_FILES} files`);
    else this.#checkFile(file, chain, refuse);
  }

  #checkFile(file: string, chain: readonly string[], refuse: Refuse): void {
    let bytes: Uint8Array;
    let text: string;
    try {
      bytes = this.#read(file);
      text = textOf(bytes, file);
    } catch (error) {
      if (!(error instanceof IpvsError)) throw error;
      refuse(error.message);
      return;
    }
    if (this.#characters + text.length > MOST_CHARACTERS) refuse(`with ${file} the files are too large together`);
    else this.#check(text, bytes, file, chain);
  }

  #read(file: string): Uint8Array {
    try {
      return this.#reader.readFile(file);
    } catch (error) {
      throw error instanceof IpvsError ? error : fileError('FILE_UNREADABLE', file, error);
    }
  }

  /** The files that an entry of `include` stands for. */
  #meant(path: string, base: string, refuse: Refuse): string[] {
    const at = (name: string) => (isAbsolute(name) ? name : join(base, name));
    if (!hasWildcard(path)) return [at(path)];
    const folder = dirname(path);
    if (hasWildcard(folder) || path.endsWith('/')) {
      refuse('a wildcard stands in the last part of a path only');
      return [];
    }
    return matchingNames(this.#namesIn(at(folder), refuse), basename(path)).map((name) => at(join(folder, name)));
  }

  /** None in a folder that is not there. */
  #namesIn(folder: string, refuse: Refuse): readonly string[] {
    try {
      return this.#reader.readFolder(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') refuse(fileError('FILE_UNREADABLE', folder, error).message);
      return [];
    }
  }
}
