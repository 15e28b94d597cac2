import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { IpvsError } from '../../../src/base/errors.ts';
import { checkDocument, throwProblems } from '../../../src/config/document.ts';
import { parseDuration } from '../../../src/config/duration.ts';

const shape = z.union([z.enum(['round', 'square']), z.strictObject({ corners: z.number() })], {
  error: 'round, square, or { corners: 5 }',
});
const entry = z.strictObject({ size: z.number(), name: z.string().optional(), shape: shape.optional() });
const sections = {
  list: { schema: z.array(entry).optional() },
  mode: { schema: z.enum(['fast', 'slow']).optional() },
};

function check(text: string) {
  return checkDocument(text, 'f.yaml', sections);
}

/** In the order of the file, as they are thrown. */
function problemsOf(text: string): string[] {
  try {
    throwProblems(check(text).problems);
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'CONFIG_INVALID') return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a document', () => {
  test('gives the values of its sections', () => {
    expect(checkDocument('list: [{ size: 1 }]\nmode: fast', 'f.yaml', sections).values).toEqual({
      list: [{ size: 1 }],
      mode: 'fast',
    });
  });

  test.each(['', '# only a comment', 'null', '---\n'])('may be empty: %j', (text) => {
    expect(checkDocument(text, 'f.yaml', sections).values).toEqual({});
  });

  test('positions a value that was changed by nobody later', () => {
    const document = checkDocument('list:\n  - size: 1\n    name: x\n', 'f.yaml', sections);
    expect(document.problem(['list', 0, 'name'], 'bad')).toEqual({
      file: 'f.yaml',
      line: 3,
      column: 11,
      path: 'list[0].name',
      message: 'bad',
      excerpt: '    name: x\n          ^',
    });
  });

  test('positions a missing value at what lacks it', () => {
    const document = checkDocument('list:\n  - size: 1\n', 'f.yaml', sections);
    expect(document.problem(['list', 0, 'name'], 'bad')).toMatchObject({ line: 2, column: 5 });
  });
});

