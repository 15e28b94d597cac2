// What a flood did, as figures: of one run, and of several as their medians.

/**
 * One run of a case, second by second from its begin.
 * @typedef {object} FloodRun
 * @property {{ sent: number, leftOut: number }} flood
 * @property {number} admitted connections that the director made, honest ones among them
 * @property {Sample[]} samples
 * @property {import('./honest-client.mjs').Experience} experience
 * @property {number} oomKills
 *
 * @typedef {object} Sample
 * @property {number} atMs
 * @property {number} entries of the connection table
 * @property {number} freeMb MemFree and Buffers: what the kernel's automatic modes look at
 * @property {number} slabMb what the kernel holds in objects that cannot be reclaimed, entries among them
 * @property {string} modes drop_entry, drop_packet and secure_tcp, a digit each
 *
 * When the flood begins and ends, and all.
 * @typedef {{ fromMs: number, toMs: number, endMs: number, timeoutMs: number }} Times
 *
 * What is kept of a case: medians over its runs; of honest requests those that began during the flood.
 * @typedef {object} FloodRow
 * @property {string} name
 * @property {number} runs
 * @property {number} sent
 * @property {number} leftOut
 * @property {number} admitted
 * @property {number} mostEntries
 * @property {number} leastFreeMb
 * @property {number} slabMb by how much the kernel's objects grew
 * @property {number} oomKills
 * @property {number} answered in time, of a hundred
 * @property {number} medianMs of those that were answered; NaN if none was
 * @property {number} worstTwentiethMs where an unanswered one took the time limit
 * @property {number} controlWorstTwentiethMs
 * @property {number} stoodStill seconds in which the client, due to begin ten requests, began none
 * @property {Series} series
 *
 * A figure for each second, with spaces between: columns of a plot.
 * @typedef {{ entries: string, freeMb: string, slowestMs: string, modes: string }} Series
 */

/** @typedef {{ times: Times, cases: FloodRow[] }} Flood */

/** @param {readonly number[]} values @param {number} share @returns {number} */
function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const median = (/** @type {readonly number[]} */ values) => quantile(values, 0.5);

/**
 * @param {string} name
 * @param {readonly FloodRun[]} runs
 * @param {Times} times
 * @returns {FloodRow}
 */
export function rowOf(name, runs, times) {
  const figures = runs.map((run) => figuresOf(run, times));
  const ofRuns = (/** @type {(figures: ReturnType<typeof figuresOf>) => number} */ figure) =>
    Math.round(median(figures.map(figure).filter(Number.isFinite)) * 10) / 10;
  return {
    name,
    runs: runs.length,
    sent: ofRuns(({ sent }) => sent),
    leftOut: ofRuns(({ leftOut }) => leftOut),
    admitted: ofRuns(({ admitted }) => admitted),
    mostEntries: ofRuns(({ mostEntries }) => mostEntries),
    leastFreeMb: ofRuns(({ leastFreeMb }) => leastFreeMb),
    slabMb: ofRuns(({ slabMb }) => slabMb),
    oomKills: ofRuns(({ oomKills }) => oomKills),
    answered: ofRuns(({ answered }) => answered),
    medianMs: ofRuns(({ medianMs }) => medianMs),
    worstTwentiethMs: ofRuns(({ worstTwentiethMs }) => worstTwentiethMs),
    controlWorstTwentiethMs: ofRuns(({ controlWorstTwentiethMs }) => controlWorstTwentiethMs),
    stoodStill: ofRuns(({ stoodStill }) => stoodStill),
    series: seriesOf(runs, times),
  };
}

