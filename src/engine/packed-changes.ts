/** Changes as they are kept: without their operations, which follow from the tables; there may be tens of thousands. */

import { isListOf, type Shape } from '../record/shapes.ts';
import { type Change, type Phase, phases } from './resource.ts';

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

export function unpackChanges(packed: PackedChanges): PastChange[] {
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

export const changesShape: Shape<PackedChanges> = {
  name: 'list of changes',
  fits: (value): value is PackedChanges => isListOf(value, isPackedChange),
};

function isPackedChange(packed: unknown): boolean {
  if (!Array.isArray(packed)) return false;
  const [resource, phase, ...texts] = packed;
  return typeof resource === 'string' && phases[phase] !== undefined && texts.length >= 6 && isListOf(texts, isString);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}
