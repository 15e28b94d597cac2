/**
 * From the text of a file to checked values, with the position of everything that is wrong.
 * Which keys a file may have is not known here: the sections come from those who understand them.
 */
import { z } from 'zod';
import { type ConfigProblem, IpvsError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { type Path, Source } from './source.ts';

export type { Path } from './source.ts';

/** Reports that the value at `path` of a file is wrong. */
export type ReportProblem = (path: Path, message: string) => void;

/** One top-level key of a file. */
export interface Section {
  readonly schema: z.ZodType;
}

export interface CheckedDocument {
  readonly file: string;
  /**
   * The values of the sections, as their schemas return them. A section in which something is wrong is missing; of a
   * list, only the entries are undefined that are wrong.
   */
  readonly values: Readonly<Record<string, unknown>>;
  /** Everything that is wrong with it so far. */
  readonly problems: readonly ConfigProblem[];
  /** Sections that are there, and not in `values`. */
  readonly broken: ReadonlySet<string>;
  /** A problem with the value at `path`, positioned. */
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
  const document = {
    file,
    problem: (path: Path, message: string, suggestion?: string) => source.problem(path, message, suggestion),
  };
  if (source.faults.length > 0) return { ...document, values: {}, problems: source.faults, broken: new Set() };
  const content = source.value ?? {};
  const schema = schemaOf(sections);
  const checked = schema.safeParse(content, { error: wordsOf });
  if (checked.success) return { ...document, values: checked.data, problems: [], broken: new Set() };
  const { issues } = checked.error;
  return {
    ...document,
    problems: issues.flatMap(innermost).flatMap((issue) => problemsOf(issue, content, source)),
    ...withoutWrong(schema, content, issues),
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

/** What can still be looked at when what is wrong is left out: so everything that is wrong is told at once. */
function withoutWrong(
  schema: Schema,
  content: unknown,
  issues: readonly z.core.$ZodIssue[],
): Pick<CheckedDocument, 'values' | 'broken'> {
  const known = structuredClone(content);
  for (const issue of issues.flatMap(innermost)) {
    if (issue.code !== 'unrecognized_keys') continue;
    // Of what is no map (!!binary) nothing can be taken.
    for (const key of issue.keys) Reflect.deleteProperty(valueAt(known, pathOf(issue)) as object, key);
  }
  const checked = schema.safeParse(known);
  if (checked.success) return { values: checked.data, broken: new Set() };

  const broken = new Set<string>();
  const holes = new Map<string, Set<number>>();
  for (const issue of checked.error.issues) {
    const [section, index] = pathOf(issue).map((key, i) => (i === 0 ? String(key) : key));
    if (typeof section !== 'string') return { values: {}, broken };
    if (typeof index === 'number') holes.set(section, (holes.get(section) ?? new Set()).add(index));
    else broken.add(section);
  }
  const sections = Object.entries(known as object).filter(([section]) => !broken.has(section));
  const values = schema.parse(
    Object.fromEntries(
      sections.map(([section, value]) => {
        const wrong = holes.get(section);
        return [section, wrong === undefined ? value : (value as unknown[]).filter((_, i) => !wrong.has(i))];
      }),
    ),
  );
  for (const [section, wrong] of holes) {
    if (broken.has(section)) continue;
    const right = (values[section] as unknown[]).values();
    const all = (known as Record<string, unknown[]>)[section] ?? [];
    values[section] = all.map((_, i) => (wrong.has(i) ? undefined : right.next().value));
  }
  return { values, broken };
}

function valueAt(content: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | null)?.[key], content);
}
