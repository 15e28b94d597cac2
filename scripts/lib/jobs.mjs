/** Runs jobs side by side: a line for each change of state, and the output of those that fail. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Job
 * @property {string} name
 * @property {readonly string[]} command
 * @property {number} seconds it is expected to take; the longest start first
 * @property {() => string} [words] for its last line: what it found
 *
 * @typedef {Job & { status: number, tookSeconds: number }} Ended status: the command's, or 128 and more if it was killed
 *
 * @typedef {object} Options
 * @property {string} logs folder for their output
 * @property {number} atOnce how many run at the same time
 * @property {boolean} [show] pass on the output as it comes
 */

/** @param {readonly Job[]} jobs @param {Options} options @returns {Promise<Ended[]>} */
export async function runJobs(jobs, { logs, atOnce, show = false }) {
  const begun = performance.now();
  const since = (/** @type {number} */ ms) => Math.round((performance.now() - ms) / 1000);
  const width = Math.max(...jobs.map(({ name }) => name.length));
  /** @param {Job} job @param {string} state */
  const say = ({ name }, state) =>
    console.log(`${String(since(begun)).padStart(4)} s  ${name.padEnd(width)}  ${state}`);

  const waiting = jobs.toSorted((a, b) => b.seconds - a.seconds);
  /** @type {Map<string, Promise<Ended>>} */
  const running = new Map();
  /** @type {Ended[]} */
  const ended = [];

  /** @param {Job} job @returns {Promise<Ended>} */
  async function run(job) {
    say(job, 'started');
    const start = performance.now();
    const log = join(logs, `${job.name}.log`);
    const status = await execute(job.command, log, show);
    const one = { ...job, status, tookSeconds: since(start) };
    running.delete(job.name);
    ended.push(one);
    say(job, `${status === 0 ? 'passed' : `FAILED (${status})`}  ${job.words?.() ?? ''}  ${one.tookSeconds} s`);
    if (status !== 0 && !show) console.log(indented(readFileSync(log, 'utf8')));
    return one;
  }

  while (waiting.length > 0 || running.size > 0) {
    for (const job of waiting.splice(0, atOnce - running.size)) running.set(job.name, run(job));
    await Promise.race(running.values());
  }
  return ended;
}

/** @param {readonly string[]} command @param {string} log @param {boolean} show @returns {Promise<number>} */
function execute([file = '', ...args], log, show) {
  const output = openSync(log, 'w');
  // A group of its own: what the job started ends with it.
  const child = spawn(file, args, {
    stdio: ['ignore', show ? 'inherit' : output, show ? 'inherit' : output],
    detached: true,
  });
  closeSync(output);
  const stop = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGTERM');
  };
  process.on('exit', stop);
  return new Promise((resolve) => {
    /** @param {number | null} code */
    const end = (code) => {
      process.off('exit', stop);
      resolve(code ?? 128);
    };
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`);
      end(127);
    });
    child.on('close', end);
  });
}

const KEPT_LINES = 400;

/** @param {string} text */
function indented(text) {
  const lines = text.trimEnd().split('\n');
  const left = lines.length - KEPT_LINES;
  return [...(left > 0 ? [`… ${left} lines before`] : []), ...lines.slice(-KEPT_LINES)]
    .map((line) => `    ${line}`)
    .join('\n');
}
