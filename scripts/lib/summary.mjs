/**
 * The end of scripts/test: a table of all that ran, the tests that were skipped and why, and the last line.
 * A job is a suite, which has a tally (tally.mjs) unless it broke off, or a check, which counts as one test.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {import('./tally.mjs').Tally & { name: string }} Row */
/** @typedef {{ name: string, status: number, isSuite: boolean }} Result status: its exit status */

/** @type {import('./tally.mjs').Tally} */
const nothing = { linux: '?', passed: 0, failed: 0, skipped: [], notRun: [], files: [] };

/** @param {string} folder @param {string} name */
function tallyOf(folder, name) {
  try {
    return { ...nothing, ...JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) };
  } catch {
    return nothing; // it broke off
  }
}

/** @param {string} folder of the tallies @param {readonly Result[]} results @returns {boolean} whether all passed */
export function printSummary(folder, results) {
  const checks = results.filter(({ isSuite }) => !isSuite);
  const checksPassed = checks.filter(({ status }) => status === 0).length;
  /** @type {Row[]} */
  const rows = results
    .filter(({ isSuite }) => isSuite)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, status }) => {
      const row = { name, ...tallyOf(folder, name) };
      // Anything else that went wrong is a failure, and so is a suite without tests.
      return row.failed === 0 && (status !== 0 || row.passed === 0) ? { ...row, failed: 1 } : row;
    });
  if (checks.length > 0) {
    rows.unshift({ ...nothing, name: 'checks', linux: '', passed: checksPassed, failed: checks.length - checksPassed });
  }

  /** @param {(row: Row) => number} count */
  const total = (count) => rows.reduce((sum, row) => sum + count(row), 0);
  const passed = total((row) => row.passed);
  const failed = total((row) => row.failed);
  const skipped = total((row) => row.skipped.length);
  /** @param {readonly string[]} cells */
  const line = ([name = '', linux = '', ...counts]) =>
    console.log(name.padEnd(12) + linux.padEnd(28) + counts.map((count) => count.padStart(9)).join(''));
  console.log();
  line(['', 'Linux', 'passed', 'failed', 'skipped']);
  for (const row of rows) line([row.name, row.linux, ...[row.passed, row.failed, row.skipped.length].map(String)]);
  if (skipped > 0) console.log('\nSkipped:');
  for (const { name, skipped } of rows) {
    for (const { test, reason } of skipped) console.log(`${name}: ${test}: ${reason}`);
  }
  if (total((row) => row.notRun.length) > 0) console.log('\nFailed: tests that did not run, and may not skip here:');
  for (const { name, notRun } of rows) {
    for (const test of notRun) console.log(`${name}: ${test}`);
  }
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return failed === 0;
}

/** The files of every suite, the slowest first. @param {string} folder @param {readonly Result[]} results */
export function printTiming(folder, results) {
  const files = results
    .filter(({ isSuite }) => isSuite)
    .flatMap(({ name }) =>
      tallyOf(folder, name).files.map((/** @type {import('./tally.mjs').TimedFile} */ file) => ({ name, ...file })),
    );
  console.log('\n seconds  processes  file');
  for (const { name, file, seconds, processes } of files.toSorted((a, b) => b.seconds - a.seconds)) {
    console.log(`${seconds.toFixed(1).padStart(8)}  ${String(processes || '').padStart(9)}  ${name}: ${file}`);
  }
}
