/** Around every file of kernel tests: what it opened is closed when it ends. */
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, expect, vi } from 'vitest';

/** Sockets, namespaces and files of /proc that this process has open. */
function held(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^socket:|^net:|\/net\//.test(target) ? [target] : [];
    } catch {
      return []; // the descriptor that the list was read by
    }
  });
}

let before: ReadonlySet<string>;
beforeAll(() => {
  before = new Set(held());
});
// Children's pipes are sockets too, and close a little after their end.
afterAll(() => vi.waitFor(() => expect(held().filter((target) => !before.has(target))).toEqual([]), 10_000));
