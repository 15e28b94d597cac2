// A service under a SYN flood, with an honest client beside it: what each way of defense costs and saves. The lab is the
// one of the demo, with an attacker beside the client; masquerading, SYN cookies on the servers as everywhere. Each case
// has namespaces of its own. Meant for a bed: it drops the machine's caches, and fills its memory.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openIpvs } from '../dist/index.js';
import { native } from '../dist/kernel/native.js';
import { KernelSysctls } from '../dist/sysctl/sysctls.js';
import { startLab } from '../scripts/lib/lab.mjs';
import { besideCase, kernelCases, limitCases } from './flood-cases.mjs';
import { rowOf } from './flood-report.mjs';

/** @typedef {import('./flood-cases.mjs').FloodCase} FloodCase */
/** @typedef {import('./flood-report.mjs').FloodRun} FloodRun */
/** @typedef {import('./flood-report.mjs').Sample} Sample */
/** @typedef {import('./flood-report.mjs').Times} Times */
/** @typedef {import('../dist/index.js').Ipvs} Ipvs */

/**
 * @typedef {object} FloodOptions
 * @property {number} rate SYNs a second
 * @property {number} seconds
 * @property {readonly string[]} beside commands, a case more each
 * @property {readonly string[]} only the cases whose names begin so; all if there is none
 */

const service = 'tcp://192.0.2.10:80';
const destinations = ['10.0.0.11:80', '10.0.0.12:80'];
const sources = '198.18.0.0/16';
const floodProgram = fileURLToPath(new URL('../.cache/bench/flood', import.meta.url));
const clientProgram = fileURLToPath(new URL('./honest-client.mjs', import.meta.url));
const ipvsProgram = fileURLToPath(new URL('../dist/cli/ipvs.js', import.meta.url));

/** An emulated machine needs some time until its programs are translated. */
const LEAD_MS = 10_000;
const AFTER_MS = 10_000;
const SAMPLE_MS = 1000;
const REQUEST_MS = 100;
const TIMEOUT_MS = 3000;
/** Entries of a namespace that is gone are freed behind our back. */
const SETTLE_MS = 30_000;

/**
 * @param {import('./main.mjs').Extent} extent
 * @returns {AsyncGenerator<import('./report.mjs').Section>}
 */
export async function* flood({ flood: options, runs }) {
  const { rate, seconds, beside } = options;
  const limits = existsSync('/proc/sys/net/ipv4/vs/conn_max') ? limitCases : [];
  const cases = [...kernelCases, ...limits, ...beside.map(besideCase)].filter(
    ({ name }) => options.only.length === 0 || options.only.some((begin) => name.startsWith(begin)),
  );
  /** @type {Map<string, FloodRun[]>} */
  const results = new Map(cases.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const one of cases) {
      const result = await oneRun(one, options);
      results.get(one.name)?.push(result);
      console.error(`${run + 1} of ${runs}: ${one.name}: ${Math.max(...result.samples.map(({ entries }) => entries))}`);
    }
  }
  const times = timesOf(options);
  const memoryMb = Math.round(totalmem() / 2 ** 20);
  yield {
    title: `${rate} SYNs/s for ${seconds} s, ${memoryMb} MB`,
    rows: [],
    gates: [],
    flood: { times, cases: Array.from(results, ([name, of]) => rowOf(name, of, times)) },
  };
}

/** @param {FloodOptions} options @returns {Times} */
function timesOf({ seconds }) {
  const toMs = LEAD_MS + seconds * 1000;
  return { fromMs: LEAD_MS, toMs, endMs: toMs + AFTER_MS, timeoutMs: TIMEOUT_MS };
}

/** @param {FloodCase} one @param {FloodOptions} options @returns {Promise<FloodRun>} */
async function oneRun({ settings, beside }, options) {
  // So that all begin alike: the one before may have pushed every program out of memory.
  writeFileSync('/proc/sys/vm/drop_caches', '3');
  const unreclaimable = slabMb();
  const lab = await startLab('flood', { servers: destinations.length, attacker: true, client: clientProgram });
  const ipvs = await openIpvs({ netns: lab.director });
  try {
    await ipvs.addService({ address: service, scheduler: 'rr' });
    for (const address of destinations) await ipvs.addDestination(service, { address, forward: 'masquerade' });
    const sysctls = new KernelSysctls(native(), `/run/netns/${lab.director}`);
    for (const [name, value] of Object.entries(settings)) sysctls.write(`net.ipv4.vs.${name}`, String(value));
    const defender = beside === undefined ? undefined : lab.launch('director', ...commandOf(beside));
    const run = await underFlood(lab, ipvs, sysctls, options);
    if (defender?.running === false) throw new Error(`"${beside}" ended before the flood did`);
    return run;
  } finally {
    await ipvs.close();
    await lab.close();
    await settle(unreclaimable);
  }
}

