/** A place in a text, as compilers show it. */

/** Shown of a long line. */
const WIDTH = 100;

/** The line that holds the place, and below it a caret under the place. */
export function excerptOf(text: string, offset: number): string {
  const start = offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline < 0 ? text.length : newline;
  // Of a long line (JSON may be one) what is around the place.
  const from = end - start <= WIDTH ? start : Math.max(start, Math.min(offset - WIDTH / 2, end - WIDTH));
  const to = Math.min(end, from + WIDTH);
  const before = from > start ? '... ' : '';
  const after = to < end ? ' ...' : '';
  const line = `${before}${printable(text.slice(from, to))}${after}`;
  return `${line.trimEnd()}\n${' '.repeat(before.length + offset - from)}^`;
}

/** Characters without a width of one, and those that could upset a terminal, as spaces: the caret stays where it belongs. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Mn}\p{Zl}\p{Zp}\p{Cs}]/gu, (found) => ' '.repeat(found.length));
}
