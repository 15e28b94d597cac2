// The jobs of scripts/test, which has the help text.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runJobs } from './lib/jobs.mjs';
import { printSummary, printTiming } from './lib/summary.mjs';

const results = '.cache/test';
/** The times of the last runs, for all clones of this user. */
const timesFile = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipvs-director', 'test-times.json');

const { values: options, positionals: words } = readWords();
const matrix = options.matrix || options.full ? ['fast-full', 'bookworm', 'trixie', 'sid'] : [];
/** @type {Record<string, number>} */
const times = existsSync(timesFile) ? JSON.parse(readFileSync(timesFile, 'utf8')) : {};
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

/** @param {string} name @param {readonly string[]} command @param {number} seconds where no run has measured it */
const check = (name, command, seconds) => ({ name, command, seconds: times[name] ?? seconds, isSuite: false });

/** @param {string} name @param {readonly string[]} command @param {number} seconds */
function suite(name, command, seconds) {
  const tally = join(results, `${name}.json`);
  const reporters = ['--reporter=default', '--reporter=./scripts/lib/tally.mjs', `--outputFile.tally=${tally}`];
  const found = () => {
    const { passed, failed, skipped } = JSON.parse(readFileSync(tally, 'utf8'));
    return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
  };
  return {
    ...check(name, [...command, ...reporters], seconds),
    words: () => (existsSync(tally) ? found() : 'broke off'),
    isSuite: true,
  };
}

const vitest = 'node_modules/.bin/vitest';
/** @param {string} kernel @param {readonly string[]} more of vitest */
const inBed = (kernel, ...more) => [
  ...['scripts/bed', '--kernel', kernel, '--timeout', kernel.startsWith('fast') ? '4500' : '9000', '--'],
  ...[vitest, 'run', '--project', 'kernel', ...more],
];

/** The kernel tests of a bed, shared between several: a bed uses one processor. @param {string} bed */
function kernelJobs(bed, name = 'kernel') {
  const count = bed === 'host' ? 1 : Math.max(2, Math.min(4, availableParallelism()));
  return Array.from({ length: count }, (_, i) =>
    suite(`${name}-${i + 1}`, inBed(bed, '--shard', `${i + 1}/${count}`), bed.startsWith('fast') ? 400 : 3000),
  );
}

/** Runs some files on a stock kernel of Debian every time: the fast beds' kernels are configured otherwise. */
const smoke = () => suite('smoke', inBed('bookworm', ...smokeFiles), 200);
const smokeFiles = [
  'module',
  'services',
  'destinations',
  'refusals',
  'conformance',
  'connections',
  'example',
  'nft',
].map((name) => `test/kernel/${name}.test.ts`);

const hostJobs = [
  check('lint', ['npm', 'run', '--silent', 'lint'], 4),
  check('types', ['npm', 'run', '--silent', 'types'], 23),
  check('unused', ['npm', 'run', '--silent', 'unused'], 4),
  check('package', ['scripts/check-package'], 41),
  check('shell', ['scripts/check-shell'], 3),
  suite('unit', [vitest, 'run', '--project', 'unit'], 77),
  // A hang is a failure too.
  suite('fuzz', ['timeout', '600', vitest, 'run', '--project', 'fuzz'], 66),
  check('simulation', ['npm', 'run', '--silent', 'simulate', '--', '--seconds', '30'], 32),
  check('sanitizers', ['scripts/test-asan', '--host-only'], 60),
];

/** Servers and clients of the kernel tests; peers. */
const kernelTestPackages = [
  ...['iproute2', 'iptables', 'nftables', 'ipvsadm', 'curl', 'python3-pyftpdlib', 'sip-tester', 'conntrack'],
  // Nothing starts it: its unit and its script want /etc/keepalived/keepalived.conf, which comes with no package.
  'keepalived',
];

const isPart = words.length > 0 || options.changed;
/** @type {ReturnType<typeof check>[]} */
let jobs = [];
if (isPart) {
  const { unit, fuzz, kernel } = await filesOf();
  if (unit.length > 0) jobs.push(suite('unit', [vitest, 'run', '--project', 'unit', ...unit], 10));
  if (fuzz.length > 0) jobs.push(suite('fuzz', [vitest, 'run', '--project', 'fuzz', ...fuzz], 10));
  if (kernel.length > 0) {
    needs(...kernelTestPackages);
    jobs.push(suite('kernel', inBed(options.kernel ?? 'auto', ...kernel), 20));
  }
  if (jobs.length === 0) {
    console.log(
      options.changed ? 'no test file is reached by the changes' : `no test file is named so: ${words.join(' ')}`,
    );
    process.exit(options.changed ? 0 : 64);
  }
} else {
  jobs = wholeRun(options.only ?? []);
}

