/** The commands by name. What they do is imported when one of them runs. */
import type { Command, Group } from './command.ts';

export interface CommandEntry {
  /** `list [service]` */
  readonly usage: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly load: () => Promise<{ command: Command | Group }>;
}

export const commands: readonly CommandEntry[] = [
  {
    usage: 'list [service]',
    aliases: ['ls'],
    summary: 'Show services and destinations',
    load: () => import('./commands/list.ts'),
  },
  {
    usage: 'connections',
    aliases: ['conns'],
    summary: 'Show the connections that the kernel balances',
    load: () => import('./commands/connections.ts'),
  },
  {
    usage: 'totals',
    summary: 'Show counters over all services',
    load: () => import('./commands/totals.ts'),
  },
  {
    usage: 'plan <file>',
    summary: 'Show what an apply would do',
    load: () => import('./commands/plan.ts'),
  },
  {
    usage: 'apply <file>',
    summary: 'Make the kernel balance what a file describes',
    load: () => import('./commands/apply.ts'),
  },
  {
    usage: 'drift [file]',
    summary: 'Show how the kernel differs from what was applied',
    load: () => import('./commands/drift.ts'),
  },
  {
    usage: 'adopt [services..]',
    summary: 'Take over services that others made',
    load: () => import('./commands/adopt.ts'),
  },
  {
    usage: 'disown [services..]',
    summary: 'Forget that services are ours, and keep them as they are',
    load: () => import('./commands/disown.ts'),
  },
  {
    usage: 'recover',
    summary: 'Deal with what a crash or a reboot left',
    load: () => import('./commands/recover.ts'),
  },
  {
    usage: 'history',
    summary: 'Show what was applied, when, and by whom',
    load: () => import('./commands/history.ts'),
  },
  {
    usage: 'diff [a] [b]',
    summary: 'Compare entries of the history, files and the kernel',
    load: () => import('./commands/diff.ts'),
  },
  {
    usage: 'undo [id]',
    summary: 'Apply what was applied before',
    load: () => import('./commands/undo.ts'),
  },
  {
    usage: 'validate <file..>',
    summary: 'Check files that describe what the kernel should balance',
    load: () => import('./commands/validate.ts'),
  },
  {
    usage: 'service',
    summary: 'Add, edit, delete or show one service',
    load: () => import('./commands/service.ts'),
  },
  {
    usage: 'destination',
    aliases: ['dest'],
    summary: 'Add, edit or delete one destination of a service',
    load: () => import('./commands/destination.ts'),
  },
  {
    usage: 'drain',
    summary: 'Take a destination out of service without cutting connections',
    load: () => import('./commands/drain.ts'),
  },
  {
    usage: 'defense',
    summary: "Look at the kernel's defense against floods, and run a controller of it",
    load: () => import('./commands/defense.ts'),
  },
  {
    usage: 'timeouts',
    summary: 'Show or set how long idle connections are kept',
    load: () => import('./commands/timeouts.ts'),
  },
  {
    usage: 'sync',
    summary: 'Start, stop or show the daemons that synchronise connections',
    load: () => import('./commands/sync.ts'),
  },
  {
    usage: 'sysctl',
    summary: 'Show, set or guard settings of the kernel',
    load: () => import('./commands/sysctl.ts'),
  },
  {
    usage: 'masquerade',
    summary: 'Let an inner network reach outside under an address of this host',
    load: () => import('./commands/masquerade.ts'),
  },
  {
    usage: 'zero [service]',
    summary: 'Set counters to zero',
    load: () => import('./commands/zero.ts'),
  },
  { usage: 'flush', summary: 'Remove all services, whoever made them', load: () => import('./commands/flush.ts') },
  {
    usage: 'info',
    summary: "Show the kernel's IPVS version, tables and helpers",
    load: () => import('./commands/info.ts'),
  },
  {
    usage: 'schema',
    summary: 'Print the JSON Schema of the files that apply reads',
    load: () => import('./commands/schema.ts'),
  },
  {
    usage: 'completion [shell]',
    summary: 'Print a completion script for bash or zsh',
    load: () => import('./commands/completion.ts'),
  },
];
