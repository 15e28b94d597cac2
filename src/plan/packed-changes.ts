/** Changes as they are kept: without their operations, which follow from the tables; there may be tens of thousands. */
import { IpvsError } from '../errors.ts';
import { type Change, type Phase, phases } from './resource.ts';
import { isListOf } from './shapes.ts';

export type PackedChanges = readonly (readonly [
  resource: string,
  phase: number,
  verb: string,
  key: string,
  of: string,
  subject: string,
  detail: string,
  cause: Change['cause'],
  ...effects: string[],
])[];

/** A change that was planned: what a person wants to know of it. */
export type PastChange = Omit<Change, 'operation'>;

export function packChanges(changes: readonly PastChange[]): PackedChanges {
  return changes.map(({ resource, phase, verb, key, of, subject, detail, cause, effects }) => [
    resource,
    phases.indexOf(phase),
    verb,
    key,
    of,
    subject,
    detail,
    cause,
    ...effects,
  ]);
}

/** Throws STORE_DAMAGED for what is something else. */
export function unpackChanges(packed: PackedChanges): PastChange[] {
  if (!isListOf(packed, isPackedChange))
    throw new IpvsError('STORE_DAMAGED', { detail: 'what should be a list of changes is something else' });
  return packed.map(([resource, phase, verb, key, of, subject, detail, cause, ...effects]) => ({
    resource,
    phase: phases[phase] as Phase,
    verb,
    key,
    of,
    subject,
    detail,
    cause,
    effects,
  }));
}

function isPackedChange(packed: unknown): boolean {
  if (!Array.isArray(packed)) return false;
  const [resource, phase, ...texts] = packed;
  return typeof resource === 'string' && phases[phase] !== undefined && texts.length >= 6 && isListOf(texts, isString);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}
