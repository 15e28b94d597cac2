/** Sync daemons, as a resource. The kernel cannot change one that runs: it is stopped and started again. */

import {
  type Change,
  type Conflict,
  type Diff,
  type DiffOptions,
  type Known,
  type Resource,
  type Stray,
  UNDONE,
  WAS_ABSENT,
} from '../engine/resource.ts';
import { describe, type Operation } from '../ipvs/operation.ts';
import type { SyncDaemon, SyncState } from '../ipvs/sync-daemon.ts';
import { syncStates } from '../ipvs/sync-daemon.ts';
import { isSyncDaemons } from '../state/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { type Context, executed, unlessNotLoaded } from './context.ts';
import { daemonKey } from './keys.ts';

type Daemons = readonly SyncDaemon[];

export const syncResource: Resource<DesiredState, Daemons, Daemons, Daemons, Operation, Context> = {
  name: 'sync',
  read,
  reread: (context) => read(context),
  pack: (current) => current,
  isPacked: isSyncDaemons,
  unpack: (packed) => packed,
  diff: diffSync,
  overlay: (onto, over, keys) =>
    syncStates.flatMap((state) => daemonOf(keys.has(daemonKey(state)) ? over : onto, state) ?? []),
  undo(before, now, keys) {
    return syncStates.flatMap((state) => {
      if (!keys.has(daemonKey(state))) return [];
      const [was, is] = [daemonOf(before, state), daemonOf(now, state)];
      if (was && is && sameDaemon(was, is)) return [];
      return [...(is ? [stop(state, was ? UNDONE : WAS_ABSENT)] : []), ...(was ? [start(was, UNDONE)] : [])];
    });
  },
  check: async () => [],
  apply: executed,
};

async function read({ ipvs }: Context): Promise<Daemons> {
  return unlessNotLoaded(ipvs.syncDaemons(), []);
}

function diffSync(
  { sync }: DesiredState,
  { applied, made }: Known<DesiredState>,
  current: Daemons,
  { adopt = false, prune = false }: DiffOptions,
): Diff<Operation> {
  const changes: Change<Operation>[] = [];
  const conflicts: Conflict[] = [];
  const strays: Stray[] = [];
  let unchanged = 0;
  for (const state of sync === undefined ? [] : syncStates) {
    const [wanted, running, was] = [daemonOf(sync, state), daemonOf(current, state), daemonOf(applied?.sync, state)];
    const key = daemonKey(state);
    const cause = wanted && was && sameDaemon(was, wanted) ? 'drift' : 'file';
    const ours = was !== undefined || made.has(key);
    if (wanted && running && sameDaemon(wanted, running)) unchanged++;
    else if (wanted && running && !ours && !adopt)
      conflicts.push({ resource: 'sync', subject: `sync daemon ${state}`, of: key });
    else if (wanted && running) {
      const effects = ['connections made meanwhile are not synchronised'];
      changes.push({ ...stop(state, 'to start it anew', cause), effects }, start(wanted, settingsOf(wanted), cause));
    } else if (wanted) changes.push(start(wanted, settingsOf(wanted), cause));
    else if (running && (was || prune)) changes.push(stop(state, was ? 'left the file' : 'not in the file'));
    else if (running) {
      strays.push({
        resource: 'sync',
        subject: `sync daemon ${state}`,
        key,
        of: key,
        owner: made.has(key) ? 'verb' : 'foreign',
      });
    }
  }
  return { changes, unchanged, conflicts, strays };
}

function daemonOf(daemons: Daemons | undefined, state: SyncState): SyncDaemon | undefined {
  return daemons?.find((daemon) => daemon.state === state);
}

/** What is not said of `wanted` is the kernel's default, and what the running one does not show is not known. */
function sameDaemon(wanted: SyncDaemon, running: SyncDaemon): boolean {
  if (wanted.interface !== running.interface || wanted.id !== running.id) return false;
  return (['maxLengthBytes', 'group', 'port', 'ttl'] as const).every(
    (name) => wanted[name] === undefined || running[name] === undefined || wanted[name] === running[name],
  );
}

function settingsOf({ state: _, interface: name, ...settings }: SyncDaemon): string {
  const words = Object.entries(settings).filter(([, value]) => value !== undefined);
  return [`on ${name}`, ...words.map(([name, value]) => `${name} ${value}`)].join(', ');
}

function start(daemon: SyncDaemon, detail: string, cause: Change['cause'] = 'file'): Change<Operation> {
  return change({ type: 'sync.start', daemon }, daemon.state, detail, cause);
}

function stop(state: SyncState, detail: string, cause: Change['cause'] = 'file'): Change<Operation> {
  return change({ type: 'sync.stop', state }, state, detail, cause);
}

function change(operation: Operation, state: SyncState, detail: string, cause: Change['cause']): Change<Operation> {
  const key = daemonKey(state);
  return {
    resource: 'sync',
    phase: 'prepare',
    operation,
    ...describe(operation),
    key,
    of: key,
    detail,
    cause,
    effects: [],
  };
}
