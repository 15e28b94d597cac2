/** A plan in words, for people. Pure. */
import type { Plan } from '../plan/plan.ts';
import type { Change } from '../plan/resource.ts';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
/** Colours a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

const plain: Paint = (_, text) => text;

const kinds = {
  add: { sign: '+', style: 'green', sum: 'to add' },
  edit: { sign: '~', style: 'yellow', sum: 'to change' },
  delete: { sign: '-', style: 'red', sum: 'to take away' },
} as const;
type Kind = keyof typeof kinds;

const kindOfVerb: Readonly<Record<string, Kind>> = { add: 'add', start: 'add', delete: 'delete', stop: 'delete' };

function kindOf({ verb }: Change): Kind {
  return kindOfVerb[verb.split(' ', 1)[0] ?? ''] ?? 'edit';
}

/** By service, each change with what it costs; what stays as it is is only counted. */
export function describePlan(plan: Plan, paint: Paint = plain): string {
  const groups = new Map<string, Change[]>();
  for (const change of plan.changes) groups.set(change.of, [...(groups.get(change.of) ?? []), change]);
  const lines: string[] = plan.conflicts.map(
    ({ subject }) => `${paint('red', '!')} ${subject}: described, but somebody else made it`,
  );
  for (const [of, changes] of groups) lines.push(...describeGroup(of, changes, plan, paint));
  for (const of of new Set(straysInside(plan).map((stray) => stray.of))) {
    if (!groups.has(of)) lines.push(`  ${of}`, ...describeStrays(of, plan, paint));
  }
  return [...lines, summaryOf(plan)].join('\n');
}

function describeGroup(of: string, changes: readonly Change[], plan: Plan, paint: Paint): string[] {
  const own = changes.filter(({ key }) => key === of);
  // The first of the file is added last, so that it stands first.
  const added = changes.filter((change) => change.key !== of && kindOf(change) === 'add').reverse();
  const others = changes.filter((change) => change.key !== of && kindOf(change) !== 'add');
  return [
    ...(own.length === 0 ? [`  ${of}`] : own.flatMap((change) => describeChange(change, of, '', paint))),
    ...[...added, ...others].flatMap((change) => describeChange(change, nameIn(of, change), '    ', paint)),
    ...describeStrays(of, plan, paint),
  ];
}

/** Without what it belongs to, where its name begins with that. */
function nameIn(of: string, { key, subject }: Change): string {
  return key.startsWith(`${of} `) ? key.slice(of.length + 1) : subject;
}

function describeChange(change: Change, name: string, indent: string, paint: Paint): string[] {
  const { sign, style } = kinds[kindOf(change)];
  const drift = change.cause === 'drift' ? paint('dim', ' (somebody changed it)') : '';
  const line = `${indent}${paint(style, sign)} ${name}  ${change.detail}${drift}`;
  return [line, ...change.effects.map((effect) => paint('dim', `${indent}      ${effect}`))];
}

function straysInside({ strays }: Plan): Plan['strays'] {
  return strays.filter(({ key, of }) => key !== of);
}

function describeStrays(of: string, plan: Plan, paint: Paint): string[] {
  return straysInside(plan)
    .filter((stray) => stray.of === of)
    .map(({ key, owner }) => {
      const who = owner === 'verb' ? 'a verb' : 'somebody else';
      return `    ${paint('dim', '?')} ${key.slice(of.length + 1)}  not in the file, and kept: made by ${who}`;
    });
}

function summaryOf(plan: Plan): string {
  const sums = (Object.keys(kinds) as Kind[]).flatMap((kind) => {
    const number = plan.changes.filter((change) => kindOf(change) === kind).length;
    return number === 0 ? [] : [`${number} ${kinds[kind].sum}`];
  });
  const others = plan.strays.length - straysInside(plan).length;
  const apart = others === 0 ? '' : `; ${others} not in the file and left alone`;
  return `${sums.length === 0 ? 'nothing to change' : sums.join(', ')}; ${plan.unchanged} unchanged${apart}`;
}
