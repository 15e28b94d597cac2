/**
 * A reporter of vitest for scripts/test: what passed, what failed, what was skipped and why, on which kernel.
 * It writes a Tally as JSON into the file of --outputFile.tally. A test has failed if it did not run and gives no
 * reason, and if it skips in a bed whose list (beds.mjs) does not have it.
 */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { maySkip } from './beds.mjs';

/**
 * @typedef {object} Tally
 * @property {string} linux
 * @property {number} passed
 * @property {number} failed tests, those that did not run, and files and hooks that failed beside them
 * @property {{ test: string, reason: string }[]} skipped
 * @property {string[]} notRun without a reason, or with one that the bed's list does not have
 * @property {TimedFile[]} files
 *
 * @typedef {object} TimedFile
 * @property {string} file
 * @property {number} seconds
 * @property {number} processes that the system started meanwhile; 0 where the file's setup does not count them
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
  const bed = process.env['IPVS_BED'];
  /** @param {string} test */
  const allowed = (test) => bed === undefined || maySkip(bed, test);
  const skipped = states.flatMap(({ test, result }) =>
    result.state === 'skipped' && result.note && allowed(test) ? [{ test, reason: result.note }] : [],
  );
  const notRun = states.flatMap(({ test, result }) => {
    if (result.state === 'pending' || (result.state === 'skipped' && !result.note)) return [test];
    return result.state === 'skipped' && !allowed(test) ? [`${test}: ${result.note}`] : [];
  });
  const files = modules.map((module) => {
    const { collectDuration, duration, prepareDuration, setupDuration } = module.diagnostic();
    return {
      file: module.relativeModuleId,
      seconds: Math.round((collectDuration + duration + prepareDuration + setupDuration) / 100) / 10,
      processes: Number(/** @type {{ processes?: number }} */ (module.meta()).processes ?? 0),
    };
  });
  const beside = errors.length + suites.filter((suite) => suite.errors().length > 0).length;
  return { linux: release(), passed, failed: failed + notRun.length + beside, skipped, notRun, files };
}

/** @param {TestCase} test */
function nameOf(test) {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}
