/** Counts the processes that the system starts during a file of kernel tests, for "scripts/test --timing". */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';

function started(): number {
  return Number(/^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
}

let before = 0;
beforeAll(() => {
  before = started();
});
// biome-ignore lint/correctness/noEmptyPattern: vitest reads which fixtures a hook wants from its first parameter
afterAll(({}, { meta }) => {
  Object.assign(meta, { processes: started() - before });
});
