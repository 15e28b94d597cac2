// All benches, one after the other; scripts/bench runs it in a bed. Prints every section as soon as it is there, and writes
// them all, with what the machine looks like from here, into a file.
//
//   node bench/main.mjs --out FILE [--only BENCH]... [--services N]... [--runs N]
//                       [--rate N] [--seconds N] [--case WORDS]... [--beside COMMAND]...
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { apply } from './apply.mjs';
import { flood } from './flood.mjs';
import { kernel } from './kernel.mjs';
import { mappings } from './mappings.mjs';
import { aligned, tablesOf } from './report.mjs';
import { startUp } from './start-up.mjs';

/** @typedef {import('./report.mjs').Section} Section */
/** @typedef {{ sizes: readonly import('./table.mjs').Size[], runs: number, flood: import('./flood.mjs').FloodOptions }} Extent */
/** @typedef {(extent: Extent) => AsyncGenerator<Section>} Bench */

/**
 * What bench/main.mjs writes.
 * @typedef {object} Measured
 * @property {{ kind: string, bed?: string, cpus: number, kernel: string, node: string, peers: Record<string, string> }} inside
 * @property {number} runs
 * @property {Section[]} sections
 */

/** A bench more is a line more. */
const benches = /** @type {const} @satisfies {Record<string, Bench>} */ ({
  kernel,
  apply,
  'start-up': startUp,
  mappings,
  flood,
});
/** They take minutes, the others many. */
const usual = ['kernel', 'apply', 'start-up', 'mappings'];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: usual },
    services: { type: 'string', multiple: true, default: ['1000', '10000'] },
    runs: { type: 'string', default: '5' },
    rate: { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '65' },
    case: { type: 'string', multiple: true, default: [] },
    beside: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: '.cache/bench/measured.json' },
  },
});
const runs = wholeNumber(options.runs, 1000);
const sizes = options.services.map((services) => ({ services: wholeNumber(services, 50_000), destinations: 2 }));

/** Of a flood. */
const floodOptions = {
  rate: wholeNumber(options.rate, 20_000),
  seconds: wholeNumber(options.seconds, 120),
  beside: options.beside,
  only: options.case,
};

/**
 * @param {string} text
 * @param {number} most
 */
function wholeNumber(text, most) {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= most) return Number(text);
  throw new Error(`"${text}" is no number from 1 to ${most}`);
}

/**
 * Of programs that say "program v1.31 2019/12/24 (...)", on either output; those that are there.
 * @param {readonly string[]} programs
 */
function versionsOf(programs) {
  return Object.fromEntries(
    programs.flatMap((program) => {
      const { error, stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
      return error ? [] : [[program, /v[\d.]+/.exec(stdout + stderr)?.[0] ?? '?']];
    }),
  );
}

/** The machine that the kernel runs on, as it shows itself there. */
function kindOf() {
  if (/User Mode Linux/.test(readFileSync('/proc/cpuinfo', 'utf8'))) return 'uml';
  if (/QEMU TCG/.test(cpus()[0]?.model ?? '')) return 'qemu tcg';
  const vendor = '/sys/class/dmi/id/sys_vendor';
  return existsSync(vendor) && /QEMU/.test(readFileSync(vendor, 'utf8')) ? 'qemu kvm' : 'host';
}

/** @type {Section[]} */
const sections = [];
for (const name of options.only) {
  const bench = Object.entries(benches).find(([key]) => key === name)?.[1];
  if (bench === undefined) throw new Error(`there is no bench "${name}": ${Object.keys(benches).join(', ')}`);
  for await (const section of bench({ sizes, runs, flood: floodOptions })) {
    sections.push(section);
    const { rows, gates } = tablesOf(section);
    console.log(`${aligned(rows)}\n${gates.length > 0 ? `\n${aligned(gates)}\n` : ''}`);
  }
}
/** @type {Measured} */
const measured = {
  inside: {
    kind: kindOf(),
    ...(process.env['IPVS_BED'] && { bed: process.env['IPVS_BED'] }),
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    peers: versionsOf(['ipvsadm', 'keepalived', 'conntrack']),
  },
  runs,
  sections,
};
writeFileSync(options.out, `${JSON.stringify(measured, null, 2)}\n`);
