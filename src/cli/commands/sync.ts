/** `ipvs sync start|stop|status` */

import { settingsOfSync } from '../../ipvs/settings.ts';
import { normalizeSyncDaemon, normalizeSyncState, type SyncDaemon, syncStates } from '../../ipvs/sync-daemon.ts';
import { daemonKey } from '../../resources/keys.ts';
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withIpvs, withVerb } from '../spec/globals.ts';
import { number, oneValue } from '../spec/options.ts';
import { optionsOf } from '../spec/setting-options.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { columns, printJson } from '../words/output.ts';

interface SyncOptions extends GlobalOptions {
  readonly role: string;
  readonly interface?: string;
  readonly id?: string;
  readonly maxLength?: string;
  readonly group?: string;
  readonly port?: string;
  readonly ttl?: string;
}

const ROLE = `${syncStates.join(' or ')}: sends the connections of this director, or takes in those of others`;

export const command: Group = {
  description:
    'Kernel threads that send connections to other directors (master), or take in those of others (backup), by UDP multicast. One of each may run in a network namespace.',
  fallback: 'status',
  actions: [
    action({
      usage: 'status',
      summary: 'Show the daemons that run',
      examples: [{ line: 'ipvs sync' }, { line: 'ipvs sync status --json' }],
      async run(options) {
        const daemons = await withIpvs(options, (ipvs) => ipvs.syncDaemons());
        if (options.json) printJson({ daemons });
        else print(daemons.length === 0 ? 'no sync daemon runs' : table(daemons));
        return EXIT.done;
      },
    }),
    action<SyncOptions>({
      usage: 'start <role>',
      summary: 'Start a daemon',
      arguments: { role: ROLE },
      options: optionsOf(settingsOfSync),
      examples: [
        { line: 'ipvs sync start master --interface lo --id 7' },
        { line: 'ipvs sync start backup --interface lo --id 7 --group 224.0.0.99 --port 9000' },
      ],
      async run(options) {
        const interfaceName = oneValue(options.interface, 'interface');
        if (interfaceName === undefined) throw new UsageError('say which network interface: --interface eth1');
        const daemon = normalizeSyncDaemon({
          state: options.role,
          interface: interfaceName,
          id: number(options.id, 'id'),
          maxLengthBytes: number(options.maxLength, 'max-length'),
          group: oneValue(options.group, 'group'),
          port: number(options.port, 'port'),
          ttl: number(options.ttl, 'ttl'),
        });
        const { state } = daemon;
        await withVerb(options, 'sync start', { makes: [daemonKey(state)] }, (ipvs) => ipvs.startSyncDaemon(daemon));
        return { done: 'started', subject: `${state} on ${interfaceName}` };
      },
    }),
    action<SyncOptions>({
      usage: 'stop <role>',
      summary: 'Stop a daemon',
      arguments: { role: ROLE },
      examples: [{ line: 'ipvs sync stop master' }],
      async run(options) {
        const state = normalizeSyncState(options.role);
        await withVerb(options, 'sync stop', { takes: [daemonKey(state)] }, (ipvs) => ipvs.stopSyncDaemon(state));
        return { done: 'stopped', subject: state };
      },
    }),
  ],
};

function table(daemons: readonly SyncDaemon[]): string {
  const head = ['STATE', 'INTERFACE', 'ID', 'GROUP', 'PORT', 'TTL', 'LENGTH'];
  const rows = daemons.map(({ state, interface: name, id, group, port, ttl, maxLengthBytes }) => [
    ...[state, name, String(id)],
    ...[group, port, ttl, maxLengthBytes].map((value) => String(value ?? '?')),
  ]);
  return columns([head, ...rows], new Set([2, 4, 5, 6])).join('\n');
}
