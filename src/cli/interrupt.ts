/** What goes on until somebody has had enough. */
import { outputGone } from './stdout.ts';

/** The signal is aborted when the process is interrupted, which then ends as `work` does, or when nobody reads its output any more. */
export function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return untilSignalled((signal) => work(AbortSignal.any([signal, outputGone])));
}

/** The signal is aborted when the process is interrupted, which then ends as `work` does; whoever reads what it prints. */
export async function untilSignalled<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupted = () => stop.abort();
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  try {
    return await work(stop.signal);
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}
