/** Shows something again and again: in place on a terminal, one below the other elsewhere. */
import { setTimeout as wait } from 'node:timers/promises';
import { type ErrorCode, IpvsError } from '../../base/errors.ts';
import type { OptionSpec } from '../spec/command.ts';
import { seconds } from '../spec/options.ts';
import { errorText, UsageError } from './exit.ts';
import { untilInterrupted } from './interrupt.ts';
import { control, print } from './stdout.ts';

export const watchOption: OptionSpec = {
  value: 'INTERVAL',
  optional: true,
  describe: 'Again every INTERVAL until interrupted; a temporary error is a frame. Default: 2s',
};

/** Undefined without --watch. */
export function watchSeconds(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const interval = value === '' ? 2 : (seconds(value, 'watch') ?? 2);
  if (interval < 1 || interval > 86_400) throw new UsageError('--watch takes 1s to 1d');
  return interval;
}

const CLEAR = '\x1b[H\x1b[2J';
/** Without the cursor, and with lines that end at the margin instead of going on below. */
const BEGIN = '\x1b[?25l\x1b[?7l';
const END = '\x1b[?7h\x1b[?25h';

/** With nothing changed, the next look may succeed, because another program causes them. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'IPVS_NOT_LOADED',
  'LOCKED',
  'REPLY_LOST',
  'STORE_DAMAGED',
  'TABLE_CHANGING',
]);
/** No later look succeeds. */
const final: ReadonlySet<ErrorCode> = new Set(['ADDON_NOT_LOADED', 'CLOSED', 'TRANSPORT_LACKS']);

/** Whether to go on after an error. What the first frame shows can be shown at all, so later ones are given more. */
export function isTemporary(error: unknown, isFirst: boolean): error is IpvsError {
  if (!(error instanceof IpvsError) || error.kind === 'input') return false;
  return isFirst ? passing.has(error.code) : !final.has(error.code);
}

/** Until the process is interrupted, which then ends as one that did what it was asked for. A temporary error is a frame. */
export async function watch(intervalSeconds: number, lines: boolean, frame: () => Promise<string>): Promise<void> {
  const inPlace = process.stdout.isTTY === true && !lines;
  if (inPlace) control(BEGIN);
  try {
    await untilInterrupted(async (signal) => {
      for (let first = true; !signal.aborted; first = false) {
        const text = await frame().catch((error) => {
          if (isTemporary(error, first)) return errorText(error, lines);
          throw error;
        });
        if (inPlace) {
          control(CLEAR);
          print(clipped(`every ${intervalSeconds}s, ctrl-c ends\n\n${text}`));
        } else print(first || lines ? text : `\n${text}`);
        await wait(intervalSeconds * 1000, undefined, { signal }).catch(() => undefined);
      }
    });
  } finally {
    if (inPlace) control(END);
  }
}

/** What fits: a picture that scrolls is none. */
function clipped(text: string): string {
  const rows = (process.stdout.rows || 24) - 1;
  const all = text.split('\n');
  if (all.length <= rows) return text;
  return [...all.slice(0, rows - 1), `… ${all.length - rows + 1} more lines`].join('\n');
}
