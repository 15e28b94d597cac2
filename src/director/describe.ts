/** Plans and changes in words, for people. Pure. */

import type { PastChange } from '../engine/packed-changes.ts';
import type { Plan } from '../engine/plan.ts';
import type { Stray } from '../engine/resource.ts';
import { keyOf } from '../record/ledger.ts';
import { subjectOf } from '../resources/destination-of.ts';
import type { DrainChange } from '../weights/drain-changes.ts';
import type { DrainMove } from '../weights/drain-step.ts';
import type { HeldWeight } from '../weights/held-weight.ts';
import type { OwnerChange } from './ownership.ts';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
/** Colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

const plain: Paint = (_, text) => text;

const kinds = {
  add: { sign: '+', style: 'green', toDo: 'to add', done: 'added' },
  edit: { sign: '~', style: 'yellow', toDo: 'to change', done: 'changed' },
  delete: { sign: '-', style: 'red', toDo: 'to take away', done: 'taken away' },
} as const;
type Kind = keyof typeof kinds;

const kindOfVerb: Readonly<Record<string, Kind>> = { add: 'add', start: 'add', delete: 'delete', stop: 'delete' };

function kindOf({ verb }: PastChange): Kind {
  return kindOfVerb[verb.split(' ', 1)[0] ?? ''] ?? 'edit';
}

export interface DescribedPlan extends Plan {
  readonly replaces?: string;
  /** Existing objects that get another owner. */
  readonly owners?: readonly OwnerChange[];
  /** Drains that an undo begins again, ends or changes. */
  readonly drains?: readonly DrainChange[];
  /** Weights that drains and ramps hold. */
  readonly held?: readonly HeldWeight[];
  /** What the next pass over drains and ramps does. */
  readonly steps?: readonly DrainMove[];
  /** Whether a pass that came just before it changed something. */
  readonly passed?: boolean;
}

/** By service, each change with what it costs; what stays as it is is only counted. */
export function describePlan(plan: DescribedPlan, paint: Paint = plain): string {
  const inside = plan.strays.filter(({ key, of }) => key !== of);
  const conflicts = plan.conflicts.map(
    ({ subject }) => `${paint('red', '!')} ${subject}: described, but somebody else made it`,
  );
  const others = plan.strays.length - inside.length;
  const apart = others === 0 ? '' : `; ${others} not in the file and left alone`;
  const { replaces, owners = [], drains = [], held = [], steps = [], passed = false } = plan;
  const besides = [...(owners.length > 0 ? ['owners'] : []), ...(drains.length > 0 ? ['drains'] : [])];
  const still = besides.length > 0 ? `the table stays as it is, ${besides.join(' and ')} change` : 'nothing to change';
  const sum = sumOf(plan.changes, 'toDo') || (passed || steps.length > 0 ? 'the file changes nothing' : still);
  const changed = new Set(plan.changes.map(({ key }) => key));
  const stays = held.filter((each) => !changed.has(keyOf(each)));
  const note =
    replaces === undefined
      ? []
      : [paint('yellow', `what leaves was applied from ${replaces}, which this file replaces`)];
  const total = `${sum}; ${plan.unchanged} unchanged${apart}`;
  const groups = groupsOf(plan.changes, inside, stays, paint);
  const next = steps.map((step) => describeStep(step, paint));
  const notInTable = [...describeOwners(owners, paint), ...describeDrains(drains, paint)];
  return [...conflicts, ...groups, ...notInTable, ...next, ...note, total].join('\n');
}

const MOST_OWNERS = 10;

function describeOwners(owners: readonly OwnerChange[], paint: Paint): string[] {
  const lines = owners
    .slice(0, MOST_OWNERS)
    .map(({ key, from, to }) => `${paint('yellow', '=')} ${key}  owner ${from} → ${to}`);
  const rest = owners.length - lines.length;
  return rest > 0 ? [...lines, `  and ${rest} more owners`] : lines;
}

function describeDrains(drains: readonly DrainChange[], paint: Paint): string[] {
  return drains.map((drain) => `${paint('yellow', '=')} ${subjectOf(drain)}  ${drain.words}`);
}

/** Changes that were made, or that lead from one state to another: by service, then how many. */
export function describeChanges(
  changes: readonly PastChange[],
  paint: Paint = plain,
  words: 'toDo' | 'done' = 'done',
): string {
  return [...groupsOf(changes, [], [], paint), sumOf(changes, words) || 'no change'].join('\n');
}

