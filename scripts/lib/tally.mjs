/**
 * A reporter of vitest for scripts/test: what passed, what failed, what was skipped and why, on which kernel.
 * It writes a Tally as JSON into the file of --outputFile.tally. A test that did not run and gives no reason
 * has failed.
 */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';

/**
 * @typedef {object} Tally
 * @property {string} linux
 * @property {number} passed
 * @property {number} failed tests, those that did not run, and files and hooks that failed beside them
 * @property {{ test: string, reason: string }[]} skipped
 * @property {string[]} notRun without a reason
 *
 * @typedef {import('vitest/node').Reporter} Reporter
 * @typedef {import('vitest/node').TestModule} TestModule
 * @typedef {import('vitest/node').TestCase} TestCase
 */

/** @implements {Reporter} */
export default class TallyReporter {
  #file = '';

  /** @param {import('vitest/node').Vitest} vitest */
  onInit({ config: { outputFile } }) {
    const file = typeof outputFile === 'object' ? outputFile['tally'] : undefined;
    if (file === undefined) throw new Error('the tally needs --outputFile.tally=FILE');
    this.#file = file;
  }

  /** @param {readonly TestModule[]} modules @param {readonly unknown[]} errors of no test */
  onTestRunEnd(modules, errors) {
    writeFileSync(this.#file, JSON.stringify(tally(modules, errors)));
  }
}

/** @param {readonly TestModule[]} modules @param {readonly unknown[]} errors @returns {Tally} */
function tally(modules, errors) {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const states = tests.map((test) => ({ test: nameOf(test), result: test.result() }));
  const passed = states.filter(({ result }) => result.state === 'passed').length;
  const failed = states.filter(({ result }) => result.state === 'failed').length;
  const skipped = states.flatMap(({ test, result }) =>
    result.state === 'skipped' && result.note ? [{ test, reason: result.note }] : [],
  );
  const notRun = states.flatMap(({ test, result }) =>
    result.state === 'pending' || (result.state === 'skipped' && !result.note) ? [test] : [],
  );
  const beside = errors.length + suites.filter((suite) => suite.errors().length > 0).length;
  return { linux: release(), passed, failed: failed + notRun.length + beside, skipped, notRun };
}

/** @param {TestCase} test */
function nameOf(test) {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}