/** @param {string} text */
function commandOf(text) {
  const [program = '', ...args] = text.split(' ');
  return program === 'ipvs' ? [process.execPath, ipvsProgram, ...args] : [program, ...args];
}

/**
 * @param {import('../scripts/lib/lab.mjs').Lab} lab
 * @param {Ipvs} ipvs
 * @param {KernelSysctls} sysctls
 * @param {FloodOptions} options
 * @returns {Promise<FloodRun>}
 */
async function underFlood(lab, ipvs, sysctls, options) {
  const { fromMs, endMs } = timesOf(options);
  const killedBefore = oomKills();
  const begin = performance.now();
  /** @type {import('./honest-client.mjs').Order} */
  const order = {
    service: '192.0.2.10:80',
    control: '10.0.0.11:53',
    everyMs: REQUEST_MS,
    forMs: endMs,
    timeoutMs: TIMEOUT_MS,
  };
  const experience = lab.ask(order);
  const flooded = wait(fromMs).then(() => sendFlood(lab, options));
  /** @type {Sample[]} */
  const samples = [];
  for (let dueMs = 0; dueMs < endMs; dueMs += SAMPLE_MS) {
    await wait(Math.max(0, begin + dueMs - performance.now()));
    samples.push(await sample(ipvs, sysctls, begin));
  }
  return {
    flood: await flooded,
    experience: await experience,
    // The kernel brings counters up to date every two seconds; the flood ended long before.
    admitted: await admitted(ipvs),
    samples,
    oomKills: oomKills() - killedBefore,
  };
}

/** @param {import('../scripts/lib/lab.mjs').Lab} lab @param {FloodOptions} options */
async function sendFlood(lab, { rate, seconds }) {
  const words = ['eth0', sources, '192.0.2.10', '80', String(rate), String(seconds)];
  /** @type {FloodRun['flood']} */
  const sent = JSON.parse(await lab.launch('attacker', floodProgram, ...words).line());
  return sent;
}

/**
 * The table is counted by the destinations: walking it would be a load of its own.
 * @param {Ipvs} ipvs
 * @param {KernelSysctls} sysctls
 * @param {number} begin
 * @returns {Promise<Sample>}
 */
async function sample(ipvs, sysctls, begin) {
  const { services } = await ipvs.snapshot();
  const counts = services.flatMap((one) =>
    one.destinations.map(({ activeConnections, inactiveConnections }) => activeConnections + inactiveConnections),
  );
  const memory = memoryMb();
  return {
    atMs: performance.now() - begin,
    entries: counts.reduce((sum, count) => sum + count, 0),
    freeMb: (memory.get('MemFree') ?? 0) + (memory.get('Buffers') ?? 0),
    slabMb: memory.get('SUnreclaim') ?? 0,
    modes: ['drop_entry', 'drop_packet', 'secure_tcp'].map((name) => sysctls.read(`net.ipv4.vs.${name}`)).join(''),
  };
}

/** @param {Ipvs} ipvs */
async function admitted(ipvs) {
  const { services } = await ipvs.snapshot({ statistics: true });
  return services.reduce((sum, one) => sum + Number(one.statistics?.connections ?? 0), 0);
}

function memoryMb() {
  const lines = readFileSync('/proc/meminfo', 'utf8').matchAll(/^(\w+): +(\d+) kB$/gm);
  return new Map(Array.from(lines, ([, name = '', kilobytes]) => [name, Number(kilobytes) / 1024]));
}

function slabMb() {
  return memoryMb().get('SUnreclaim') ?? 0;
}

function oomKills() {
  return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
}

/** @param {number} beforeMb */
async function settle(beforeMb) {
  const deadline = performance.now() + SETTLE_MS;
  while (slabMb() > beforeMb + 2 && performance.now() < deadline) await wait(200);
}
