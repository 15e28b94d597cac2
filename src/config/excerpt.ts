/** A place in a text, as compilers show it. */

/** Shown of a long line. */
const WIDTH = 100;

/** The line that holds the place, and below it a caret under the place. */
export function excerptOf(text: string, offset: number): string {
  // Only what may be shown is looked at: a file of JSON may be one line of megabytes, with a problem every few bytes.
  const first = Math.max(0, offset - WIDTH);
  const newlineBefore = text.slice(first, offset).lastIndexOf('\n');
  const newlineAfter = text.slice(offset, offset + WIDTH).indexOf('\n');
  const start = first + newlineBefore + 1;
  const end = newlineAfter < 0 ? Math.min(text.length, offset + WIDTH) : offset + newlineAfter;
  const from = Math.max(start, Math.min(offset - WIDTH / 2, end - WIDTH));
  const to = Math.min(end, from + WIDTH);
  const before = from > start || (newlineBefore < 0 && first > 0) ? '... ' : '';
  const after = to < end || (newlineAfter < 0 && end < text.length) ? ' ...' : '';
  const line = `${before}${printable(text.slice(from, to))}${after}`;
  return `${line.trimEnd()}\n${' '.repeat(before.length + offset - from)}^`;
}

/** Characters without a width of one, and those that could upset a terminal, as spaces: the caret stays where it belongs. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Mn}\p{Zl}\p{Zp}\p{Cs}]/gu, (found) => ' '.repeat(found.length));
}
