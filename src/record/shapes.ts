/**
 * Shapes of what the record holds: whatever JSON a file contains, code that uses it meets no value of another type.
 * By hand, as every command reads a ledger and none should load a library for that. Pure.
 */
import { type HistoryEntry, type Journal, type Ledger, type Owners, outcomes } from './ledger.ts';
import type { Sightings } from './sightings.ts';

/** What was parsed, of a type that is still to be checked. */
type Unchecked<T> = { readonly [Key in keyof T]?: unknown };

/** A kind of value in the store. */
export interface Shape<T> {
  /** For messages: "list of changes". */
  readonly name: string;
  readonly fits: (value: unknown) => value is T;
}

export const ownersShape: Shape<Owners> = { name: 'list of owners', fits: isOwners };

export function isLedger(value: unknown): value is Ledger {
  if (!isOwners(value)) return false;
  const { table, ended = [], changedSysctls = {}, nextId }: Unchecked<Ledger> = value;
  return (
    isText(table) &&
    isId(nextId) &&
    isListOf(ended, (each) => isDrain(each) && each['ended'] !== undefined) &&
    isRecord(changedSysctls) &&
    Object.values(changedSysctls).every(isHeldSetting)
  );
}

function isOwners(value: unknown): value is Owners {
  if (!isRecord(value)) return false;
  const { applied, made, adopted = [], drains, ramps }: Unchecked<Owners> = value;
  return (
    (applied === null || isApplied(applied)) &&
    isListOf(made, isText) &&
    isListOf(adopted, isText) &&
    isListOf(drains, isDrain) &&
    isListOf(ramps, isRamp)
  );
}

export function isJournal(value: unknown): value is Journal {
  if (!isRecord(value)) return false;
  const { command, by, next, entry, before, plan, owners, target, about = [] }: Unchecked<Journal> = value;
  if (!isText(command) || !isAuthor(by) || !isObjectId(before) || !isObjectId(plan)) return false;
  if (![owners, target].every((id) => id === undefined || isObjectId(id)) || !isListOf(about, isObjectId)) return false;
  return isLedger(next) && isApplied(entry ?? next.applied);
}

export function isEntry(value: unknown): value is HistoryEntry {
  if (!isRecord(value) || !isApplied(value)) return false;
  const { by, command, outcome, changes, previous, plan, before, after, error }: Unchecked<HistoryEntry> = value;
  const { owners, touched = [] }: Unchecked<HistoryEntry> = value;
  if (!(owners === undefined || isObjectId(owners)) || !isListOf(touched, isText)) return false;
  return (
    isAuthor(by) &&
    isText(command) &&
    outcomes.some((known) => known === outcome) &&
    isNumber(changes) &&
    (previous === null || isObjectId(previous)) &&
    [plan, before, after].every(isObjectId) &&
    (error === undefined || typeof error === 'string')
  );
}

export function isSightings(value: unknown): value is Sightings {
  if (!isRecord(value)) return false;
  const { table, applied, file }: Unchecked<Sightings> = value;
  const isSeen = (seen: unknown) => isRecord(seen) && Object.values(seen).every(isMoment);
  if (!isText(table) || !isSeen(applied)) return false;
  return file === undefined || (isRecord(file) && typeof file['path'] === 'string' && isSeen(file['seen']));
}

function isApplied(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { id, table, at, bootMs = 0, desired, files, hosts } = value;
  const isFile = (file: unknown) =>
    isRecord(file) && typeof file['path'] === 'string' && typeof file['sha256'] === 'string';
  return (
    isId(id) &&
    isText(table) &&
    isMoment(at) &&
    isTimeMs(bootMs) &&
    isObjectId(desired) &&
    isListOf(files, isFile) &&
    isRecord(hosts) &&
    Object.values(hosts).every((addresses) => isListOf(addresses, isText))
  );
}

function isDrain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isPlace(value)) return false;
  const { startedBootMs, deadlineBootMs, weight, afterwards, by, ended, restoreWeight = 0, heldFirst = 0 } = value;
  // Earlier releases wrote wall-clock times.
  const { startedAtMs, deadlineAtMs } = value;
  return (
    [startedBootMs ?? startedAtMs, deadlineBootMs ?? deadlineAtMs].every(isTimeMs) &&
    [weight, restoreWeight, heldFirst].every(isNumber) &&
    (afterwards === 'delete' || afterwards === 'keep') &&
    (by === 'apply' || by === 'verb') &&
    (ended === undefined || isEnd(ended))
  );
}

function isEnd(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { bootMs, atMs, how, held, alsoEnded = [], problem = '' } = value;
  if (!isTimeMs(bootMs ?? atMs) || !isText(how) || !isRecord(held) || typeof problem !== 'string') return false;
  const { active, inactive, entries, templates } = held;
  return [active, inactive, entries, templates].every(isNumber) && isListOf(alsoEnded, isText);
}

function isRamp(value: unknown): boolean {
  if (!isPlace(value)) return false;
  const { startedBootMs, startedAtMs, durationSeconds, floor, weight, curve } = value;
  if (!isTimeMs(startedBootMs ?? startedAtMs) || ![durationSeconds, floor, weight].every(isNumber)) return false;
  return curve === 'linear' || curve === 'exponential';
}

function isPlace(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && isText(value['service']) && isText(value['destination']);
}

function isAuthor(value: unknown): boolean {
  return isRecord(value) && typeof value['user'] === 'string' && isNumber(value['uid']);
}

function isHeldSetting(value: unknown): boolean {
  if (isNumber(value)) return true; // of an earlier release
  return isRecord(value) && isText(value['original']) && isListOf(value['written'], isText);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isListOf(value: unknown, fits: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(fits);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isId(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** One that a date can show, as far from now as it is from the boot. */
function isTimeMs(value: unknown): boolean {
  return isNumber(value) && Math.abs(value) <= MOST_MS;
}

/** Half of what a date can be. */
const MOST_MS = 4e15;

/** ISO 8601. */
function isMoment(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

/** A value's name becomes the name of a file: nothing else leads out of its folder. */
export function isObjectId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