/** @param {FloodRun} run @param {Times} times */
function figuresOf({ flood, admitted, samples, experience, oomKills }, { fromMs, toMs, endMs, timeoutMs }) {
  const during = (/** @type {readonly import('./honest-client.mjs').Request[]} */ requests) =>
    requests.filter(([atMs]) => atMs >= fromMs && atMs < toMs).map(([, latencyMs]) => latencyMs);
  const honest = during(experience.service);
  const answers = honest.filter((latencyMs) => latencyMs !== null);
  const worst = (/** @type {readonly (number | null)[]} */ latencies) =>
    quantile(
      latencies.map((latencyMs) => latencyMs ?? timeoutMs),
      0.95,
    );
  return {
    ...flood,
    admitted,
    oomKills,
    mostEntries: Math.max(...samples.map(({ entries }) => entries)),
    leastFreeMb: Math.min(...samples.map(({ freeMb }) => freeMb)),
    slabMb: Math.max(...samples.map(({ slabMb }) => slabMb)) - (samples[0]?.slabMb ?? 0),
    answered: (100 * answers.length) / honest.length,
    medianMs: median(answers),
    worstTwentiethMs: worst(honest),
    controlWorstTwentiethMs: worst(during(experience.control)),
    stoodStill: secondsUntil(endMs).filter((second) => begunIn(experience, second).length === 0).length,
  };
}

/** @param {number} endMs */
function secondsUntil(endMs) {
  return Array.from({ length: Math.floor(endMs / 1000) }, (_, second) => second);
}

/** @param {FloodRun['experience']} experience @param {number} second */
function begunIn({ service }, second) {
  return service.filter(([atMs]) => Math.floor(atMs / 1000) === second);
}

/** @param {readonly FloodRun[]} runs @param {Times} times @returns {Series} */
function seriesOf(runs, { endMs, timeoutMs }) {
  const seconds = secondsUntil(endMs);
  const sampled = (/** @type {(sample: Sample) => number} */ figure) =>
    seconds
      .map((second) =>
        Math.round(
          // A second without a sample, on a machine that stood still, has that of the one before.
          median(runs.map(({ samples }) => figure(last(samples, ({ atMs }) => atMs < (second + 1) * 1000)))),
        ),
      )
      .join(' ');
  const slowest = (/** @type {FloodRun} */ { experience }, /** @type {number} */ second) =>
    Math.max(...begunIn(experience, second).map(([, latencyMs]) => latencyMs ?? timeoutMs));
  return {
    entries: sampled(({ entries }) => entries),
    freeMb: sampled(({ freeMb }) => freeMb),
    slowestMs: seconds
      .map((second) => median(runs.map((run) => slowest(run, second)).filter(Number.isFinite)))
      .map((ms) => (Number.isNaN(ms) ? '?' : Math.round(ms)))
      .join(' '),
    modes: seconds
      .map((second) => last(runs[0]?.samples ?? [], ({ atMs }) => atMs < (second + 1) * 1000).modes)
      .join(' '),
  };
}

/** @param {readonly Sample[]} samples @param {(sample: Sample) => boolean} test @returns {Sample} */
function last(samples, test) {
  const sample = samples.findLast(test) ?? samples[0];
  if (sample === undefined) throw new Error('a run without samples');
  return sample;
}

/**
 * A table of texts, its heading first.
 * @param {string} title
 * @param {readonly FloodRow[]} rows
 */
export function floodTable(title, rows) {
  // JSON knows no NaN: a kept one is null.
  const whole = (/** @type {number | null} */ number) => (Number.isFinite(number) ? Number(number).toFixed(0) : '–');
  return [
    [
      title,
      'SYNs let in',
      'most entries',
      'slab MB',
      'least free MB',
      'answered',
      'median ms',
      '95 % ms',
      'control 95 % ms',
      'stood still s',
    ],
    ...rows.map((row) => [
      row.name,
      `${whole((100 * row.admitted) / row.sent)} %`,
      whole(row.mostEntries),
      `+${whole(row.slabMb)}`,
      whole(row.leastFreeMb),
      `${row.answered.toFixed(1)} %`,
      whole(row.medianMs),
      whole(row.worstTwentiethMs),
      whole(row.controlWorstTwentiethMs),
      whole(row.stoodStill),
    ]),
  ];
}
