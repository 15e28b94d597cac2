import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { styled, terminalText } from '../../../src/cli/terminal/text.ts';
import { columns, formatJson, painter } from '../../../src/cli/words/output.ts';

/** Control characters but line ends and tabs, and what changes the direction of text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const obeyed = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\x1b[2J', '\x9b31m', '\r', '\x07', '\u202e', '\u{e0041}', '\x1b]0;title\x07', '\n'),
);

describe('text for a terminal', () => {
  it('holds nothing that the terminal obeys, whatever it was made of', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(terminalText(text)).not.toMatch(obeyed);
      }),
    );
  });

  it('shows what it was made of', () => {
    expect(terminalText('a\x1b[2Jb\u202ec\u{e0041}\td\n')).toBe('a\\u001b[2Jb\\u202ec\\udb40\\udc41\td\n');
    expect(terminalText('fe80::1 → „Ä“ 負荷\n')).toBe('fe80::1 → „Ä“ 負荷\n');
  });

  it('is the same value, where it is JSON', () => {
    fc.assert(
      fc.property(fc.array(hostile), (texts) => {
        expect(JSON.parse(terminalText(formatJson(texts)))).toEqual(texts);
      }),
    );
  });

  it('has our styles, and none from outside', () => {
    const evil = '\x1b[31mevil\x1b[0m';
    expect(terminalText(`${styled('green', 'new')} ${evil}`)).toBe('\x1b[32mnew\x1b[39m \\u001b[31mevil\\u001b[0m');
    expect(terminalText(painter({ color: true })('dim', evil))).toBe('\x1b[2m\\u001b[31mevil\\u001b[0m\x1b[22m');
    expect(terminalText(painter({ color: false })('dim', 'x'))).toBe('x');
  });
});

it('a cell of a table is one line', () => {
  expect(
    columns(
      [
        ['who', 'what'],
        ['a\nroot', 'b'],
      ],
      new Set(),
    ),
  ).toEqual(['who          what', 'a\\u000aroot  b']);
});
