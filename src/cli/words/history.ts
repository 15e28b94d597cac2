/** The history in words. Pure. */

import { visible } from '../../base/quote.ts';
import { describeChanges, type Paint } from '../../director/describe.ts';
import type { PastApply } from '../../director/past.ts';
import type { HistoryEntry, Source } from '../../record/ledger.ts';
import type { DamagedEntry } from '../../record/store.ts';
import type { DesiredState } from '../../state/state.ts';
import { columns, counted, time } from './output.ts';

type AnyEntry = HistoryEntry | DamagedEntry;

/** The newest first; below, what to do about those that are damaged. */
export function historyTable(entries: readonly AnyEntry[], paint: Paint): string {
  if (entries.length === 0) return 'nothing was applied';
  const [head = '', ...lines] = columns(
    [['ID', 'WHEN', 'WHO', 'COMMAND', 'OUTCOME', 'CHANGES', 'FILE'], ...entries.map(rowOf)],
    new Set([0, 5]),
  );
  const damage = entries.filter(isDamaged).map(({ error: { message, hint } }) => `${message}; ${hint}`);
  return [paint('dim', head), ...lines, ...damage].join('\n');
}

function rowOf(entry: AnyEntry): string[] {
  if (isDamaged(entry)) return [String(entry.id), '-', '-', '-', 'damaged', '-', '-'];
  const { id, at, by, command, outcome, changes } = entry;
  return [String(id), time(at), by.user, command, outcome, String(changes), fileOf(entry)];
}

/** A damaged one has the outcome "damaged", its file, and why. */
export function entryJson(entry: AnyEntry): object {
  if (!isDamaged(entry)) return entry;
  const { code, message, hint, subject } = entry.error;
  return { id: entry.id, outcome: 'damaged', file: subject, error: { code, message, hint } };
}

function isDamaged(entry: AnyEntry): entry is DamagedEntry {
  return !('outcome' in entry);
}

/** To what an undo leads: "to the state before entry 3 (apply web.yaml by root, 2026-11-30T18:00:00Z): 2 services, 5 destinations" */
export function describePoint(side: 'before' | 'after', entry: HistoryEntry, desired: DesiredState): string {
  const { id, command, by, at } = entry;
  const file = fileOf(entry);
  const what = `${command}${file === '-' ? '' : ` ${file}`} by ${by.user}, ${time(at)}`;
  const described =
    desired.services.length === 0 ? 'no file had been applied' : `the file then described ${sizeOf(desired)}`;
  return visible(`to the state ${side} entry ${id} (${what}); ${described}`);
}

/** What it was about, then its changes. */
export function describeEntry({ entry, changes, previous, previousEntry, desired }: PastApply, paint: Paint): string {
  const { id, at, by, command, outcome, error, files: read } = entry;
  const before =
    previous === null ? 'nothing' : `${sizeOf(previous)}${previousEntry ? ` (entry ${previousEntry})` : ''}`;
  const rows = [
    ['entry', String(id)],
    ['when', time(at)],
    ['who', `${by.user} (${by.uid})`],
    ['command', command],
    ...read.map(({ path, sha256 }) => ['file', `${path} (sha256 ${sha256.slice(0, 12)})`]),
    ['outcome', outcomes[outcome]],
    ...(error === undefined ? [] : [['error', error]]),
    ['before', before],
    [outcome === 'applied' ? 'after' : 'wanted', sizeOf(desired)],
  ];
  return [
    ...columns(rows, new Set()),
    '',
    describeChanges(changes, paint, outcome === 'applied' ? 'done' : 'toDo'),
  ].join('\n');
}

const outcomes: Readonly<Record<HistoryEntry['outcome'], string>> = {
  applied: 'applied',
  undone: 'undone: the table was as before',
  mixed: 'some of it could not be undone',
};

/** The first is the one that was named; the others are those that it includes. */
function fileOf({ files: [first, ...rest] }: Source): string {
  if (first === undefined) return '-';
  return rest.length === 0 ? first.path : `${first.path} and ${rest.length} more`;
}

/** "2 services, 5 destinations" */
function sizeOf({ services }: DesiredState): string {
  const destinations = services.reduce((sum, entry) => sum + entry.destinations.length, 0);
  return `${counted(services.length, 'service')}, ${counted(destinations, 'destination')}`;
}
