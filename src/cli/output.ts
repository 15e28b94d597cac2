/** What commands print: columns for people, JSON for programs. */
import { styleText } from 'node:util';
import type { GlobalOptions } from './globals.ts';

type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';
export type Paint = (style: Style, text: string) => string;

/** Colours on a terminal, unless --no-color or NO_COLOR says otherwise. */
export function painter({ color }: GlobalOptions): Paint {
  const wanted = color ?? (process.stdout.isTTY === true && !process.env['NO_COLOR']);
  // Whether to colour is decided here: styleText() would look at stdout once more.
  return wanted ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Counters are numbers as long as a double holds them exactly, decimal strings beyond. */
export function printJson(value: unknown): void {
  print(
    JSON.stringify(
      value,
      (_, item) => {
        if (typeof item === 'bigint') return item <= Number.MAX_SAFE_INTEGER ? Number(item) : item.toString();
        return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item;
      },
      2,
    ),
  );
}

/** Pads every column to its widest cell. Columns named in `right` are aligned to the right. */
export function columns(rows: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
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

/** Asks on the terminal; false without one. */
export async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}
