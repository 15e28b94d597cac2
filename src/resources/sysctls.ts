/** Settings of the kernel, as a resource: those that are described. Others, and those that are not any more, stay. */
import { IpvsError, refusalBy } from '../base/errors.ts';
import { heldOriginals } from '../defense/record.ts';
import type { Plan } from '../engine/plan.ts';
import type { Change, ChangeResult, Diff, Known, Phase, Resource } from '../engine/resource.ts';
import { UNDONE } from '../engine/resource.ts';
import { reasonsOf } from '../state/needed-settings.ts';
import { isSysctlValues } from '../state/shapes.ts';
import type { DesiredState } from '../state/state.ts';
import { sysctlSpec } from '../sysctl/catalogue.ts';
import { shownSysctlValue } from '../sysctl/kind.ts';
import { schedulerOf } from '../sysctl/name.ts';
import { isOfModule, isSame, orderOf, type SysctlOperation } from '../sysctl/sysctl-table.ts';
import type { Context } from './context.ts';
import { sysctlKey } from './keys.ts';

/** For settings that come with a scheduler, and that with the first service that uses it. */
const AFTER_SERVICES: Phase = 'publish';

/** By name, those that somebody describes; null where there are no settings: in memory. */
export type SysctlValues = Readonly<Record<string, string>> | null;

export const sysctlsResource: Resource<
  DesiredState,
  SysctlValues,
  SysctlValues,
  SysctlValues,
  SysctlOperation,
  Context
