/** `ipvs timeouts [set]` */

import { settingsOfTimeouts } from '../../ipvs/settings.ts';
import { formatTimeouts } from '../../ipvs/timeouts.ts';
import { TIMEOUTS_KEY } from '../../resources/keys.ts';
import { action, type Group } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { withIpvs, withVerb } from '../spec/globals.ts';
import { seconds } from '../spec/options.ts';
import { optionsOf } from '../spec/setting-options.ts';
import { EXIT } from '../terminal/exit.ts';
import { print } from '../terminal/stdout.ts';
import { columns, printJson } from '../words/output.ts';

interface TimeoutOptions extends GlobalOptions {
  readonly tcp?: string;
  readonly tcpFin?: string;
  readonly udp?: string;
}

export const command: Group = {
  description: 'How long the kernel keeps connections on which nothing happens. One set for each network namespace.',
  fallback: 'show',
  actions: [
    action({
      usage: 'show',
      summary: 'Show the timeouts',
      examples: [{ line: 'ipvs timeouts' }, { line: 'ipvs timeouts show --json' }],
      async run(options) {
        const timeouts = await withIpvs(options, (ipvs) => ipvs.timeouts());
        const { tcpSeconds, tcpFinSeconds, udpSeconds } = timeouts;
        const lines = [
          ['tcp', `${tcpSeconds}s`],
          ['tcp after a FIN', `${tcpFinSeconds}s`],
          ['udp', `${udpSeconds}s`],
        ];
        if (options.json) printJson(timeouts);
        else print(columns(lines, new Set([1])).join('\n'));
        return EXIT.done;
      },
    }),
    action<TimeoutOptions>({
      usage: 'set',
      summary: 'Set timeouts; what is not named stays',
      description:
        'Sets timeouts; what is not named stays. A connection takes the new value when its state is next looked at, which is with its next packet.',
      options: optionsOf(settingsOfTimeouts),
      examples: [{ line: 'ipvs timeouts set --tcp 2h --udp 1m' }],
      async run(options) {
        const timeouts = {
          tcpSeconds: seconds(options.tcp, 'tcp'),
          tcpFinSeconds: seconds(options.tcpFin, 'tcp-fin'),
          udpSeconds: seconds(options.udp, 'udp'),
        };
        await withVerb(options, 'timeouts set', { edits: [TIMEOUTS_KEY] }, (ipvs) => ipvs.setTimeouts(timeouts));
        const given = Object.fromEntries(Object.entries(timeouts).filter(([, value]) => value !== undefined));
        if (options.json) printJson({ done: 'set', ...given });
        else print(`set timeouts: ${formatTimeouts(given)}`);
        return EXIT.done;
      },
    }),
  ],
};
