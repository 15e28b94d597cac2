// Shows on one machine what this package does: a client, a director and three real servers, each in a
// network namespace of its own; a file applied; requests counted; one server taken out.
//
//   node scripts/demo.mjs [--columns N] [--no-kernel]
//
// Needs root, ip_vs and a build; scripts/demo sees to all three. --columns says that the output, though a
// pipe here, ends up on a terminal of that width. --no-kernel runs the commands on a model of the kernel's table,
// which needs a build alone, and leaves out the requests. Exit status 1 if anything did not hold.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { startLab } from './lib/lab.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist', 'cli', 'ipvs.js');

const servers = /** @type {const} */ ([
  { name: 'real1', ipv4: '10.0.0.11', ipv6: '2001:db8:a::11', color: 'cyan' },
  { name: 'real2', ipv4: '10.0.0.12', ipv6: '2001:db8:a::12', color: 'magenta' },
  { name: 'real3', ipv4: '10.0.0.13', ipv6: '2001:db8:a::13', color: 'yellow' },
]);

// The page

const { columns: asked, 'no-kernel': onModel = false } = parseArgs({
  options: { columns: { type: 'string' }, 'no-kernel': { type: 'boolean' } },
}).values;
const onTerminal = process.stdout.isTTY === true || asked !== undefined;
const columns = Number(asked) || process.stdout.columns || 80;
// Narrower, the lines of a picture would wrap, and drawing over it go wrong.
const live = onTerminal && columns >= 50;
const inColor = onTerminal && !process.env['NO_COLOR'];

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, magenta: 35, cyan: 36 };
/** @param {keyof typeof styles} style @param {string} text */
const paint = (style, text) => (inColor && text !== '' ? `\x1b[${styles[style]}m${text}\x1b[0m` : text);

/** @param {string} [text] */
function say(text = '') {
  for (const line of text.split('\n')) process.stdout.write(line === '' ? '\n' : `  ${line}\n`);
}

/**
 * Runs the product as its operator would: in the director's network namespace, or on a model of its table.
 * @param {string} folder
 * @param {string[]} words
 */
function ipvs(folder, ...words) {
  const model = onModel ? ['--transport', 'memory', '--state', table] : [];
  say(`${paint('dim', 'director$')} ${paint('bold', `ipvs ${words.join(' ')}`)}`);
  const inside = lab === undefined ? [] : ['ip', 'netns', 'exec', lab.director];
  const [file = '', ...command] = [...inside, process.execPath, program, ...words, ...model];
  const { status, stdout } = spawnSync(file, command, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, IPVS_DIRECTOR_STATE_DIR: record },
  });
  const lines = stdout.trimEnd().split('\n');
  const left = lines.length - 9;
  if (left > 1) lines.splice(7, left, `  … ${left} more lines`);
  for (const line of lines) {
    const clipped = onTerminal && line.length > columns - 3 ? `${line.slice(0, columns - 4)}…` : line;
    const sign = /^ *([+-]) /.exec(line)?.[1];
    const color = sign && (sign === '+' ? 'green' : 'red');
    say(color ? paint(color, clipped) : clipped);
  }
  say();
  if (status !== 0) throw new Error(`"ipvs ${words.join(' ')}" ended with status ${status}`);
}

/**
 * One bar for each server; its length is the share of the requests.
 * @param {Readonly<Record<string, number>>} counts
 * @param {ReadonlyMap<string, number>} weights of the servers that are in service
 */
function draw(counts, weights) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const weightSum = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const width = Math.max(8, Math.min(50, columns - 42));
  for (const { name, color } of servers) {
    const count = counts[name] ?? 0;
    const weight = weights.get(name);
    const got = total === 0 ? 0 : count / total;
    const filled = Math.round(got * width);
    const bar = paint(color, '█'.repeat(filled)) + paint('dim', '░'.repeat(width - filled));
    const share = `${(got * 100).toFixed(1)} %`.padStart(7);
    const expected =
      weight === undefined ? 'out of service' : `expected ${((weight / weightSum) * 100).toFixed(1).padStart(4)} %`;
    say(`${name}  ${bar} ${String(count).padStart(4)} ${share}  ${paint('dim', expected)}`);
  }
}

let sent = 0;
let failed = 0;
/** @type {string[]} */
const wrong = [];

/**
 * Sends requests and draws where they went; on a terminal, while they go.
 * @param {string} url
 * @param {number} count
 * @param {ReadonlyMap<string, number>} weights
 */