describe('what is wrong is told with its position', () => {
  test.each([
    ['a wrong value', 'list:\n  - size: big', ['f.yaml:2:11: list[0].size: expected number, received string']],
    [
      'an unknown key, at the key',
      'list:\n  - { size: 1, colour: red }',
      ['f.yaml:2:16: list[0].colour: there is no such key'],
    ],
    [
      'a misspelt key',
      'list:\n  - { size: 1, nmae: x }',
      ['f.yaml:2:16: list[0].nmae: there is no such key; did you mean "name"?'],
    ],
    [
      'a key in another spelling, in the shape that was meant',
      'list: [{ size: 1, shape: { Corners: 1, corners: 2 } }]',
      ['f.yaml:1:28: list[0].shape.Corners: there is no such key; did you mean "corners"?'],
    ],
    [
      'a key with what a terminal would obey',
      'list: []\n"\\e[31m": 1',
      ['f.yaml:2:1: "\\u001b[31m": there is no such key'],
    ],
    ['a misspelt section', 'mod: fast', ['f.yaml:1:1: mod: there is no such key; did you mean "mode"?']],
    ['a word that is none', 'mode: 5', ['f.yaml:1:7: mode: one of fast, slow']],
    ['a misspelt word', 'mode: fats', ['f.yaml:1:7: mode: one of fast, slow; did you mean "fast"?']],
    [
      'a misspelt word where something else may stand too',
      'list: [{ size: 1, shape: sqare }]',
      ['f.yaml:1:26: list[0].shape: round, square, or { corners: 5 }; did you mean "square"?'],
    ],
    ['an unknown section', 'mode: fast\ncolours: []', ['f.yaml:2:1: colours: there is no such key']],
    ['a missing key', 'list:\n  - name: x', ['f.yaml:2:5: list[0].size: it is missing']],
    ['a key given twice', 'mode: fast\nmode: slow', ['f.yaml:2:1: the key is given twice']],
  ])('%s', (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  test('broken YAML', () => {
    expect(problemsOf('list: [1, 2\nmode: "a')[0]).toMatch(/^f\.yaml:\d+:\d+: /);
  });

  test('all problems at once, in the order of the file', () => {
    expect(problemsOf('mode: c\nlist:\n  - size: x\n    foo: 1\n').map((line) => line.split(': ')[0])).toEqual([
      'f.yaml:1:7',
      'f.yaml:3:11',
      'f.yaml:4:5',
    ]);
  });

  test('what is right stays to be looked at; of a list, the entries that are right', () => {
    const { values, broken } = check('mode: c\nlist: [{ size: 1 }, { size: x }, 5, { size: 2 }]\ncolour: red\n');
    expect(values).toEqual({ list: [{ size: 1 }, { size: 2 }] });
    expect([...broken]).toEqual(['mode']);
    expect(check('list: [{ size: 1, colour: red }]\ncolour: red').values).toEqual({ list: [{ size: 1 }] });
    expect(check('list: [{ size: 1, shape: { corners: 3, sides: 3 } }]').values).toEqual({
      list: [{ size: 1, shape: { corners: 3 } }],
    });
    expect(check('list: [{ size: 1, name: 5, shape: oval }, { name: x }]').values).toEqual({ list: [{ size: 1 }] });
    expect(check('list: [\n').values).toEqual({});
    expect(check('!!binary aGVsbG8=').values).toEqual({});
    expect(check('5').values).toEqual({});
  });

  test('with the line, and what was probably meant, as data too', () => {
    expect(check('list:\n\t- { size: 1 }').problems[0]?.excerpt).toContain('\n');
    expect(check('mod: fast').problems).toEqual([
      {
        file: 'f.yaml',
        line: 1,
        column: 1,
        path: 'mod',
        message: 'there is no such key; did you mean "mode"?',
        suggestion: 'mode',
        excerpt: 'mod: fast\n^',
      },
    ]);
  });

  test('a value keeps its place where others before it are left out', () => {
    const document = check('list:\n  - { size: x }\n  - { size: 1, name: 5 }\n  - { size: 2 }\n');
    expect(document.problem(['list', 0, 'size'], 'bad')).toMatchObject({ line: 3, column: 13, path: 'list[1].size' });
    expect(document.problem(['list', 1, 'size'], 'bad')).toMatchObject({ line: 4, column: 13, path: 'list[2].size' });
    expect([0, 1].map((i) => document.isPartial(['list', i]))).toEqual([true, false]);
  });

  test('in the order of the files', () => {
    const [b, a] = ['b.yaml', 'a.yaml'].map((file) => checkDocument('mode: x\nlist: y', file, sections).problems);
    expect(() => throwProblems([...(a ?? []), ...(b ?? [])].reverse(), ['b.yaml', 'a.yaml'])).toThrow(
      /^b\.yaml:1:7: .*\nb\.yaml:2:7: .*\na\.yaml:1:7: .*\na\.yaml:2:7: .*$/,
    );
  });

  test('references that would blow it up', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`;
    expect(problemsOf(bomb)[0]).toMatch(/f\.yaml:1:1: /);
  });

  // Each took minutes, or the process with it.
  test.each([
    ['lists in lists', 'list: '.concat('['.repeat(5000)), 'nested too deeply'],
    ['keys that are maps', '? '.repeat(400), 'nested too deeply'],
    ['thousands of keys', Array.from({ length: 50_000 }, (_, i) => `k${i}: 1\n`).join(''), 'more than 4096 keys'],
    ['thousands of aliases', `list:\n- &a 1\n${'- *a\n'.repeat(50_000)}`, 'more than 10000 aliases'],
  ])('%s are too much', (_, text, words) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(new RegExp(`^f\\.yaml:\\d+:\\d+: ${words}$`))]);
  });

  test.each([
    ['? { a: 1 }\n: 2', 'f.yaml:1:3: a key is text'],
    ['"a\\nb": 1\nmode: fast', 'f.yaml:1:1: "a\\nb": there is no such key'],
  ])('a key like %j', (text, problem) => expect(problemsOf(text)).toEqual([problem]));

  test('whatever the text: values, or problems with a place in it', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'list:',
        '  - size: 1',
        'mode: fast',
        '&a',
        '*a',
        '{',
        '- ',
        '? ',
        '!!binary x',
        '<<: *a',
        '"',
        '\r',
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const text = lines.join('\n');
        for (const { line, column, excerpt } of check(text).problems) {
          expect(line).toBeLessThanOrEqual(text.split('\n').length + 1);
          expect(column).toBeGreaterThan(0);
          if (excerpt !== undefined) expect(excerpt).toMatch(/^[^\n]*\n *\^$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('of a file that has none of the keys, nothing is shown', () => {
  const unknown = 'no known key at the top of the file; expected one of list, mode';
  test.each([
    ['a list', '- s3cret', 1, unknown],
    ['a scalar', 's3cret', 1, unknown],
    ['accounts', 'root:$6$s3cret:19000:0:99999:7:::\ndaemon:*:19000::::::\n', 1, unknown],
    ['another map', 'token: s3cret\nuser: s3cret\n', 1, unknown],
    ['another map of JSON', '{"token": "s3cret"}', 1, unknown],
    ['a map with a misspelt schema', '{"$schema": "s3cret", "token": "s3cret"}', 1, unknown],
    ['a key', '-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n', 1, unknown],
    ['a broken text', 'token: "\\s3cret"', 1, 'it is not valid YAML'],
    ['an unknown tag', 'token: !s3cret x', 1, 'it is not valid YAML'],
    ['an unknown anchor', 'a: 1\nb: *s3cret', 1, 'an alias has no anchor'],
    ['a key given twice', 's3cret: 1\ns3cret: 2', 2, 'the key is given twice'],
    ['several documents', '--- s3cret\n--- s3cret', 2, 'the file holds several documents'],
  ])('%s', (_, text, line, message) => {
    expect(check(text).problems).toEqual([{ file: 'f.yaml', line, column: expect.any(Number), path: '', message }]);
  });

  test('nor by what is found later', () => {
    expect(check('# s3cret').problem([], 'bad')).toEqual({
      file: 'f.yaml',
      line: 1,
      column: 1,
      path: '',
      message: 'bad',
    });
  });

  test('with one of them, broken or misspelt, it is', () => {
    expect(check('mod: 1\nuser: x').problems.map(({ excerpt }) => excerpt)).toEqual(['mod: 1\n^', 'user: x\n^']);
    expect(check('list: [').problems[0]?.excerpt).toBe('list: [\n       ^');
  });
});

describe('a duration', () => {
  test.each([
    ['300s', 300],
    ['15m', 900],
    ['2h', 7200],
    ['1d', 86400],
    ['90', 90],
    [90, 90],
  ])('%j is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each(['', 's', '-1s', '1.5m', '1e3', '10 s', '10ms', '１０s', Number.NaN, -1, 1.5])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
