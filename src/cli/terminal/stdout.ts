/**
 * Standard output and standard error: whatever is printed goes through here, without characters that a terminal obeys. The
 * output's reader may leave early (`ipvs list | head`), which is no error, and a disk may be full, which
 * is one; neither stops a command that is changing something.
 */
import { once } from 'node:events';
import { terminalText } from './text.ts';

const gone = new AbortController();
let failure: NodeJS.ErrnoException | undefined;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  failure ??= error;
  gone.abort();
});
process.stderr.on('error', () => undefined);

/** Aborted when nobody can read what is printed any more: what only prints may end. */
export const outputGone: AbortSignal = gone.signal;

/** Why it cannot be written; undefined as long as it can, or where its reader has had enough. */
export function outputFailure(): string | undefined {
  return failure === undefined || failure.code === 'EPIPE' ? undefined : failure.message;
}

export function print(text: string): void {
  printPart(`${text}\n`);
}

/** Without the end of a line. */
export function printPart(text: string): void {
  if (!gone.signal.aborted) process.stdout.write(terminalText(text));
}

/** Sends a control sequence of our own. */
export function control(sequence: string): void {
  if (!gone.signal.aborted) process.stdout.write(sequence);
}

/** Prints a line, or several, to standard error. */
export function complain(text: string): void {
  console.error(terminalText(text));
}

/** For much of it: waits until whoever reads has caught up. False when nobody reads any more. */
export async function write(text: string): Promise<boolean> {
  if (gone.signal.aborted) return false;
  if (process.stdout.write(terminalText(text))) return true;
  try {
    await once(process.stdout, 'drain', { signal: gone.signal });
    return true;
  } catch {
    return false;
  }
}