> = {
  name: 'sysctls',
  read,
  // What was described then is what was read, but for what came with the module.
  reread: (context, before, keys) =>
    read(context, [{ services: [], sysctls: { ...before, ...Object.fromEntries(sysctlsIn(keys)) } }]),
  pack: (current) => current,
  isPacked: (value): value is SysctlValues => value === null || isSysctlValues(value),
  unpack: (packed) => packed,
  diff: diffSysctls,
  overlay(onto, over, keys) {
    if (!onto || !over) return onto;
    const names = Object.keys({ ...onto, ...over });
    const values = names.map((name) => [name, (keys.has(sysctlKey(name)) ? over : onto)[name]] as const);
    return Object.fromEntries(values.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
  },
  undo(before, now, keys) {
    if (!before || !now) return [];
    return Object.entries(now).flatMap(([name, value]) => {
      const was = before[name] ?? sysctlSpec(name)?.default ?? value;
      if (!keys.has(sysctlKey(name)) || isSame(name, was, value)) return [];
      return [change(name, value, was, 'file', UNDONE)];
    });
  },
  async check(context, changes) {
    const { sysctls } = context;
    const held = heldOriginals(context.defense);
    return changes.flatMap((change): ChangeResult[] => {
      const { name } = change.operation;
      if (Object.hasOwn(held, name)) return [{ change, error: new IpvsError('SYSCTL_HELD', { subject: name }) }];
      if (sysctls === undefined || sysctls.find(name) !== undefined) return [];
      // It comes with a service of the plan.
      if (change.phase === AFTER_SERVICES) return [];
      // It may come with the module, which the next steps have loaded.
      if (isOfModule(name) && sysctls.loadModule() && sysctls.find(name) !== undefined) return [];
      return [{ change, error: failure(change, () => sysctls.get(name)) ?? notFound(change) }];
    });
  },
  apply: async ({ sysctls }, changes) =>
    changes.map((change) => {
      const error = failure(change, () => sysctls?.execute(change.operation));
      return error ? { change, error } : { change };
    }),
};

/** What the defense changed for now counts as it was, and as it will be again. */
async function read(context: Context, about?: readonly DesiredState[]): Promise<SysctlValues> {
  const { sysctls } = context;
  if (sysctls === undefined) return null;
  const names = about?.flatMap((state) => Object.keys(state.sysctls ?? {})) ?? sysctls.list().map(({ name }) => name);
  // Most tables describe none.
  const held = names.length > 0 ? heldOriginals(context.defense) : {};
  const values = [...new Set(names)].map((name) => [name, held[name] ?? sysctls.find(name)] as const);
  return Object.fromEntries(values.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

export function sysctlsIn(keys: ReadonlySet<string>): [name: string, value: string][] {
  const prefix = sysctlKey('');
  return [...keys].flatMap((key) => (key.startsWith(prefix) ? [[key.slice(prefix.length), '']] : []));
}

function diffSysctls(
  { sysctls = {}, ...needing }: DesiredState,
  { applied }: Known<DesiredState>,
  current: SysctlValues,
): Diff<SysctlOperation> {
  const changes: Change<SysctlOperation>[] = [];
  let unchanged = 0;
  for (const [name, wanted] of current === null ? [] : Object.entries(sysctls)) {
    const value = current?.[name];
    if (value !== undefined && isSame(name, value, wanted)) unchanged++;
    else {
      const cause = applied?.sysctls?.[name] === wanted ? 'drift' : 'file';
      const made = change(name, value, wanted, cause);
      const scheduler = schedulerOf(name);
      const isLate = scheduler !== undefined && needing.services.some(({ service }) => service.scheduler === scheduler);
      changes.push({
        ...made,
        ...(isLate && { phase: AFTER_SERVICES }),
        effects: [...reasonsOf(name, wanted, needing), ...made.effects],
      });
    }
  }
  changes.sort((a, b) => orderOf(a.operation.name) - orderOf(b.operation.name));
  return { changes, unchanged, conflicts: [], strays: [] };
}

function change(
  name: string,
  from: string | undefined,
  to: string,
  cause: Change['cause'],
  detail = shownChange(name, from, to),
): Change<SysctlOperation> {
  const key = sysctlKey(name);
  return {
    resource: 'sysctls',
    phase: 'prepare',
    operation: { type: 'sysctl.set', name, value: to },
    verb: 'set sysctl',
    subject: name,
    key,
    of: key,
    detail,
    cause,
    effects: effectsOf(name),
  };
}

/** "0 → 1" */
function shownChange(name: string, from: string | undefined, to: string): string {
  const kind = sysctlSpec(name)?.kind;
  return [...(from === undefined ? [] : [from]), to].map((value) => shownSysctlValue(kind, value)).join(' → ');
}

/** Settings of interfaces are not in the plan: the kernel changes them. */
const NOT_UNDONE = 'an undo does not bring back what single ones had';

/** What it costs beside what it is for. */
function effectsOf(name: string): readonly string[] {
  const spec = sysctlSpec(name);
  return [
    ...(spec?.scope === 'host' ? ['holds for all network namespaces of the host'] : []),
    ...(name === 'net.ipv4.ip_forward'
      ? [`sets some settings of all interfaces to those of a router, or of a host; ${NOT_UNDONE}`]
      : []),
    ...(name === 'net.ipv6.conf.all.forwarding'
      ? [
          'router advertisements are not taken any more, but where accept_ra is 2',
          `sets forwarding of all interfaces; ${NOT_UNDONE}`,
        ]
      : []),
    ...(name === 'net.ipv4.vs.run_estimation' ? ['counters stand still while it is 0'] : []),
  ];
}

/** Says of settings that a controller holds now that this is so. `held`: asked only if there are changes of settings. */
export function withHeldEffects(plan: Plan, held: () => Readonly<Record<string, string>>): Plan {
  const isSetting = ({ resource }: Change) => resource === 'sysctls';
  if (!plan.changes.some(isSetting)) return plan;
  const names = held();
  return {
    ...plan,
    changes: plan.changes.map((change) =>
      isSetting(change) && Object.hasOwn(names, change.subject)
        ? { ...change, effects: [...change.effects, 'held by the defense: an apply is refused until that is over'] }
        : change,
    ),
  };
}

function failure({ verb, subject }: Change, action: () => unknown): IpvsError | undefined {
  return refusalBy(action)?.with({ operation: verb, subject });
}

function notFound({ verb, subject }: Change): IpvsError {
  return new IpvsError('SYSCTL_NOT_FOUND', { operation: verb, subject });
}