async function round(url, count, weights) {
  if (lab === undefined) return;
  say(`${paint('dim', 'client:')} ${paint('bold', `${count} requests to ${url}`)}`);
  /** @type {Record<string, number>} */
  const counts = Object.fromEntries(servers.map(({ name }) => [name, 0]));
  const parts = live ? 12 : 1;
  let failedHere = 0;
  for (let part = 0; part < parts; part++) {
    const outcome = await lab.send({ url, count: count / parts, concurrency: 8 });
    for (const [name, more] of Object.entries(outcome.servers)) counts[name] = (counts[name] ?? 0) + more;
    for (const [error, times] of Object.entries(outcome.errors)) wrong.push(`${url}: ${error} (${times} times)`);
    failedHere += outcome.failed;
    if (part > 0) process.stdout.write(`\x1b[${servers.length}A`);
    draw(counts, weights);
  }
  say(`       ${failedHere === 0 ? paint('green', '0 failed') : paint('red', `${failedHere} failed`)}`);
  say();
  sent += count;
  failed += failedHere;
  // Weighted round robin promises exact numbers, not just likely ones.
  const weightSum = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  for (const { name } of servers) {
    const promised = ((weights.get(name) ?? 0) * count) / weightSum;
    if (counts[name] !== promised) wrong.push(`${url}: ${name} answered ${counts[name]}, not ${promised}`);
  }
}

/**
 * The weights that a file gives the servers, by their names.
 * @param {string} yaml
 * @param {string} service
 */
function weightsOf(yaml, service) {
  /** @type {{ services: { name: string, destinations: { address: string, weight: number }[] }[] }} */
  const { services } = parse(yaml);
  const found = services.find(({ name }) => name === service);
  return new Map(
    servers.flatMap(({ name, ipv4, ipv6 }) => {
      const destination = found?.destinations.find(({ address }) => address === ipv4 || address === ipv6);
      return destination ? [[name, destination.weight]] : [];
    }),
  );
}

/** @param {string} text */
function withoutComments(text) {
  const lines = text.split('\n').map((line) => line.replace(/ *#.*/, ''));
  return lines.filter((line) => line !== '').join('\n');
}

// The story

for (const [signal, number] of /** @type {const} */ ([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
])) {
  // Leaving through exit() removes what was made.
  process.on(signal, () => process.exit(128 + number));
}

// Whoever reads the output has seen enough: "scripts/demo | head".
process.stdout.on('error', () => process.exit(1));

const folder = mkdtempSync(join(tmpdir(), 'ipvs-demo-'));
const record = join(folder, 'record');
const table = join(folder, 'table.json');
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const yaml = readFileSync(join(root, 'examples', 'web.yaml'), 'utf8');
const leaves = servers[1];
/** @param {string} line */
const isAboutIt = (line) => line.includes(`address: ${leaves.ipv4},`) || line.includes(`"${leaves.ipv6}"`);
const changed = yaml.split('\n').filter((line) => !isAboutIt(line));
writeFileSync(join(folder, 'web.yaml'), changed.join('\n'));

const [real1, real2, real3] = servers.map(({ name, color }) => paint(color, name));
say(`
${paint('bold', 'IPVS Director')}: you describe a load balancer, the Linux kernel is one.

                                   ┌─ ${real1}  10.0.0.11
client ──────── director ──────────┼─ ${real2}  10.0.0.12
198.51.100.10   ${paint('bold', '192.0.2.10:80')}      └─ ${real3}  10.0.0.13
`);
const [beginning = ''] = yaml.split('\n\n').filter((part) => part.startsWith('services:'));
say(paint('dim', 'examples/web.yaml, the first of its services:'));
say(withoutComments(beginning));
say();

const lab = onModel ? undefined : await startLab('demo');
try {
  ipvs(root, 'apply', 'examples/web.yaml', '--yes');
  ipvs(root, 'list', 'tcp://192.0.2.10:80');
  await round('http://192.0.2.10/', 240, weightsOf(yaml, 'web'));
  await round('http://[2001:db8::10]/', 120, weightsOf(yaml, 'web-ipv6'));

  say(`Now ${real2} leaves the file:`);
  for (const line of yaml.split('\n').filter(isAboutIt)) say(paint('red', withoutComments(line).trim()));
  say();
  ipvs(folder, 'apply', 'web.yaml', '--yes');
  await round('http://192.0.2.10/', 240, weightsOf(changed.join('\n'), 'web'));
} catch (error) {
  wrong.push(error instanceof Error ? error.message : String(error));
} finally {
  await lab?.close();
}

for (const problem of wrong) say(paint('red', `✘ ${problem}`));
if (wrong.length > 0) process.exitCode = 1;
else if (onModel)
  say(paint('green', '✔ All of it on a model of the kernel; "scripts/demo" does it on a real one, with packets.'));
else
  say(paint('green', `✔ ${sent} requests, ${failed} failed: each server got exactly its share. (Linux ${release()})`));
say();
