/** What docs/performance.md and docs/flood.md say of figures: those of bench/results/, and no others. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { aboutOf, tablesOf } from '../../bench/report.mjs';

/** @typedef {import('../../bench/report.mjs').Result} Result */

/**
 * Every result that is kept, in the order of their names.
 * @param {string} root of the project
 * @param {string} [kind] the folder of those that are kept apart
 * @returns {Result[]}
 */
export function keptResults(root, kind = '') {
  const folder = join(root, 'bench', 'results', kind);
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : [];
  return files.sort().map((file) => {
    /** @type {Result} */
    const result = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    if (result.bed !== basename(file, '.json')) throw new Error(`${join(folder, file)} is of the bed ${result.bed}`);
    return result;
  });
}

/** @param {readonly Result[]} results */
export function resultsInMarkdown(results) {
  return results.map(resultInMarkdown).join('\n\n');
}

/** @param {Result} result */
function resultInMarkdown(result) {
  const tables = result.sections.flatMap((section) => {
    const { rows, gates } = tablesOf(section);
    const picture = section.flood ? [`![The table, the memory and the honest client](flood-${result.bed}.svg)`] : [];
    return [grid(rows), ...(gates.length > 0 ? [grid(gates)] : []), ...picture];
  });
  const about = aboutOf(result).map(([name, value]) => `- ${name}: ${value}`);
  return [`## On the bed ${result.bed}`, about.join('\n'), ...tables].join('\n\n');
}

/** @param {readonly (readonly string[])[]} table its heading first; the first column is text, the others are numbers */
function grid(table) {
  const [heading = [], ...rows] = table.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(' | ')} |`.replace(/\| {2}(?=\|)/g, '| ');
  return [line(heading), `|---|${'---:|'.repeat(heading.length - 1)}`, ...rows.map(line)].join('\n');
}
