// Fresh network namespaces, and programs run and timed in them.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const timedProgram = fileURLToPath(new URL('./timed', import.meta.url));
const limitProgram = fileURLToPath(new URL('../.cache/bench/limit', import.meta.url));

/** Nothing here may hang for ever: an emulated kernel needs a minute for the longest. */
const TIMEOUT_MS = 600_000;
const SETTLE_MS = 10_000;

let made = 0;

/**
 * A deleted destination stays for minutes in a list that every later one is looked up in. So what is measured begins
 * in a namespace that had none, and ends with the removal of the namespace.
 * @template T
 * @param {(netns: string) => Promise<T>} work
 */
export async function inFreshNamespace(work) {
  const name = `ipvs-bench-${process.pid}-${++made}`;
  await run('ip', ['netns', 'add', name]);
  try {
    // Without it the kernel has no route to any destination.
    await run('ip', ['-netns', name, 'link', 'set', 'lo', 'up']);
    await settle();
    return await work(name);
  } finally {
    await run('ip', ['netns', 'delete', name]);
  }
}

/**
 * Runs the C program; returns the milliseconds without its start.
 * @param {string} netns
 * @param {string[]} args
 */
export async function limit(netns, ...args) {
  const { stdout } = await inside(netns, [limitProgram, ...args]);
  return Number(stdout) / 1000;
}

/**
 * Milliseconds of a whole process, from its start to its end.
 * @param {string} netns
 * @param {string[]} command
 * @param {string} input the file that is its standard input
 */
export async function wholeProcess(netns, command, input = '/dev/null') {
  const { stdout } = await inside(netns, [timedProgram, input, ...command]);
  return Number(stdout) / 1000;
}

/**
 * @param {string} netns
 * @param {string[]} command
 */
function inside(netns, command) {
  return run('ip', ['netns', 'exec', netns, ...command], { timeout: TIMEOUT_MS });
}

/** Waits until the processors have nothing to do: the removal of a namespace goes on behind our back. */
export async function settle() {
  const deadline = performance.now() + SETTLE_MS;
  for (let calm = 0; calm < 2 && performance.now() < deadline; ) {
    const before = processorTimes();
    await wait(100);
    const after = processorTimes();
    calm = after.idle - before.idle >= 0.8 * (after.total - before.total) ? calm + 1 : 0;
  }
}

function processorTimes() {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const times = line.split(/\s+/).slice(1).map(Number);
  const total = times.reduce((sum, time) => sum + time, 0);
  return { idle: (times[3] ?? 0) + (times[4] ?? 0), total };
}
