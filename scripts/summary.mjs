// The end of scripts/test: a table of all that ran, the tests that were skipped and why, and the last line.
//
//   node scripts/summary.mjs FOLDER CHECKS-PASSED CHECKS-FAILED SUITE=EXIT-STATUS...
//
// Of each suite FOLDER has a tally (scripts/lib/tally.mjs), unless it broke off. Exit status 1 if anything failed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {import('./lib/tally.mjs').Tally & { name: string }} Row */

const [folder = '', checksPassed, checksFailed, ...suites] = process.argv.slice(2);

/** @param {string} name @param {string} status @returns {Row} */
function rowOf(name, status) {
  /** @type {Row} */
  let row = { name, linux: '?', passed: 0, failed: 0, skipped: [], notRun: [] };
  try {
    row = { name, ...JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) };
  } catch {
    // No tally: the run broke off.
  }
  // Whatever else went wrong, and a suite without tests, is a failure.
  if (row.failed === 0 && (status !== '0' || row.passed === 0)) row.failed = 1;
  return row;
}

/** @type {Row[]} */
const rows = [
  { name: 'checks', linux: '', passed: Number(checksPassed), failed: Number(checksFailed), skipped: [], notRun: [] },
  ...suites.map((suite) => {
    const [name = '', status = ''] = suite.split('=');
    return rowOf(name, status);
  }),
];

/** @param {(row: Row) => number} count */
const total = (count) => rows.reduce((sum, row) => sum + count(row), 0);
const passed = total((row) => row.passed);
const failed = total((row) => row.failed);
const skipped = total((row) => row.skipped.length);

/** @param {string[]} cells */
const line = ([name = '', linux = '', ...counts]) =>
  console.log(name.padEnd(10) + linux.padEnd(28) + counts.map((count) => count.padStart(9)).join(''));

line(['', 'Linux', 'passed', 'failed', 'skipped']);
for (const row of rows) {
  line([row.name, row.linux, ...[row.passed, row.failed, row.skipped.length].map(String)]);
}
if (skipped > 0) console.log('\nSkipped:');
for (const { name, skipped } of rows) {
  for (const { test, reason } of skipped) console.log(`${name}: ${test}: ${reason}`);
}
if (total((row) => row.notRun.length) > 0) console.log('\nFailed, as they did not run and give no reason:');
for (const { name, notRun } of rows) {
  for (const test of notRun) console.log(`${name}: ${test}`);
}
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;
