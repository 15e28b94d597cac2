// What a bench found, as data and as text.
import { floodTable } from './flood-report.mjs';

/**
 * The milliseconds of every run, by case.
 * @typedef {Map<string, number[]>} Times
 *
 * A bench gives sections; whatever it measures, they are shown and kept alike.
 * @typedef {object} Section
 * @property {string} title
 * @property {number} [objects] made or read in one run: a row is divided by them
 * @property {Row[]} rows
 * @property {Gate[]} gates
 * @property {import('./flood-report.mjs').Flood} [flood] instead of rows: its figures are not times alone
 *
 * @typedef {{ name: string, runs: number, medianMs: number, minMs: number }} Row
 *
 * A quotient of two rows, what is wanted of it, and what was reached: the goal, the gate before it, nothing; null where
 * nothing is wanted. It is the medians that count.
 * @typedef {Bounds & { name: string, ofMedians: number, ofMinima: number, met: 'goal' | 'gate' | 'no' | null }} Gate
 * @typedef {{ atLeast?: number, atMost?: number, goal?: number }} Bounds
 *
 * @typedef {readonly [dividend: string, divisor: string, bounds: Bounds]} Comparison
 */

/**
 * All of a run, as bench/results/ keeps it.
 * @typedef {object} Result
 * @property {string} bed where it was measured: the name of its file
 * @property {Machine} machine
 * @property {number} runs
 * @property {Section[]} sections
 *
 * The machine that the bed runs on, and what it looks like from inside.
 * @typedef {object} Machine
 * @property {string} date when the measuring ended, in UTC
 * @property {string} commit with "+" where files were changed and not committed
 * @property {string} cpu
 * @property {number} cpus
 * @property {{ before: number, after: number }} load averages of a minute
 * @property {boolean} quiet whether nothing else of note ran beside it
 * @property {import('./main.mjs').Measured['inside']} inside
 */

/**
 * @param {string} title
 * @param {Times} times
 * @param {{ objects?: number, comparisons?: readonly Comparison[] }} about
 * @returns {Section}
 */
export function sectionOf(title, times, { objects, comparisons = [] }) {
  const rows = Array.from(times, ([name, ms]) => ({
    name,
    runs: ms.length,
    medianMs: rounded(median(ms)),
    minMs: rounded(Math.min(...ms)),
  }));
  const gates = comparisons.map((comparison) => gateOf(rows, comparison));
  return { title, ...(objects !== undefined && { objects }), rows, gates };
}

/**
 * @param {readonly Row[]} rows
 * @param {Comparison} comparison
 * @returns {Gate}
 */
export function gateOf(rows, [dividend, divisor, bounds]) {
  const [above, below] = [dividend, divisor].map((name) => rows.find((row) => row.name === name));
  if (!above || !below) throw new Error(`there is no row "${above ? divisor : dividend}"`);
  const ofMedians = rounded(above.medianMs / below.medianMs);
  const { atLeast, atMost, goal } = bounds;
  const reached = (/** @type {number | undefined} */ bound) =>
    bound !== undefined && (atLeast === undefined ? ofMedians <= bound : ofMedians >= bound);
  const wanted = atLeast ?? atMost;
  return {
    name: `${dividend} / ${divisor}`,
    ofMedians,
    ofMinima: rounded(above.minMs / below.minMs),
    ...bounds,
    met: wanted === undefined ? null : reached(goal) ? 'goal' : reached(wanted) ? 'gate' : 'no',
  };
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/**
 * Four digits are more than any of this is good for.
 * @param {number} value
 */
function rounded(value) {
  return Number(value.toPrecision(4));
}

/**
 * Each a table of texts, its heading first: the rows, and what was compared.
 * @param {Section} section
 */
export function tablesOf({ title, objects, rows, gates, flood }) {
  if (flood) return { rows: floodTable(title, flood.cases), gates: [] };
  const lines = rows.map(({ name, runs, medianMs, minMs }) => [
    name,
    digits(medianMs),
    digits(minMs),
    ...(objects === undefined ? [] : [digits((medianMs * 1000) / objects)]),
    String(runs),
  ]);
  const compared = gates.map(({ name, ofMedians, ofMinima, atLeast, atMost, goal, met }) => {
    const sign = atLeast === undefined ? '≤' : '≥';
    const bound = (/** @type {number | undefined} */ number) => (number === undefined ? '' : `${sign} ${number}`);
    return [name, digits(ofMedians), digits(ofMinima), bound(atLeast ?? atMost), bound(goal), words[met ?? 'none']];
  });
  const perObject = objects === undefined ? [] : ['µs/object'];
  return {
    rows: [[title, 'median ms', 'min ms', ...perObject, 'runs'], ...lines],
    gates: gates.length === 0 ? [] : [['ratio', 'of medians', 'of minima', 'gate', 'goal', ''], ...compared],
  };
}

const words = { goal: 'goal met', gate: 'met', no: 'NOT MET', none: '' };

/** @param {number} value */
function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/**
 * Under which circumstances, line by line.
 * @param {Result} result
 * @returns {[name: string, value: string][]}
 */
export function aboutOf({ bed, machine, runs }) {
  const { date, commit, cpu, cpus, load, quiet, inside } = machine;
  return [
    ['bed', `${bed} (${inside.kind}), processors: ${inside.cpus}`],
    ['kernel', inside.kernel],
    ['node', inside.node],
    ...Object.entries(inside.peers),
    ['machine', `${cpu}, processors: ${cpus}`],
    ['load', `${load.before} before, ${load.after} after: ${quiet ? 'quiet' : 'NOT QUIET, other things ran too'}`],
    ['commit', commit],
    ['date', date],
    ['runs', String(runs)],
    ...(inside.kind === 'uml' ? [/** @type {[string, string]} */ (['distorts', umlDistortion])] : []),
  ];
}

/** A figure of a fast bed differs from one of hardware by this. */
const umlDistortion =
  'one processor, no SMP; system calls and page faults cost several times more than on hardware, RCU grace periods next to nothing';

/**
 * For a terminal.
 * @param {readonly (readonly string[])[]} table the first column is text, the others are numbers
 */
export function aligned(table) {
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  return table
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
}
