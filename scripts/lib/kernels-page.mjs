/**
 * docs/reference/kernels.md, from the table of features.
 * @typedef {import('../../src/ipvs/features.ts').Feature} Feature
 * @typedef {import('../../src/ipvs/features.ts').FeatureKind} FeatureKind
 */

/** The kernels that are tested, oldest first. */
const kernels = ['6.1', '6.12', '7.2'];

/** What users can notice beside what is or is not there. Cells as the kernels above; one that is empty is as the one before it. */
const differences = [
  ['changes in several network namespaces', 'one lock for all of them', '', 'a lock for each'],
  [
    'the service table',
    '256 buckets, shared by all network namespaces',
    '',
    'one for each, of 16 to 1048576 buckets; it grows',
  ],
  [
    'the order of services',
    'that of a hash',
    '',
    'that of a hash, another one when the table grows and after a reload',
  ],
  ['the connection table', 'one for all network namespaces, of fixed size', '', 'one for each; it grows'],
  ['`connectionTableSize`', 'the fixed size', '', 'the size at the moment, 0 before the first service'],
  ['`/proc/net/ip_vs_conn`', 'costs a walk through the connections of all network namespaces', '', 'of its own'],
  ['changes during a dump', 'wait for each of its pieces', '', 'go on beside it'],
  ['rates', 'a timer for each network namespace', 'kernel threads `ipvs-e:*`', ''],
  ['more services than the threads can count', '', 'are refused: `KERNEL_REFUSED` (EINVAL, ENOMEM)', ''],
  [
    'thresholds above 2147483647, of other programs',
    'are taken',
    'are refused (EINVAL); stable releases of 6.1 may too',
    '',
  ],
  ['sysctls, in a user namespace', 'none are shown', 'all are shown, some are read-only', ''],
];

/** @type {readonly { kind: FeatureKind, title: string, probe: string }[]} */
const sections = [
  {
    kind: 'scheduler',
    title: 'Schedulers',
    probe: `The kernel loads the module when a service names it, and when it is asked for by the probe: a service of IPv6
whose netmask is 0. EINVAL says that only the netmask is wrong, ENOENT that there is no such scheduler.`,
  },
  { kind: 'engine', title: 'Persistence engines', probe: 'Asked for like schedulers.' },
  {
    kind: 'module',
    title: 'Helper modules',
    probe: 'Loaded, or in `modules.dep` or `modules.builtin` below `/lib/modules`. The probe does not load it.',
  },
  {
    kind: 'configuration',
    title: 'Built in or not',
    probe: `IPv6: the probe of schedulers, with no scheduler, is refused with EAFNOSUPPORT. Protocols: the function that the
table names is in \`/proc/kallsyms\`.`,
  },
  {
    kind: 'attribute',
    title: 'Attributes',
    probe: `Each is sent without a value, which the kernel refuses with EINVAL if it knows the attribute: in a deletion of the
destination 0.0.0.0, which no service can have, and in the start of a sync daemon on the interface \`/\`, which no host can
have. \`statistics-64\` is looked for in what the kernel sends. In a table without a service the version decides.`,
  },
  { kind: 'sysctl', title: 'Sysctls', probe: 'The file below `/proc/sys/net/ipv4/vs` is there.' },
  { kind: 'proc', title: 'Files', probe: 'The file is there.' },
];

/**
 * @param {readonly Feature[]} features
 * @param {(release: string, feature: Feature) => boolean} isOlder
 * @returns {string}
 */
export function kernelsPage(features, isOlder) {
  const tables = sections.map(({ kind, ...about }) => section(about, ofKind(features, kind)));
  return [preamble, changes(features, isOlder), ...tables].join('\n\n').concat('\n');
}

const preamble = `# Kernels

What is not in every kernel, or not in every configuration of one, and what happens without it. Tested are Linux
${kernels.join(', ')} (Debian bookworm, trixie and sid). Versions are those of Linux; "about" stands before those that are
known from its history and were not compared with the release before. Distributions carry some features back.

This page is made by \`npm run docs\` from the table that the library exports as \`features\`.
\`probeFeatures()\` asks the running kernel for each. It changes nothing; the kernel loads the schedulers and engines that
it is asked for.

\`\`\`ts
import { probeFeatures } from 'ipvs-director';

for (const { kind, name, state, evidence, without } of await probeFeatures()) {
  if (state !== 'present') console.log(\`\${kind} \${name} is \${state} (\${evidence}); without it: \${without}\`);
}
\`\`\``;

/**
 * @param {readonly Feature[]} features
 * @param {(release: string, feature: Feature) => boolean} isOlder
 */
function changes(features, isOlder) {
  /** @param {string} release @param {number} i */
  const news = (release, i) =>
    features
      .filter((feature) => i > 0 && isOlder(kernels[i - 1] ?? '', feature) && !isOlder(release, feature))
      .map(({ kernelName }) => `\`${kernelName}\``)
      .join(', ');
  const rows = [...differences.map(filled), ['new', ...kernels.map(news)]];
  return `## What changed\n\n${grid(['', ...kernels], rows)}`;
}

/** @param {readonly string[]} row */
function filled(row) {
  return row.map((cell, i) => cell || (i > 1 ? (row.slice(1, i).findLast(Boolean) ?? '') : ''));
}

/** @param {readonly Feature[]} features @param {FeatureKind} kind */
function ofKind(features, kind) {
  return features.filter((feature) => feature.kind === kind);
}

/** @param {{ title: string, probe: string }} about @param {readonly Feature[]} features */
function section({ title, probe }, features) {
  const configured = features.some(({ configuration }) => configuration !== undefined);
  const heading = ['', 'in the kernel', 'since', ...(configured ? ['needs'] : []), 'for', 'without it'];
  const rows = features.map(({ name, kernelName, since, configuration, purpose, without, error }) => [
    `\`${name}\``,
    kernelName.startsWith('IP') ? kernelName : `\`${kernelName}\``,
    since ?? 'before 3.0',
    ...(configured ? [configuration === undefined ? '' : `\`${configuration}\``] : []),
    purpose,
    error === undefined ? without : `${without}: \`${error}\``,
  ]);
  return `## ${title}\n\n${probe}\n\n${grid(heading, rows)}`;
}

/** @param {readonly string[]} heading @param {readonly (readonly string[])[]} rows */
function grid(heading, rows) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
  return [line(heading), `|${'---|'.repeat(heading.length)}`, ...rows.map(line)].join('\n');
}
