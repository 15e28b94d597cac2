/** The defense in words: its state, its policies. */
import { actions, sysctlOf } from '../defense/action.ts';
import type { DefenseLevel, DefensePolicy } from '../defense/policy.ts';
import {
  isReading,
  limitWords,
  type Readings,
  signalNames,
  signals,
  type Thresholds,
  thresholds,
  thresholdsIn,
} from '../defense/signal.ts';
import { grouped, oneIn } from '../defense/words.ts';
import type { DefenseStatus, KernelDefense } from '../director/defense.ts';
import { columns, counted, type Paint, time } from './output.ts';

export function statusWords({ kernel, readings, controller, held, atMs }: DefenseStatus, paint: Paint): string {
  return [
    ...(kernel ? kernelWords(kernel, paint) : ['ip_vs is not loaded: there is nothing to defend']),
    '',
    paint('bold', 'signals'),
    ...indented(signalRows(readings, atMs)),
    '',
    paint('bold', 'controller'),
    ...controllerWords(controller, held).map((line) => `  ${line}`),
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

function controllerWords(controller: DefenseStatus['controller'], held: DefenseStatus['held']): string[] {
  const who = controller?.holder;
  const first =
    controller === undefined
      ? 'whether one runs can be seen by root'
      : !controller.running
        ? 'none runs'
        : `runs${who ? `: process ${who.pid}, since ${time(who.since)}` : ''}`;
  if (held === undefined)
    return [first, ...(controller?.running ? ['level 0: it watches, and has changed nothing'] : [])];
  const policy = held.preset === null ? 'a policy of its own' : `the policy ${held.preset}`;
  const originals = Object.entries(held.originals).map(([name, value]) => `${shortName(name)} ${value}`);
  return [
    first,
    controller?.running === false
      ? `one died at level ${held.level} of ${policy}, since ${time(held.at)}: "ipvs defense restore" puts back`
      : `level ${held.level} of ${policy}, since ${time(held.at)}; it will put back`,
    ...originals.map((original) => `  ${original}`),
  ];
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

function shortName(sysctl: string): string {
  return sysctl.slice(sysctl.lastIndexOf('.') + 1);
}

/** What could not be put back, and what was. */
export function restoredWords(written: number, dropped: boolean): string {
  if (dropped) return 'what was on record is of another boot or namespace: it is forgotten, and nothing was written';
  return written === 0 ? 'there was nothing to put back' : `put back ${counted(written, 'setting')}`;
}
