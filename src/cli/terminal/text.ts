/** Text for people: our own styles, and no other character that a terminal obeys. */
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { visible } from '../../base/quote.ts';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

/** Stands for the start of a style until the text is printed. Text from outside cannot hold it. */
const MARK = `\u{fdd0}${randomBytes(8).toString('hex')}:`;
const START = '\x1b[';

export function styled(style: Style, text: string): string {
  const [on, off] = inspect.colors[style] ?? [0, 0];
  return `${MARK}${on}m${text}${MARK}${off}m`;
}

/**
 * Control characters, and those that turn the direction of text, as \u escapes; line ends and tabs stay. In JSON such a
 * character stands in a string only, where its escape means the same.
 */
export function terminalText(text: string): string {
  const safe = unsafe.test(text) ? text.replace(/[^\n\t]+/g, visible) : text;
  return safe.includes(MARK) ? safe.replaceAll(MARK, START) : safe;
}

const unsafe = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
