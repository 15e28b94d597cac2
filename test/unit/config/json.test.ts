import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson } from '../../../src/config/json.ts';

test.each(['', '[]', 'a: 1', '# {}', '{ a: 1 }', '{"a": 1', '{"a": 1} x', "{'a': 1}"])(
  '%j is not taken for JSON',
  (text) => {
    expect(parseJson(text)).toBeUndefined();
  },
);

test.each([
  '{"a": 1, "a": 2}',
  '{"a": {"b": 1, "c": [{"d": 1, "d": 1}]}}',
  '{"a": 1, "\\u0061": 2}',
  '{"\\"": 1, "\\"" : 2}',
  '{"__proto__": 1, "__proto__": 2}',
])('a key given twice is left to who tells where: %s', (text) => {
  expect(parseJson(text)).toBeUndefined();
});

test('colons, quotes and backslashes in texts are no keys', () => {
  const value = { a: '"b":', 'c"': '\\', 'd\\': '\\":', ':': { ':': [':', '"'] }, '': '' };
  expect(parseJson(JSON.stringify(value))).toEqual(value);
});

test('whatever the value, it is the same as by the platform', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space);
      expect(parseJson(` \n${text}`)).toEqual(JSON.parse(text));
    }),
  );
});

test('deep nesting is no danger', () => {
  const text = `{"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  expect(() => parseJson(text)).not.toThrow();
});
