/** The commands: how each is called, and what it does in a few words. `../load.ts` has the code of each. */

export interface CommandEntry {
  /** `list [service]` */
  readonly usage: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
}

export const commands: readonly CommandEntry[] = [
  {
    usage: 'list [service]',
    aliases: ['ls'],
    summary: 'Show services and destinations',
  },
  {
    usage: 'connections',
    aliases: ['conns'],
    summary: 'Show the connections that the kernel balances',
  },
  {
    usage: 'totals',
    summary: 'Show counters over all services',
  },
  {
    usage: 'plan <file>',
    summary: 'Show what an apply would do',
  },
  {
    usage: 'apply <file>',
    summary: 'Make the kernel balance what a file describes',
  },
  {
    usage: 'drift [file]',
    summary: 'Show how the kernel differs from what was applied',
  },
  {
    usage: 'adopt [services..]',
    summary: 'Take over services that others made',
  },
  {
    usage: 'disown [services..]',
    summary: 'Forget that services are ours, and keep them as they are',
  },
  {
    usage: 'recover',
    summary: 'Deal with what a crash or a reboot left',
  },
  {
    usage: 'history',
    summary: 'Show what was applied, when, and by whom',
  },
  {
    usage: 'diff [a] [b]',
    summary: 'Compare entries of the history, files and the kernel',
  },
  {
    usage: 'undo [id]',
    summary: 'Apply what was applied before',
  },
  {
    usage: 'validate <file..>',
    summary: 'Check files that describe what the kernel should balance',
  },
  {
    usage: 'service',
    summary: 'Add, edit, delete or show one service',
  },
  {
    usage: 'destination',
    aliases: ['dest'],
    summary: 'Add, edit or delete one destination of a service',
  },
  {
    usage: 'drain',
    summary: 'Take a destination out of service without cutting connections',
  },
  {
    usage: 'defense',
    summary: "Look at the kernel's defense against floods, and run a controller of it",
  },
  {
    usage: 'timeouts',
    summary: 'Show or set how long idle connections are kept',
  },
  {
    usage: 'sync',
    summary: 'Start, stop or show the daemons that synchronise connections',
  },
  {
    usage: 'sysctl',
    summary: 'Show, set or guard settings of the kernel',
  },
  {
    usage: 'masquerade',
    summary: 'Let an inner network reach outside under an address of this host',
  },
  {
    usage: 'zero [service]',
    summary: 'Set counters to zero',
  },
  { usage: 'flush', summary: 'Remove all services, whoever made them' },
  {
    usage: 'info',
    summary: "Show the kernel's IPVS version, tables and helpers",
  },
  {
    usage: 'schema',
    summary: 'Print the JSON Schema of the files that apply reads',
  },
  {
    usage: 'completion [shell]',
    summary: 'Print a completion script for bash or zsh',
  },
];
