/** The code of each command, by its name. It is imported only when the command runs. */
import type { Command, Group } from './spec/command.ts';
import type { CommandEntry } from './spec/commands.ts';

const loads: Readonly<Record<string, () => Promise<{ readonly command: Command | Group }>>> = {
  list: () => import('./commands/list.ts'),
  connections: () => import('./commands/connections.ts'),
  totals: () => import('./commands/totals.ts'),
  plan: () => import('./commands/plan.ts'),
  apply: () => import('./commands/apply.ts'),
  drift: () => import('./commands/drift.ts'),
  adopt: () => import('./commands/adopt.ts'),
  disown: () => import('./commands/disown.ts'),
  recover: () => import('./commands/recover.ts'),
  history: () => import('./commands/history.ts'),
  diff: () => import('./commands/diff.ts'),
  undo: () => import('./commands/undo.ts'),
  validate: () => import('./commands/validate.ts'),
  service: () => import('./commands/service.ts'),
  destination: () => import('./commands/destination.ts'),
  drain: () => import('./commands/drain.ts'),
  defense: () => import('./commands/defense.ts'),
  timeouts: () => import('./commands/timeouts.ts'),
  sync: () => import('./commands/sync.ts'),
  sysctl: () => import('./commands/sysctl.ts'),
  masquerade: () => import('./commands/masquerade.ts'),
  zero: () => import('./commands/zero.ts'),
  flush: () => import('./commands/flush.ts'),
  info: () => import('./commands/info.ts'),
  schema: () => import('./commands/schema.ts'),
  completion: () => import('./commands/completion.ts'),
};

export async function loadCommand({ usage }: CommandEntry): Promise<Command | Group> {
  const [name = ''] = usage.split(' ', 1);
  const load = loads[name];
  if (load === undefined) throw new Error(`there is no code for the command ${name}`);
  return (await load()).command;
}
