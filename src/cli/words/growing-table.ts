/** A table that may be endless, so it cannot be measured beforehand: columns begin with a width, and grow with what comes. */
import { cellText, type Paint } from './output.ts';

export interface GrowingColumn {
  readonly title: string;
  readonly width: number;
  readonly right?: boolean;
}

export interface GrowingRow {
  readonly cells: readonly string[];
  readonly dim?: boolean;
}

/** The text of some rows more, each line with its end; before the first ones stand the titles. */
export function growingTable(columns: readonly GrowingColumn[], paint: Paint): (rows: readonly GrowingRow[]) => string {
  const widths = columns.map(({ width }) => width);
  let head: readonly string[] | undefined = columns.map(({ title }) => title);
  return (given) => {
    const rows = given.map(({ cells, dim }) => ({ cells: cells.map(cellText), dim }));
    for (const { cells } of rows) {
      for (const [i, width] of widths.entries()) widths[i] = Math.max(width, cells[i]?.length ?? 0);
    }
    const padded = (cells: readonly string[]) =>
      cells
        .map((cell, i) => (columns[i]?.right ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd();
    const lines = rows.map(({ cells, dim = false }) => (dim ? paint('dim', padded(cells)) : padded(cells)));
    const all = [...(head ? [paint('dim', padded(head))] : []), ...lines];
    head = undefined;
    return all.map((line) => `${line}\n`).join('');
  };
}
