/** A file as text: the value that it holds, and where in the text every part of that stands. */
import { isMap, isNode, isScalar, LineCounter, type Document as YamlDocument } from 'yaml';
import type { ConfigProblem } from '../base/errors.ts';
import { quote } from '../base/quote.ts';
import { excerptOf } from './excerpt.ts';
import { parseJson } from './json.ts';
import { parseYaml } from './yaml.ts';

export type Path = readonly (string | number)[];

/** More than any table that a kernel holds would need; a bound all the same. */
export const MOST_CHARACTERS: number = 32 * 1024 * 1024;
/** References (&anchor, *alias) can make a small file enormous. */
const MOST_ALIASES = 100_000;

/** Where the parser speaks to programmers. */
const yamlWords: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'the file holds several documents',
  NON_STRING_KEY: 'a key is text',
  DUPLICATE_KEY: 'the key is given twice',
};

export class Source {
  readonly file: string;
  readonly text: string;
  /** Undefined if there are `faults`. */
  readonly value: unknown;
  /** Why it cannot be read. */
  readonly faults: readonly ConfigProblem[];
  /** The parser's messages may quote the text. */
  #isMalformed = false;
  #parsed: { readonly document: YamlDocument; readonly lines: LineCounter } | undefined;

  constructor(text: string, file: string) {
    this.file = file;
    this.text = text;
    if (text.length > MOST_CHARACTERS) {
      this.faults = [{ file, line: 1, column: 1, path: '', message: 'it is too large' }];
      return;
    }
    this.value = parseJson(text);
    this.faults = [];
    if (this.value !== undefined) return;
    const { errors, warnings } = this.#parse().document;
    // What YAML only warns of (a tag that is not known) would be lost.
    const deep = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
    const faults = deep ? [deep] : [...errors, ...warnings];
    this.faults = faults.map(({ pos, code, message }) => this.#at(pos[0], [], yamlWords[code] ?? firstLine(message)));
    this.#isMalformed = faults.some(({ code }) => yamlWords[code] === undefined && code !== 'RESOURCE_EXHAUSTION');
    if (faults.length > 0) return;
    try {
      this.value = this.#parse().document.toJS({ maxAliasCount: MOST_ALIASES });
      // It takes ten times the room of the text, and is needed again only if something is wrong.
      this.#parsed = undefined;
    } catch (error) {
      this.faults = [this.#at(0, [], error instanceof ReferenceError ? aliasFault(error) : 'nested too deeply')];
    }
  }

  /** The keys at its top, as far as it can be read. */
  get topKeys(): string[] {
    if (typeof this.value === 'object' && this.value !== null) return Object.keys(this.value);
    if (this.text.length > MOST_CHARACTERS) return [];
    const { contents } = this.#parse().document;
    if (!isMap(contents)) return [];
    return contents.items.flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : []));
  }

  /** The first fault, or `message`, with nothing of the text. */
  concealedFault(message: string): ConfigProblem {
    const [fault] = this.faults;
    if (fault === undefined) return concealed(this.problem([], message));
    return concealed(this.#isMalformed ? { ...fault, message: 'it is not valid YAML' } : fault);
  }

  /** A problem with the value at `path`; with one that is missing, at what lacks it. */
  problem(path: Path, message: string, suggestion?: string): ConfigProblem {
    return this.#at(this.#offsetOf(path), path, message, suggestion);
  }

  /** A problem with the key that `path` ends in. */
  keyProblem(path: Path, message: string, suggestion?: string): ConfigProblem {
    const { contents } = this.#parse().document;
    const parent = path.length === 1 ? contents : this.#nodeAt(path.slice(0, -1));
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === path.at(-1))
      : undefined;
    const offset = isNode(pair?.key) && pair.key.range ? pair.key.range[0] : this.#offsetOf(path);
    return this.#at(offset, path, message, suggestion);
  }

  #offsetOf(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const node = this.#nodeAt(path.slice(0, length));
      if (isNode(node) && node.range) return node.range[0];
    }
    return this.#parse().document.contents?.range?.[0] ?? 0;
  }

  #nodeAt(path: Path): unknown {
    return this.#parse().document.getIn(path, true);
  }

  #at(offset: number, path: Path, message: string, suggestion?: string): ConfigProblem {
    const { line, col } = this.#parse().lines.linePos(offset);
    return {
      file: this.file,
      line,
      column: col,
      path: pathText(path),
      message: suggestion === undefined ? message : `${message}; did you mean "${suggestion}"?`,
      excerpt: excerptOf(this.text, offset),
      ...(suggestion !== undefined && { suggestion }),
    };
  }

  #parse(): { readonly document: YamlDocument; readonly lines: LineCounter } {
    if (this.#parsed === undefined) {
      const lines = new LineCounter();
      this.#parsed = { document: parseYaml(this.text, lines), lines };
    }
    return this.#parsed;
  }
}

/** The parser's message of an alias without an anchor quotes the text. */
function aliasFault({ message }: ReferenceError): string {
  return message.startsWith('Excessive')
    ? `more than ${MOST_ALIASES} values by way of aliases`
    : 'an alias has no anchor';
}

/** Without the line of the text. */
export function concealed({ excerpt: _, ...problem }: ConfigProblem): ConfigProblem {
  return problem;
}

/** `services[0].destinations[2].weight` */
function pathText(path: Path): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${/^[\w$-]{1,80}$/.test(key) ? key : quote(key)}`))
    .join('')
    .replace(/^\./, '');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
