/** The defense in words: its state, its policies. */
import { actions, sysctlOf } from '../../defense/action.ts';
import type { DefenseStatus, KernelDefense } from '../../defense/defense.ts';
import type { Approach } from '../../defense/judge.ts';
import type { HeldRecord } from '../../defense/originals.ts';
import type { DefenseLevel, DefensePolicy } from '../../defense/policy.ts';
import { keptWords, type Recovered } from '../../defense/put-back.ts';
import {
  comparisonWords,
  isReading,
  limitWords,
  type Readings,
  signalNames,
  signals,
  type Thresholds,
  thresholds,
  thresholdsIn,
} from '../../defense/signal.ts';
import { grouped, oneIn, shortName } from '../../defense/words.ts';
import { columns, counted, type Paint, time } from './output.ts';

export function statusWords(status: DefenseStatus, paint: Paint): string {
  const { kernel, readings, atMs } = status;
  return [
    ...(kernel ? kernelWords(kernel, paint) : ['ip_vs is not loaded: there is nothing to defend']),
    '',
    paint('bold', 'signals'),
    ...indented(signalRows(readings, atMs)),
    '',
    paint('bold', 'controller'),
    ...controllerWords(status).map((line) => `  ${line}`),
  ].join('\n');
}

function kernelWords({ modes, inputs, step, pageBytes }: KernelDefense, paint: Paint): string[] {
  const rows = actions.map((action) => {
    const engaged = modes[action] === 'engaged' ? 'automatic, engaged' : modes[action];
    const rate = action === 'drop-packet' && step.actions[action].acts ? rateWords(step.dropRate) : '';
    return [shortName(sysctlOf[action]), engaged, rate].filter((cell) => cell !== '');
  });
  return [
    paint('bold', 'modes'),
    ...indented(rows),
    '',
    paint('bold', `what the kernel does next (it looks every second; a page is ${pageBytes / 1024} KiB)`),
    ...step.words.map((line) => `  ${line}`),
    ...(inputs.dropRate < 2 ? [`  am_droprate ${inputs.dropRate}: ${hurtWords(inputs.dropRate)}`] : []),
  ];
}

function rateWords(rate: number): string {
  if (rate === 0) return 'nothing is dropped';
  return rate <= 1 ? 'every new connection is dropped' : `${oneIn(rate)} new connections is dropped`;
}

function hurtWords(rate: number): string {
  return rate === 0
    ? 'drop_packet "always" would drop nothing'
    : 'drop_packet "always" would drop every new connection';
}

function signalRows(readings: Readings, atMs: number): string[][] {
  return signalNames.map((name) => {
    const reading = readings[name];
    const { words, shown } = signals[name];
    if (!isReading(reading)) return [words, `not known: ${reading.missing}`];
    const of = reading.of === undefined ? '' : ` (${grouped(reading.of)})`;
    const ageSeconds = Math.round((atMs - reading.atMs) / 1000);
    return [words, `${shown(reading.value)}${of}${ageSeconds > 1 ? `, ${ageSeconds} s ago` : ''}`];
  });
}

function controllerWords({ controller, policy, course, held }: DefenseStatus): string[] {
  if (controller === undefined) return ['whether one runs can be seen by root'];
  const who = controller.holder;
  if (controller.running)
    return [
      `runs${who ? `: process ${who.pid}, since ${time(who.since)}` : ''}`,
      ...(course ? courseWords(course, policy, held) : []),
    ];
  const next =
    policy.levels.length === 0
      ? 'no policy is applied: "ipvs defense run" only watches, unless it is told one'
      : `"ipvs defense run" goes by ${title(policy)}, which was applied`;
  if (held === undefined) return ['none runs', next];
  const died = `one died at level ${held.level} of ${title(held.policy)}, since ${time(held.at)}: "ipvs defense restore" puts back`;
  return ['none runs', died, ...originalsIn(held), next];
}

function courseWords(
  { level, enter, leave }: NonNullable<DefenseStatus['course']>,
  policy: DefensePolicy,
  held: DefenseStatus['held'],
): string[] {
  const now = `level ${level} of ${title(policy)}`;
  const row = ({ threshold, value, limit, crossed }: Approach) =>
    `  ${comparisonWords(threshold, value, limit, crossed)}`;
  const most = policy.levels.length === 0 ? 'the policy has no levels: nothing is defended' : 'there is no level above';
  return [
    held ? `${now}, since ${time(held.at)}; it will put back` : `${now}: it watches, and has changed nothing`,
    ...(held ? originalsIn(held) : []),
    ...(level === policy.levels.length
      ? [most]
      : [`level ${level + 1} is entered over one of these, the nearest first`, ...enter.map(row)]),
    ...(level === 0 ? [] : [`level ${level} is left when none of these is crossed`, ...leave.map(row)]),
  ];
}

function originalsIn({ originals }: HeldRecord): string[] {
  return Object.entries(originals).map(([name, value]) => `  ${shortName(name)} ${value}`);
}

function title(policy: DefensePolicy | null): string {
  return policy?.preset ? `the policy ${policy.preset}` : 'a policy of its own';
}

/** A policy with its numbers, a level at a time. */
export function policyWords(policy: DefensePolicy): string {
  const { levels, tableLimit, sampleEntries, leastEntries, staleSeconds } = policy;
  if (levels.length === 0) return '  level 0: watch; nothing is ever written';
  const limit =
    tableLimit === null ? 'conn_max where it is set, else what a quarter of the memory holds' : grouped(tableLimit);
  return [
    '  level 0: watch',
    ...levels.flatMap((level, i) => levelWords(i + 1, level)),
    `  the limit of the connection table: ${limit}`,
    `  half-open entries are counted among up to ${grouped(sampleEntries)}, and mean nothing among fewer than ${grouped(leastEntries)}`,
    `  a signal older than ${staleSeconds} s holds the level`,
  ].join('\n');
}

function levelWords(
  number: number,
  { actions, dropRate, enter, leave, minHoldSeconds, maxSeconds }: DefenseLevel,
): string[] {
  const done = actions.map((action) =>
    action === 'drop-packet' && dropRate !== null ? `${action} ${oneIn(dropRate)}` : action,
  );
  return [
    `  level ${number}: ${done.join(', ')}; held for ${minHoldSeconds} s, in force for ${grouped(maxSeconds)} s at most`,
    `    entered when ${thresholdWords(enter).join(', or ')}`,
    `    left when none of ${thresholdWords(leave).join(', ')}`,
  ];
}

function thresholdWords(given: Thresholds): string[] {
  return thresholdsIn(given).map(([name, value]) => {
    const { signal, side } = thresholds[name];
    return `${signals[signal].words} ${side} ${limitWords(name, value)}${signal === 'newConnections' ? ' per second' : ''}`;
  });
}

function indented(rows: readonly (readonly string[])[]): string[] {
  return columns(rows, new Set()).map((line) => `  ${line}`);
}

/** What was put back, and what was not; empty where there is only what was refused. */
export function restoredWords({ written, kept, refused, dropped }: Recovered): string {
  if (dropped) return 'what was on record is of another boot or namespace: it is forgotten, and nothing was written';
  if (written.length + kept.length + refused.length === 0) return 'there was nothing to put back';
  const done = written.length === 0 ? [] : [`put back ${counted(written.length, 'setting')}`];
  return [...done, ...kept.map(keptWords)].join('\n');
}