interface Group {
  readonly changes: PastChange[];
  readonly strays: Stray[];
  readonly held: HeldWeight[];
}

function groupsOf(
  changes: readonly PastChange[],
  strays: readonly Stray[],
  held: readonly HeldWeight[],
  paint: Paint,
): string[] {
  const groups = new Map<string, Group>();
  const groupOf = (of: string) => {
    const group = groups.get(of) ?? { changes: [], strays: [], held: [] };
    groups.set(of, group);
    return group;
  };
  for (const change of changes) groupOf(change.of).changes.push(change);
  for (const stray of strays) groupOf(stray.of).strays.push(stray);
  for (const each of held) groupOf(each.service).held.push(each);
  return [...groups].flatMap(([of, group]) => [
    ...describeGroup(of, group.changes, paint),
    ...group.held.map((each) => describeHeld(each, paint)),
    ...group.strays.map((stray) => describeStray(stray, paint)),
  ]);
}

function describeGroup(of: string, changes: readonly PastChange[], paint: Paint): string[] {
  const own = changes.filter(({ key }) => key === of);
  const all = changes.filter((change) => change.key !== of && kindOf(change) === 'add');
  // The first of the file is added last, so that it stands first.
  const destinations = all.filter(({ resource }) => resource === 'services').reverse();
  const added = [...all.filter(({ resource }) => resource !== 'services'), ...destinations];
  const others = changes.filter((change) => change.key !== of && kindOf(change) !== 'add');
  return [
    ...(own.length === 0 ? [`  ${of}`] : own.flatMap((change) => describeChange(change, of, '', paint))),
    ...[...added, ...others].flatMap((change) => describeChange(change, nameIn(of, change), '    ', paint)),
  ];
}

/** Without what it belongs to, where its name begins with that. */
function nameIn(of: string, { resource, key, subject }: PastChange): string {
  if (key.startsWith(`${of} `)) return key.slice(of.length + 1);
  return resource === 'rules' ? key : subject;
}

function describeChange(change: PastChange, name: string, indent: string, paint: Paint): string[] {
  const { sign, style } = kinds[kindOf(change)];
  const drift = change.cause === 'drift' ? paint('dim', ' (somebody changed it)') : '';
  const line = `${indent}${paint(style, sign)} ${name}  ${change.detail}${drift}`;
  return [line, ...change.effects.map((effect) => paint('dim', `${indent}      ${effect}`))];
}

function describeHeld({ destination, weight, words }: HeldWeight, paint: Paint): string {
  return `    ${paint('dim', '=')} ${destination}  weight ${weight} ${words}`;
}

function describeStep(step: DrainMove, paint: Paint): string {
  return `  ${paint('yellow', 'next pass')}: ${subjectOf(step)}  ${stepWords(step)}`;
}

function stepWords(step: DrainMove): string {
  if (step.type === 'ramp') {
    if (step.ended === 'gone') return 'its ramp ends: it is gone';
    if (step.ended === 'changed') return `its ramp ends: its weight was set to ${step.weight}`;
    return `weight ${step.weight} of ${step.ramp.weight}${step.ended ? ', its ramp ends' : ''}`;
  }
  const { ended, restored, drain } = step;
  if (restored !== undefined) return `weight ${restored}, its drain was cancelled`;
  if (ended === undefined) return 'weight 0: it drains';
  if (ended.how === 'gone') return 'its drain ends: it is gone';
  const why = ended.how === 'drained' ? 'it is drained' : 'the deadline has passed';
  return drain.afterwards === 'delete' ? `deleted: ${why}` : `its drain ends, and it keeps weight 0: ${why}`;
}

function describeStray({ resource, key, of, subject, owner }: Stray, paint: Paint): string {
  const name = resource === 'addresses' ? subject : key.slice(of.length + 1);
  const who = owner === 'verb' ? 'a verb' : 'somebody else';
  return `    ${paint('dim', '?')} ${name}  not in the file, and kept: made by ${who}`;
}

function sumOf(changes: readonly PastChange[], words: 'toDo' | 'done'): string {
  const sums = (Object.keys(kinds) as Kind[]).flatMap((kind) => {
    const number = changes.filter((change) => kindOf(change) === kind).length;
    return number === 0 ? [] : [`${number} ${kinds[kind][words]}`];
  });
  return sums.join(', ');
}
