import { describe, expect, test } from 'vitest';
import { number, oneValue, seconds, words } from '../../../src/cli/spec/options.ts';
import { UsageError, usageError } from '../../../src/cli/terminal/exit.ts';
import { columns } from '../../../src/cli/words/output.ts';

describe('an option', () => {
  test('that was not given is undefined', () => {
    expect([oneValue, number, seconds, words].map((read) => read(undefined, 'x'))).toEqual(Array(4).fill(undefined));
  });

  test.each(['', ['a', 'b'], true, 5])('given as %j is refused: it has one value', (value) => {
    for (const read of [oneValue, number, seconds, words]) expect(() => read(value, 'x')).toThrow(UsageError);
  });

  test('that is a number takes whole numbers only; its range is checked where it means something', () => {
    expect(number('-1', 'x')).toBe(-1);
    expect(number('007', 'x')).toBe(7);
    for (const text of ['1.5', '0x10', '1e3', 'ten', ' 1', '1 '])
      expect(() => number(text, 'x'), text).toThrow(UsageError);
  });

  test('that is a duration takes 300s, 15m or seconds', () => {
    expect([seconds('300s', 'x'), seconds('15m', 'x'), seconds('7', 'x')]).toEqual([300, 900, 7]);
    expect(() => seconds('soon', 'x')).toThrow('--x needs a duration such as 300s or 15m, not "soon"');
  });

  test('that is a list has commas; none is the empty one', () => {
    expect(words('sh-port,sh-fallback', 'x')).toEqual(['sh-port', 'sh-fallback']);
    expect(words('none', 'x')).toEqual([]);
  });
});

test.each([
  ['Did you mean list?', 'there is no command "lsit \\u001b[31m"; did you mean "list"?'],
  ['Not enough non-option arguments: got 0, need at least 1', 'an argument is missing'],
  ['Not enough arguments following: netns', 'a value is missing after --netns'],
  ['Unknown argument: foo', 'unknown argument: foo'],
  ['Unknown arguments: foo, \u001b[31mbar', 'unknown arguments: foo, \\u001b[31mbar'],
  ['Invalid values:\n  Argument: forward, Given: "x", Choices: "a", "b"', '--forward is none of "a", "b": "x"'],
])('what yargs says as %j is told as %j', (theirs, ours) => {
  expect(usageError(theirs, ['--json', 'lsit', '\u001b[31m', 'x']).message).toBe(ours);
});

test('columns are as wide as their widest cell, numbers to the right, nothing behind the last', () => {
  expect(
    columns(
      [
        ['a', '1', 'x'],
        ['long', '10', ''],
      ],
      new Set([1]),
    ),
  ).toEqual(['a      1  x', 'long  10']);
});
