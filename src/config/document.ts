/**
 * From the text of a file to checked values, with the position of everything that is wrong.
 * Which keys a file may have is not known here: the sections come from those who understand them.
 */
import { z } from 'zod';
import { type ConfigProblem, IpvsError } from '../base/errors.ts';
import { nearest } from '../base/nearest.ts';
import { type Left, leaveOut } from './leave-out.ts';
import { concealed, type Path, Source } from './source.ts';

export type { Path } from './source.ts';

/** Reports that the value at `path` of a file is wrong. */
export type ReportProblem = (path: Path, message: string) => void;

/** One top-level key of a file. */
export interface Section {
  readonly schema: z.ZodType;
}

export interface CheckedDocument {
  readonly file: string;
  /** The sections, as their schemas return them, without the wrong values: the rest can still be checked. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Everything that is wrong with it so far. */
  readonly problems: readonly ConfigProblem[];
  /** Sections that are there, and not in `values`. */
  readonly broken: ReadonlySet<string>;
  /** Whether a wrong value is left out of the one at `path` of `values`: then a check of several fields may mislead. */
  isPartial(path: Path): boolean;
  /**
   * A problem with the value at `path` of `values`, positioned. Without a key of a section at the top, the file may be
   * any file, with secrets: then the problem shows nothing of its text.
   */
  problem(path: Path, message: string, suggestion?: string): ConfigProblem;
}

/** Checks what a text says against the schemas of its sections. */
export function checkDocument(
  text: string,
  file: string,
  sections: Readonly<Record<string, Section>>,
): CheckedDocument {
  if (typeof text !== 'string') throw new IpvsError('INVALID_OPTION', { detail: 'the text of a file is a string' });
  const source = new Source(text, file);
  const isDescription = once(() => isDescribedBy(source.topKeys, sections));
  const placed = (left: Left | undefined) => (path: Path, message: string, suggestion?: string) => {
    const problem = source.problem(left?.placeOf(path) ?? path, message, suggestion);
    return isDescription() ? problem : concealed(problem);
  };
  const whole = { file, broken: new Set<string>(), isPartial: () => false, problem: placed(undefined) };
  const refused = (problems: readonly ConfigProblem[]) => ({ ...whole, values: {}, problems });
  if (source.faults.length > 0 && isDescription()) return refused(source.faults);
  const foreign = `no known key at the top of the file; expected one of ${Object.keys(sections).join(', ')}`;
  if (source.faults.length > 0) return refused([source.concealedFault(foreign)]);
  const content = source.value ?? {};
  const schema = schemaOf(sections);
  const checked = schema.safeParse(content, { error: wordsOf });
  if (checked.success) return { ...whole, values: checked.data, problems: [] };
  if (!isDescription()) return refused([source.concealedFault(foreign)]);
  const issues = checked.error.issues.flatMap(innermost);
  const left = leaveOut(content, targetsOf(issues), (rest) => {
    const again = schema.safeParse(rest);
    return again.success ? again.data : targetsOf(again.error.issues.flatMap(innermost));
  });
  return {
    file,
    problem: placed(left),
    problems: issues.flatMap((issue) => problemsOf(issue, content, source)),
    values: left.values,
    broken: new Set(Object.keys(content).filter((section) => section in sections && !(section in left.values))),
    isPartial: left.isPartial,
  };
}

/** At least one key, if misspelt, is that of a section. `$schema` can stand in any file. */
function isDescribedBy(keys: readonly string[], sections: Readonly<Record<string, Section>>): boolean {
  const names = Object.keys(sections).filter((name) => name !== '$schema');
  return keys.some((key) => nearest(key, names) !== undefined);
}

function once<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    known ??= { value: compute() };
    return known.value;
  };
}

/** The JSON Schema (2020-12) of a file with these sections. */
export function jsonSchema(sections: Readonly<Record<string, Section>>): object {
  return z.toJSONSchema(schemaOf(sections), { io: 'input' });
}

type Schema = z.ZodObject<Readonly<Record<string, z.ZodType>>, z.core.$strict>;

function schemaOf(sections: Readonly<Record<string, Section>>): Schema {
  return z.strictObject(Object.fromEntries(Object.entries(sections).map(([key, { schema }]) => [key, schema])));
}

/** Throws CONFIG_INVALID if there are any, in the order of the files and in that of each file. */
export function throwProblems(problems: readonly ConfigProblem[], files: readonly string[] = []): void {
  if (problems.length === 0) return;
  const ranks = new Map(files.map((file, i) => [file, i]));
  const rank = ({ file }: ConfigProblem) => ranks.get(file) ?? 0;
  const sorted = [...problems].sort((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
  throw new IpvsError('CONFIG_INVALID', { subject: sorted[0]?.file ?? '', problems: sorted });
}

/** What the library says to programmers, for people. Of keys, those that there are: `problemsOf` needs them. */
function wordsOf(issue: z.core.$ZodRawIssue): string | undefined {
  const { code, inst, input } = issue;
  if (code === 'unrecognized_keys' && inst instanceof z.ZodObject) return Object.keys(inst.shape).join(' ');
  if (input === undefined && (code === 'invalid_type' || code === 'invalid_value')) return 'it is missing';
  return code === 'invalid_value' ? `one of ${issue.values.join(', ')}` : undefined;
}

function problemsOf(issue: z.core.$ZodIssue, content: unknown, source: Source): ConfigProblem[] {
  const path = pathOf(issue);
  const { message } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) =>
      source.keyProblem([...path, key], 'there is no such key', nearest(key, message.split(' '))),
    );
  }
  const value = valueAt(content, path);
  const suggestion = typeof value === 'string' ? nearest(value, choicesOf(issue)) : undefined;
  return [source.problem(path, message.replace(/^Invalid input: /, ''), suggestion)];
}

/** The words that may stand there. */
function choicesOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'invalid_union') return issue.errors.flat().filter(isOfItself).flatMap(choicesOf);
  return issue.code === 'invalid_value' ? issue.values.filter((value) => typeof value === 'string') : [];
}

function isOfItself({ path }: z.core.$ZodIssue): boolean {
  return path.length === 0;
}

function pathOf({ path }: z.core.$ZodIssue): (string | number)[] {
  return path.map((key) => (typeof key === 'symbol' ? String(key) : key));
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

/** What to leave out of the content: the wrong values, and each unknown key. */
function targetsOf(issues: readonly z.core.$ZodIssue[]): Path[] {
  return issues.flatMap((issue) => {
    const path = pathOf(issue);
    return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
  });
}

function valueAt(content: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | null)?.[key], content);
}
