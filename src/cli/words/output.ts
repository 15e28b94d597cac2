/** What commands print: columns for people, JSON for programs. */
import { visible } from '../../base/quote.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { complain, print } from '../terminal/stdout.ts';
import { type Style, styled } from '../terminal/text.ts';

export type Paint = (style: Style, text: string) => string;

/** Colours on a terminal, unless --no-color or NO_COLOR says otherwise. */
export function painter({ color }: GlobalOptions): Paint {
  const wanted = color ?? (process.stdout.isTTY === true && !process.env['NO_COLOR']);
  return wanted ? styled : (_, text) => text;
}

/** Counters are numbers as long as a double holds them exactly, decimal strings beyond. */
function plain(_: string, item: unknown): unknown {
  if (typeof item === 'bigint') return item <= Number.MAX_SAFE_INTEGER ? Number(item) : item.toString();
  return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item;
}

export function formatJson(value: unknown): string {
  return JSON.stringify(value, plain, 2);
}

export function printJson(value: unknown): void {
  print(formatJson(value));
}

/** For streams of JSON: one value to a line. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value, plain);
}

const magnitudes = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** A number for people: exact up to 99999, then three digits and a power of 1000: 123k, 1.23M. */
export function count(value: number | bigint): string {
  if (value < 100_000) return String(value);
  let rest = Number(value);
  let magnitude = 0;
  while (rest >= 999.5 && magnitude < magnitudes.length - 1) {
    rest /= 1000;
    magnitude++;
  }
  return `${rest.toFixed(rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0)}${magnitudes[magnitude]}`;
}

/** "1 change", "2 changes" */
export function counted(number: number, noun: string, many: string = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : many}`;
}

/** Of ISO 8601: seconds are enough for people. */
export function time(iso: string): string {
  return iso.replace(/\.\d+Z$/, 'Z');
}

/** Pads every column to its widest cell. Columns named in `right` are aligned to the right. */
export function columns(cells: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const rows = cells.map((row) => row.map(cellText));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** A cell is one line. */
export function cellText(cell: string): string {
  return /[\n\t]/.test(cell) ? visible(cell) : cell;
}

/** Asks on the terminal; no answer is a no. */
export async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Ctrl-C and ctrl-D end the question by an error.
    const answer = await terminal.question(`${question} [y/N] `).catch(() => '\n');
    if (/^y(es)?$/i.test(answer.trim())) return true;
    complain(`${answer === '\n' ? '\n' : ''}nothing changed`);
    return false;
  } finally {
    terminal.close();
  }
}

export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}
