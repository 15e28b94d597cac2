// What bench/kernel.mjs found, as tables.

/**
 * The milliseconds of every run, by case.
 * @typedef {Map<string, number[]>} Rows
 */

/**
 * For a quotient.
 * @typedef {{ atLeast?: number, atMost?: number, goal?: number }} Bounds
 */

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/**
 * @param {string} title
 * @param {Rows} rows
 * @param {number} objects per run
 */
export function tableOf(title, rows, objects) {
  const lines = Array.from(rows, ([name, ms]) => {
    const middle = median(ms);
    return [name, digits(middle), digits(Math.min(...ms)), digits((middle * 1000) / objects), String(ms.length)];
  });
  return aligned([[title, 'median ms', 'min ms', 'µs/object', 'runs'], ...lines]);
}

/**
 * @param {Rows} rows
 * @param {string} dividend
 * @param {string} divisor
 * @param {Bounds} bounds
 */
export function judged(rows, dividend, divisor, bounds) {
  const [above = [], below = []] = [rows.get(dividend), rows.get(divisor)];
  const ratio = median(above) / median(below);
  const ofMinima = Math.min(...above) / Math.min(...below);
  return { name: `${dividend} / ${divisor}`, ratio, ofMinima, ...bounds };
}

/** @param {readonly ReturnType<typeof judged>[]} gates */
export function gatesTable(gates) {
  const lines = gates.map(({ name, ratio, ofMinima, atLeast, atMost, goal }) => {
    const sign = atLeast === undefined ? '≤' : '≥';
    const met = (/** @type {number | undefined} */ bound) =>
      bound !== undefined && (atLeast === undefined ? ratio <= bound : ratio >= bound);
    const gate = atLeast ?? atMost;
    return [
      name,
      digits(ratio),
      digits(ofMinima),
      `${sign} ${gate}`,
      goal === undefined ? '' : `${sign} ${goal}`,
      met(goal) ? 'goal met' : met(gate) ? 'met' : 'NOT MET',
    ];
  });
  return aligned([['ratio', 'of medians', 'of minima', 'gate', 'goal', ''], ...lines]);
}

/** @param {number} value */
function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {string[][]} rows the first column is text, the others are numbers */
function aligned(rows) {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
}
