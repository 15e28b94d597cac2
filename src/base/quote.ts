/** Values in messages. */
import { inspect } from 'node:util';

/** The value as people write it, bounded, with nothing in it that could upset a terminal. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1, breakLength: Infinity });
  const shown = visible(text);
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}

/** Text from outside in one line: control characters, and those that turn the direction of text, as \u escapes. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
