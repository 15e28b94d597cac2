/** How long idle connections are kept, as a resource. */

import { type Change, type Diff, type Known, overlayWhole, type Resource } from '../engine/resource.ts';
import { describe, type Operation } from '../ipvs/operation.ts';
import { type Timeouts, timeoutNames } from '../ipvs/timeouts.ts';
import { isTimeouts } from '../state/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { type Context, executed, unlessNotLoaded } from './context.ts';
import { TIMEOUTS_KEY } from './keys.ts';

/** Null where ip_vs is not loaded. */
type Current = Timeouts | null;

export const timeoutsResource: Resource<DesiredState, Current, Current, Current, Operation, Context> = {
  name: 'timeouts',
  read,
  reread: (context) => read(context),
  pack: (current) => current,
  isPacked: (value): value is Current => value === null || isTimeouts(value, true),
  unpack: (packed) => packed,
  diff: diffTimeouts,
  overlay: overlayWhole(TIMEOUTS_KEY),
  undo(before, now, keys) {
    if (!keys.has(TIMEOUTS_KEY)) return [];
    const was = before ?? KERNEL_DEFAULTS;
    return changesOf(was, now, 'file');
  },
  check: async () => [],
  apply: executed,
};

async function read({ ipvs }: Context): Promise<Current> {
  return unlessNotLoaded(ipvs.timeouts(), null);
}

/** ip_vs_proto_tcp.c, ip_vs_proto_udp.c: what a table begins with. */
const KERNEL_DEFAULTS: Timeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

function diffTimeouts({ timeouts }: DesiredState, { applied }: Known<DesiredState>, current: Current): Diff<Operation> {
  const nothing = { conflicts: [], strays: [] };
  if (timeouts === undefined) return { ...nothing, changes: [], unchanged: 0 };
  const before = applied?.timeouts;
  const asBefore = before !== undefined && timeoutNames.every((name) => before[name] === timeouts[name]);
  const changes = changesOf(timeouts, current, asBefore ? 'drift' : 'file');
  return { ...nothing, changes, unchanged: 1 - changes.length };
}

function changesOf(wanted: Partial<Timeouts>, current: Current, cause: Change['cause']): Change<Operation>[] {
  const different = timeoutNames.filter((name) => wanted[name] !== undefined && wanted[name] !== current?.[name]);
  if (different.length === 0) return [];
  const timeouts = Object.fromEntries(different.map((name) => [name, wanted[name]]));
  const operation = { type: 'timeouts.set', timeouts } as const;
  const { verb } = describe(operation);
  const detail = different
    .map((name) => `${name.replace('Seconds', '')} ${current ? `${current[name]}s → ` : ''}${wanted[name]}s`)
    .join(', ');
  const effects = ['connections take it with their next change of state'];
  return [
    {
      resource: 'timeouts',
      phase: 'prepare',
      operation,
      verb,
      subject: 'of the table',
      key: TIMEOUTS_KEY,
      of: TIMEOUTS_KEY,
      detail,
      cause,
      effects,
    },
  ];
}
