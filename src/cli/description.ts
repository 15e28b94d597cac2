/** The files that describe what is wanted, as commands name them. */
import type { TextSource } from '../config/load.ts';
import { readText } from '../config/text-file.ts';
import type { LookupOptions } from '../state/host-lookup.ts';
import { type LoadedState, loadState } from '../state/load.ts';

/** A path, or for `-` standard input; yargs makes an empty text of it. */
export function sourceOf(file: string): string | TextSource {
  if (file !== '-' && (file !== '' || !process.argv.includes('-'))) return file;
  return { text: readText(0, 'stdin'), file: 'stdin' };
}

/** As `loadState` does. */
export function loadDescription(source: string | TextSource, options?: LookupOptions): Promise<LoadedState> {
  // A process cannot end before its resolver has given up, and glibc's by itself takes its time (resolv.conf(5)).
  process.env['RES_OPTIONS'] ??= 'timeout:2 attempts:2';
  return loadState(source, options);
}
