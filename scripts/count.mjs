// Prints "PASSED FAILED" of a vitest JSON report: node scripts/count.mjs REPORT EXIT-STATUS
import { readFileSync } from 'node:fs';

const [, , file = '', status] = process.argv;
let passed = 0;
let failed = 0;
try {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed = report.numPassedTests;
  // A file that does not load has no tests that could fail.
  failed =
    report.numFailedTests +
    report.testResults.filter((/** @type {any} */ r) => r.status === 'failed' && r.assertionResults.length === 0)
      .length;
} catch {
  // No report: the run broke off.
}
if (failed === 0 && (status !== '0' || passed === 0)) failed = 1;
console.log(passed, failed);
