/** What goes on until somebody has had enough. */
import { outputGone } from './stdout.ts';

/** Also when its terminal goes: a session that is lost must not leave half of something. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The signal is aborted when the process is interrupted, which then ends as `work` does, or when nobody reads its output any more. */
export function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return untilSignalled((signal) => work(AbortSignal.any([signal, outputGone])));
}

/** The signal is aborted when the process is interrupted, which then ends as `work` does; whoever reads what it prints. */
export async function untilSignalled<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupted = () => stop.abort();
  for (const name of signals) process.on(name, interrupted);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of signals) process.off(name, interrupted);
  }
}
