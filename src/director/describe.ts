/** Plans and changes in words, for people. Pure. */
import type { PastChange } from '../plan/packed-changes.ts';
import type { Plan } from '../plan/plan.ts';
import type { Stray } from '../plan/resource.ts';
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

/** By service, each change with what it costs; what stays as it is is only counted. */
export function describePlan(
  plan: Plan & { readonly replaces?: string; readonly owners?: readonly OwnerChange[] },
  paint: Paint = plain,
): string {
  const inside = plan.strays.filter(({ key, of }) => key !== of);
  const conflicts = plan.conflicts.map(
    ({ subject }) => `${paint('red', '!')} ${subject}: described, but somebody else made it`,
  );
  const others = plan.strays.length - inside.length;
  const apart = others === 0 ? '' : `; ${others} not in the file and left alone`;
  const { owners = [] } = plan;
  const still = owners.length > 0 ? 'the table stays as it is, owners change' : 'nothing to change';
  const sum = sumOf(plan.changes, 'toDo') || still;
  const { replaces } = plan;
  const note =
    replaces === undefined
      ? []
      : [paint('yellow', `what leaves was applied from ${replaces}, which this file replaces`)];
  const total = `${sum}; ${plan.unchanged} unchanged${apart}`;
  return [
    ...conflicts,
    ...groupsOf(plan.changes, inside, paint),
    ...describeOwners(owners, paint),
    ...note,
    total,
  ].join('\n');
}

const MOST_OWNERS = 10;

function describeOwners(owners: readonly OwnerChange[], paint: Paint): string[] {
  const lines = owners
    .slice(0, MOST_OWNERS)
    .map(({ key, from, to }) => `${paint('yellow', '=')} ${key}  owner ${from} → ${to}`);
  const rest = owners.length - lines.length;
  return rest > 0 ? [...lines, `  and ${rest} more owners`] : lines;
}

/** Changes that were made, or that lead from one state to another: by service, then how many. */
export function describeChanges(
  changes: readonly PastChange[],
  paint: Paint = plain,
  words: 'toDo' | 'done' = 'done',
): string {
  return [...groupsOf(changes, [], paint), sumOf(changes, words) || 'no change'].join('\n');
}

function groupsOf(changes: readonly PastChange[], strays: readonly Stray[], paint: Paint): string[] {
  const groups = new Map<string, { readonly changes: PastChange[]; readonly strays: Stray[] }>();
  const groupOf = (of: string) => {
    const group = groups.get(of) ?? { changes: [], strays: [] };
    groups.set(of, group);
    return group;
  };
  for (const change of changes) groupOf(change.of).changes.push(change);
  for (const stray of strays) groupOf(stray.of).strays.push(stray);
  return [...groups].flatMap(([of, group]) => [
    ...describeGroup(of, group.changes, paint),
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
