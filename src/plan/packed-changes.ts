/** Changes as they are kept: without their operations, which follow from the tables; there may be tens of thousands. */
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
