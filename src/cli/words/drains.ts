/** Drains and ramps in words, for people. Pure. */

import { shortDuration } from '../../config/duration.ts';
import { expiryEffect } from '../../director/drain-effects.ts';
import type { Drain, DrainEnd, Held } from '../../record/ledger.ts';
import { subjectOf } from '../../resources/destination-of.ts';
import type { DrainProgress, RampProgress } from '../../weights/drain-progress.ts';
import { heldSum } from '../../weights/drain-rule.ts';
import type { DrainMove } from '../../weights/drain-step.ts';
import type { Holders } from '../../weights/survey.ts';
import { columns, counted, type Paint } from './output.ts';

export function heldWords(held: Held): string {
  const { active, inactive, entries, templates } = held;
  if (heldSum(held) === 0) return 'nothing held';
  return [
    ...(active > 0 ? [`${active} active`] : []),
    ...(inactive > 0 ? [`${inactive} inactive`] : []),
    ...(entries > 0 ? [counted(entries, 'entry', 'entries')] : []),
    ...(templates > 0 ? [counted(templates, 'template')] : []),
  ].join(', ');
}

const MOST_NAMED = 3;

/** `from 198.51.100.7 (2), 198.51.100.8 and 4 more` */
export function holderWords({ clients, moreClients }: Holders): string {
  if (clients.length === 0) return '';
  const named = clients.slice(0, MOST_NAMED).map(({ client, connections, templates }) => {
    const number = connections > 1 ? ` (${connections})` : '';
    return `${client}${connections === 0 && templates > 0 ? ' (pinned)' : number}`;
  });
  const more = clients.length - named.length + moreClients;
  return `from ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What was begun, and what is good to know of it. */
export function begunWords({ drain, held, details }: DrainProgress): string[] {
  const then = drain.afterwards === 'delete' ? 'then it is deleted' : 'then it keeps weight 0';
  const timeout = shortDuration(drain.deadlineBootMs - drain.startedBootMs);
  return [
    `draining ${subjectOf(drain)} for ${timeout} at most, ${then}: ${heldWords(held)}`,
    ...(drain.weight === 0 ? ['its weight was 0 already'] : []),
    ...(held.templates > 0 ? [PINNED] : []),
    ...(details?.alsoEnds ? [expiryEffect(details.alsoEnds)] : []),
    ...(details?.described && drain.afterwards === 'delete' ? [DESCRIBED] : []),
  ];
}

const PINNED =
  'clients that persistence pins to it keep coming to it; with net.ipv4.vs.expire_quiescent_template=1 they go elsewhere with their next connection';
const DESCRIBED = 'the file that was applied last describes it: an apply adds it again once it is deleted';

/** How it ended. */
export function endWords(drain: Drain, end: Omit<DrainEnd, 'bootMs'>): string {
  const { how, held, alsoEnded = [], problem } = end;
  if (how === 'gone') return `${subjectOf(drain)} is gone: somebody else took it away`;
  const then = drain.afterwards === 'delete' ? 'deleted' : 'kept with weight 0';
  const what = how === 'drained' ? 'drained' : `still ${heldWords(held)} at the deadline`;
  const others = alsoEnded.length > 0 ? `, with connections without a destination in ${alsoEnded.join(', ')}` : '';
  return `${subjectOf(drain)}: ${what}, ${then}${others}${problem === undefined ? '' : `; ${problem}`}`;
}

/** What a pass did; undefined where it was refused. */
export function moveWords(move: DrainMove): string | undefined {
  if (move.error !== undefined) return undefined;
  if (move.type === 'drain') return drainWords(move);
  switch (move.ended) {
    case 'gone':
      return `${subjectOf(move)} is gone: somebody else took it away`;
    case 'changed':
      return `${subjectOf(move)}: its weight was set to ${move.weight}, so its ramp ends`;
    case 'full':
      return `${subjectOf(move)}: weight ${move.weight}, the whole`;
    default:
      return `${subjectOf(move)}: weight ${move.weight} of ${move.ramp.weight}`;
  }
}

function drainWords(move: DrainMove & { readonly type: 'drain' }): string {
  if (move.ended) return endWords(move.drain, move.ended);
  if (move.restored !== undefined) return `${subjectOf(move)}: its drain was cancelled, weight ${move.restored}`;
  return `${subjectOf(move)}: it drains, but had a weight; 0 now`;
}

export function leftWords({ drains, ramps }: { readonly drains: number; readonly ramps: number }): string {
  const parts = [...(drains > 0 ? [counted(drains, 'drain')] : []), ...(ramps > 0 ? [counted(ramps, 'ramp')] : [])];
  if (parts.length === 0) return 'no drains or ramps in progress';
  return `${parts.join(' and ')} ${drains + ramps === 1 ? 'goes' : 'go'} on`;
}

/** The table of `ipvs drain list`, with clients below each that is held. */
export function drainTable(
  drains: readonly DrainProgress[],
  ramps: readonly RampProgress[],
  { clients, paint }: { readonly clients: boolean; readonly paint: Paint },
): string {
  if (drains.length + ramps.length === 0) return 'no drains or ramps in progress';
  const rows = [
    ...drains.map(({ drain, held, over, leftMs, kernelWeight }) => [
      ...[drain.destination, drain.service, stateWord(drain, over), firstWords(drain, held)],
      ...[drain.ended ? '-' : shortDuration(leftMs), drain.afterwards],
      ...(isAway(drain) ? ['-', '-', '-'] : [kernelWeight ?? '-', drain.restoreWeight ?? 0, drain.weight].map(String)),
    ]),
    ...ramps.map(({ ramp, weight, leftMs, kernelWeight }) => [
      ...[ramp.destination, ramp.service, 'ramping', '-'],
      ...[shortDuration(leftMs), '-', `${kernelWeight ?? '-'}`, `${weight}`, `${ramp.weight}`],
    ]),
  ];
  // The weight in the kernel, the one that it should have now, and the one without drain and ramp.
  const head = ['DESTINATION', 'SERVICE', 'STATE', 'HELD', 'LEFT', 'THEN', 'WEIGHT', 'DUE', 'WHOLE'];
  const [headLine = '', ...lines] = columns([head, ...rows], new Set([4, 6, 7, 8]));
  return [
    paint('dim', headLine),
    ...lines.flatMap((line, i) => [line, ...(clients ? holderLines(drains[i]?.details?.holders) : [])]),
  ].join('\n');
}

/** Whether its end took the destination away. */
function isAway({ ended, afterwards }: Drain): boolean {
  return ended !== undefined && (afterwards === 'delete' || ended.how === 'gone');
}

function firstWords({ ended, heldFirst }: Drain, held: Held): string {
  return ended || !heldFirst ? heldWords(held) : `${heldWords(held)} (of ${heldFirst})`;
}

function stateWord({ ended, afterwards, restoreWeight }: Drain, over: boolean): string {
  if (restoreWeight !== undefined) return 'cancelled';
  if (ended === undefined) return over ? 'over' : 'draining';
  if (ended.how === 'gone') return 'gone';
  if (afterwards === 'delete') return ended.how === 'drained' ? 'deleted' : 'cut off';
  return ended.how === 'drained' ? 'drained' : 'timed out';
}

function holderLines(holders: Holders | undefined): string[] {
  if (holders === undefined || holders.clients.length === 0) return [];
  const { clients, moreClients, states, longestSeconds } = holders;
  const words = Object.entries(states).map(([state, number]) => `${number} ${state}`);
  const rows = clients.map(({ client, connections, templates }) => [
    `    ${client}`,
    counted(connections, 'connection'),
    templates > 0 ? counted(templates, 'template') : '',
  ]);
  return [
    ...columns(rows, new Set([1])),
    ...(moreClients > 0 ? [`    and ${moreClients} more`] : []),
    `    ${[...words, `the last is forgotten in ${shortDuration(longestSeconds * 1000)} without a packet`].join(', ')}`,
  ];
}
