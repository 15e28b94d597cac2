/**
 * From YAML text to checked values, with the position of everything that is wrong.
 * Which keys a file may have is not known here: the sections come from the resources.
 */
import { isMap, isNode, isScalar, LineCounter, type Document as YamlDocument } from 'yaml';
import { z } from 'zod';
import { type ConfigProblem, IpvsError } from '../errors.ts';
import { quote } from '../ipvs/quote.ts';
import { parseYaml } from './yaml.ts';

/** One top-level key of a file. */
export interface Section {
  readonly schema: z.ZodType;
}

export type Path = readonly (string | number)[];

export interface CheckedDocument {
  /** The values of the sections, as their schemas return them. */
  readonly values: Readonly<Record<string, unknown>>;
  /** A problem with the value at `path`, positioned. */
  problem(path: Path, message: string): ConfigProblem;
}

/** More than any table that a kernel holds would need; a bound all the same. */
const MOST_CHARACTERS = 32 * 1024 * 1024;
/** References (&anchor, *alias) can make a small file enormous. */
const MOST_ALIASES = 100_000;

/** Where the parser speaks to programmers. */
const yamlWords: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'the file holds several documents',
  NON_STRING_KEY: 'a key is text',
};

/** Throws CONFIG_INVALID with all problems, in the order of the file. */
export function checkDocument(
  text: string,
  file: string,
  sections: Readonly<Record<string, Section>>,
): CheckedDocument {
  if (typeof text !== 'string') throw new IpvsError('INVALID_OPTION', { detail: 'the text of a file is a string' });
  if (text.length > MOST_CHARACTERS)
    throw new IpvsError('CONFIG_INVALID', { subject: file, detail: 'it is too large' });
  const lines = new LineCounter();
  const document = parseYaml(text, lines);
  const at = (offset: number, path: Path, message: string): ConfigProblem => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, path: pathText(path), message };
  };
  const problem = (path: Path, message: string) => at(offsetOf(document, path), path, message);

  // What YAML only warns of (a tag that is not known) would be lost.
  const deep = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const faults = deep ? [deep] : [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw invalid(faults.map(({ pos, code, message }) => at(pos[0], [], yamlWords[code] ?? firstLine(message))));
  }
  const content = toPlain(document, file);
  const checked = schemaOf(sections).safeParse(content ?? {});
  if (checked.success) return { values: checked.data, problem };
  throw invalid(
    checked.error.issues.flatMap(innermost).flatMap((issue) => {
      const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
      if (issue.code !== 'unrecognized_keys') return [problem(path, issue.message.replace(/^Invalid input: /, ''))];
      return issue.keys.map((key) => at(keyOffset(document, [...path, key]), [...path, key], 'there is no such key'));
    }),
  );
}

/** The JSON Schema (2020-12) of a file with these sections. */
export function jsonSchema(sections: Readonly<Record<string, Section>>): object {
  return z.toJSONSchema(schemaOf(sections), { io: 'input' });
}

function schemaOf(sections: Readonly<Record<string, Section>>): z.ZodType<Record<string, unknown>> {
  return z.strictObject(Object.fromEntries(Object.entries(sections).map(([key, { schema }]) => [key, schema])));
}

/** Throws CONFIG_INVALID if there are any. */
export function throwProblems(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw invalid(problems);
}

function invalid(problems: readonly ConfigProblem[]): IpvsError {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  return new IpvsError('CONFIG_INVALID', { subject: sorted[0]?.file ?? '', problems: sorted });
}

function toPlain(document: YamlDocument, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    const message =
      error instanceof ReferenceError ? `more than ${MOST_ALIASES} values by way of aliases` : 'nested too deeply';
    throw invalid([{ file, line: 1, column: 1, path: '', message }]);
  }
}

/** Where the value at `path` begins; of one that is missing, where that begins which lacks it. */
function offsetOf(document: YamlDocument, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function keyOffset(document: YamlDocument, path: Path): number {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const pair = isMap(parent)
    ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === path.at(-1))
    : undefined;
  return isNode(pair?.key) && pair.key.range ? pair.key.range[0] : offsetOf(document, path);
}

/** Where a value may have one of several shapes, the problems inside of the shape that was meant. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find((issues) =>
    issues.some(({ path, code }) => path.length > 0 || code === 'unrecognized_keys' || code === 'custom'),
  );
  if (meant === undefined) return [issue];
  return meant.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** `services[0].destinations[2].weight` */
function pathText(path: Path): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${/^[\w-]+$/.test(key) ? key : quote(key)}`))
    .join('')
    .replace(/^\./, '');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
