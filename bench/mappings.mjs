// The live table of mappings against conntrack(8): all of it, and those of one outer host. Needs root, and a kernel with NAT.
//
// conntrack and ipvs are whole processes; "warm" and "cold" are calls in a process that runs, as in bench/kernel.mjs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inFreshNamespace, settle, wholeProcess } from './namespaces.mjs';
import { sectionOf } from './report.mjs';
import { Worker } from './workers.mjs';

const MAPPINGS = 50_000;
const OUTER_HOSTS = 200;
const OUTER = '198.51.100.9';
const WARM_UPS = 10;
const ipvsProgram = fileURLToPath(new URL('../dist/cli/ipvs.js', import.meta.url));

/** What `conntrack -R` reads: each a mapping of an inner host, established for an hour. */
function entries() {
  return Array.from({ length: MAPPINGS }, (_, i) =>
    [
      `-I -p tcp -s 10.0.${(i >> 8) & 255}.${i & 255} --sport ${1024 + (i % 60_000)}`,
      `-d 198.51.100.${1 + (i % OUTER_HOSTS)} --dport 443 --state ESTABLISHED -t 3600 -u SEEN_REPLY,ASSURED -n 192.0.2.1\n`,
    ].join(' '),
  ).join('');
}

/** @param {string} netns */
function fill(netns) {
  const scratch = mkdtempSync(join(tmpdir(), 'ipvs-bench-'));
  try {
    const file = join(scratch, 'entries');
    writeFileSync(file, entries());
    // Without a rule of NAT the kernel does not track here.
    const inside = ['netns', 'exec', netns];
    execFileSync('ip', [...inside, 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE']);
    execFileSync('ip', [...inside, 'conntrack', '-R', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    const made = Number(execFileSync('ip', [...inside, 'conntrack', '-C'], { encoding: 'utf8' }));
    if (made !== MAPPINGS) throw new Error(`there are ${made} mappings instead of ${MAPPINGS}`);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const newWorker = () =>
  /** @type {Worker<import('./mapping-worker.mjs').Task, import('./mapping-worker.mjs').Answer>} */ (
    new Worker('./mapping-worker.mjs')
  );

/** @type {import('./main.mjs').Bench} */
export async function* mappings({ runs }) {
  const warm = newWorker();
  try {
    yield await inFreshNamespace(async (netns) => {
      fill(netns);
      /** @param {typeof warm} worker @param {import('../dist/index.js').MappingFilter} filter @param {number} expected */
      const list = async (worker, filter, expected) => {
        const { ms, mappings } = await worker.do({ name: 'list', netns, filter });
        if (mappings !== expected) throw new Error(`${mappings} mappings were listed instead of ${expected}`);
        return ms;
      };
      const all = /** @type {const} */ ([{}, MAPPINGS]);
      const some = /** @type {const} */ ([{ outer: OUTER }, MAPPINGS / OUTER_HOSTS]);
      for (let i = 0; i < WARM_UPS; i++) {
        await list(warm, ...all);
        await list(warm, ...some);
      }
      const conntrack = ['conntrack', '-L', '--src-nat'];
      const ipvs = [process.execPath, ipvsProgram, 'masquerade', 'mappings'];
      /** @type {Record<string, () => Promise<number>>} */
      const cases = {
        'conntrack -L': () => wholeProcess(netns, conntrack),
        'list(), warm': () => list(warm, ...all),
        'list(), cold': async () => {
          const worker = newWorker();
          try {
            return await list(worker, ...all);
          } finally {
            await worker.close();
          }
        },
        'ipvs masquerade mappings': () => wholeProcess(netns, ipvs),
        'conntrack -L -d': () => wholeProcess(netns, [...conntrack, '-d', OUTER]),
        'list({ outer }), warm': () => list(warm, ...some),
        'ipvs masquerade mappings --outer': () => wholeProcess(netns, [...ipvs, '--outer', OUTER]),
      };
      /** @type {import('./report.mjs').Times} */
      const times = new Map(Object.keys(cases).map((name) => [name, []]));
      for (let i = 0; i < runs; i++) {
        for (const [name, run] of Object.entries(cases)) {
          await settle();
          times.get(name)?.push(await run());
        }
      }
      return sectionOf(`list ${MAPPINGS} mappings`, times, {
        objects: MAPPINGS,
        comparisons: [
          ['list(), warm', 'conntrack -L', { atMost: 1 }],
          ['list({ outer }), warm', 'conntrack -L -d', { atMost: 1 }],
          ['ipvs masquerade mappings', 'conntrack -L', {}],
          ['ipvs masquerade mappings --outer', 'conntrack -L -d', {}],
        ],
      });
    });
  } finally {
    await warm.close();
  }
}
