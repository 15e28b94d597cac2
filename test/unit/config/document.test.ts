import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { checkDocument } from '../../../src/config/document.ts';
import { parseDuration } from '../../../src/config/duration.ts';
import { IpvsError } from '../../../src/errors.ts';

const sections = {
  list: { schema: z.array(z.strictObject({ size: z.number(), name: z.string().optional() })).optional() },
  mode: { schema: z.enum(['a', 'b']).optional() },
};

function problemsOf(text: string): string[] {
  try {
    checkDocument(text, 'f.yaml', sections);
  } catch (error) {
    if (error instanceof IpvsError && error.code === 'CONFIG_INVALID') return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a document', () => {
  test('gives the values of its sections', () => {
    expect(checkDocument('list: [{ size: 1 }]\nmode: a', 'f.yaml', sections).values).toEqual({
      list: [{ size: 1 }],
      mode: 'a',
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
    ['an unknown section', 'lisst: []', ['f.yaml:1:1: lisst: there is no such key']],
    ['a missing key', 'list:\n  - name: x', ['f.yaml:2:5: list[0].size: expected number, received undefined']],
    ['a key given twice', 'mode: a\nmode: b', ['f.yaml:2:1: Map keys must be unique']],
    ['another shape', '- 1', ['f.yaml:1:1: expected object, received array']],
    ['a scalar', 'hello', ['f.yaml:1:1: expected object, received string']],
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
    ['"a\\nb": 1', 'f.yaml:1:1: "a\\nb": there is no such key'],
  ])('a key like %j', (text, problem) => expect(problemsOf(text)).toEqual([problem]));

  test('whatever the text: values or CONFIG_INVALID', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('list:', '  - size: 1', 'mode: a', '&a', '*a', '{', '- ', '? ', '!!binary x', '<<: *a'),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        for (const problem of problemsOf(lines.join('\n'))) expect(problem).toMatch(/^f\.yaml:\d+:\d+: /);
      }),
      { numRuns: 300 },
    );
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
