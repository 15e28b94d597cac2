import fc from 'fast-check';
import { expect, test } from 'vitest';
import { excerptOf } from '../../../src/config/excerpt.ts';

/** § stands where the place is. */
function shown(marked: string): string {
  return excerptOf(marked.replace('§', ''), marked.indexOf('§'));
}

test.each([
  ['the first line', '§a: 1\nb: 2', 'a: 1\n^'],
  ['the last line', 'a: 1\nb: §2', 'b: 2\n   ^'],
  ['the end of a line', 'a: [§\nb: 2', 'a: [\n    ^'],
  ['the end of the text', 'a: 1\n§', '\n^'],
  ['an empty line', 'a: 1\n§\nb: 2', '\n^'],
  ['a line that ends as in Windows', 'a: §1\r\nb: 2', 'a: 1\n   ^'],
  ['a line with tabs', '\ta:\t§1', ' a: 1\n    ^'],
])('%s', (_, marked, excerpt) => {
  expect(shown(marked)).toBe(excerpt);
});

test('of a long line, what is around the place', () => {
  const [line = '', caret = ''] = shown(`{${'"key": 1, '.repeat(1000)}§"wrong": 2${', "key": 1'.repeat(1000)}}`).split(
    '\n',
  );
  expect(line).toMatch(/^\.\.\. .*"wrong": 2.* \.\.\.$/);
  expect(line.slice(caret.indexOf('^'))).toMatch(/^"wrong"/);
  expect(line.length).toBeLessThanOrEqual(108);
});

test('nothing that a terminal would obey', () => {
  expect(shown('a: §\u001b[31m\u202ered')).toBe('a:  [31m red\n   ^');
});

test('whatever the text and the place: two lines, the caret in the second', () => {
  const text = fc.array(fc.constantFrom('\n', '\r\n', '\t', 'é', '😀', '\u0000', ' ', 'x'.repeat(300)));
  fc.assert(
    fc.property(text, fc.nat(), (parts, place) => {
      const whole = parts.join('');
      expect(excerptOf(whole, place % (whole.length + 1))).toMatch(/^[^\n]*\n *\^$/);
    }),
  );
});