for (const [signal, number] of /** @type {const} */ ([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
])) {
  // The jobs end with this process.
  process.on(signal, () => process.exit(128 + number));
}
// One kernel test file is watched as it goes.
const isAlone = jobs.length === 1;
const ended = await runJobs(jobs, { logs: results, atOnce: Math.max(2, availableParallelism()) + 1, show: isAlone });
if (options.lab || options.full) {
  // The machines stay up when a test failed, to be looked at.
  const lab = suite('lab', ['scripts/lab', 'test', 'full'], 2400);
  ended.push(...(await runJobs([lab], { logs: results, atOnce: 1 })));
  if (ended.at(-1)?.status === 0) {
    ended.push(...(await runJobs([check('destroy', ['scripts/lab', 'destroy'], 30)], { logs: results, atOnce: 1 })));
  }
}
if (!isPart) rememberTimes();
const rows = ended.map(({ name, status }) => ({
  name,
  status,
  isSuite: jobs.find((job) => job.name === name)?.isSuite ?? name === 'lab',
}));
if (options.timing) printTiming(results, rows);
process.exitCode = printSummary(results, rows) ? 0 : 1;

/** All jobs, or those that are named. @param {readonly string[]} names */
function wholeRun(names) {
  // The compiler of the other architecture is for the layout of structs.
  const cross = process.arch === 'arm64' ? 'x86-64' : 'aarch64';
  const headers = process.arch === 'arm64' ? 'amd64' : 'arm64';
  needs(...kernelTestPackages, 'shellcheck', 'cmake', `gcc-${cross}-linux-gnu`, `libc6-dev-${headers}-cross`);
  const groupOf = (/** @type {string} */ name) => name.replace(/-\d+$/, '');
  const known = [
    ...new Set([...hostJobs.map(({ name }) => name), ...(matrix.length > 0 ? matrix : ['kernel', 'smoke'])]),
  ];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    console.error(`scripts/test: there is no job "${unknown}"; there are ${known.join(', ')}`);
    process.exit(64);
  }
  const wants = (/** @type {string} */ name) => names.length === 0 || names.includes(groupOf(name));
  const kernelTests = () => {
    if (matrix.length > 0) return matrix.filter(wants).flatMap((bed) => kernelJobs(bed, bed));
    const bed = wants('kernel') || wants('smoke') ? prepare(options.kernel ?? 'auto') : '';
    return [...kernelJobs(bed), ...(bed.startsWith('fast') ? [smoke()] : [])];
  };
  return [...hostJobs, ...kernelTests()].filter(({ name }) => wants(name));
}

/** Each job's time, and each kernel test file's: the next run shares the files between the beds by them. */
function rememberTimes() {
  for (const { name, tookSeconds, status } of ended) if (status === 0) times[name] = tookSeconds;
  for (const { name } of ended.filter(({ name }) => /^kernel/.test(name))) {
    const tally = join(results, `${name}.json`);
    if (!existsSync(tally)) continue;
    for (const { file, seconds } of JSON.parse(readFileSync(tally, 'utf8')).files) times[file] = seconds;
  }
  mkdirSync(dirname(timesFile), { recursive: true });
  writeFileSync(timesFile, JSON.stringify(times, null, 1));
}

/** Installs packages that are missing. @param {readonly string[]} packages */
function needs(...packages) {
  const { status } = spawnSync(join(import.meta.dirname, 'needs'), packages, { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

/** Gets a bed's kernel ready; returns the name of the bed that it is. @param {string} kernel */
function prepare(kernel) {
  try {
    return execFileSync(join(import.meta.dirname, 'bed'), ['--prepare', '--kernel', kernel], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim();
  } catch {
    process.exit(1);
  }
}

/** The test files that the words of the command line, or the uncommitted changes, name; by project. */
async function filesOf() {
  const list = (/** @type {string} */ project, /** @type {string[]} */ ...more) =>
    execFileSync(vitest, ['list', '--filesOnly', '--project', project, ...more], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
      .split('\n')
      .flatMap((line) => /(test\/\S+\.test\.ts)/.exec(line)?.[1] ?? []);
  const more = options.changed ? ['--changed'] : words;
  return { unit: list('unit', ...more), fuzz: list('fuzz', ...more), kernel: list('kernel', ...more) };
}

function readWords() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string', multiple: true },
        changed: { type: 'boolean' },
        kernel: { type: 'string' },
        matrix: { type: 'boolean' },
        full: { type: 'boolean' },
        lab: { type: 'boolean' },
        timing: { type: 'boolean' },
      },
    });
  } catch (error) {
    console.error(`scripts/test: ${error instanceof Error ? error.message : error} (see --help)`);
    process.exit(64);
  }
}
