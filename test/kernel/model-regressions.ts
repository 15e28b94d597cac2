/** Sequences in which the model and a kernel once disagreed, as the search shrank them. */
import type { Step } from '../helpers/operation-arbitraries.ts';

export const regressions: readonly { readonly learnt: string; readonly steps: readonly Step[] }[] = [
  {
    learnt: 'stopping a sync daemon whose thread has not run yet has no answer by netlink, and EINTR by the options',
    steps: (['netlink', 'sockopt'] as const).flatMap((via) => [
      { via, operation: { type: 'sync.start', daemon: { state: 'master', interface: 'lo', id: 0 } } },
      { via, operation: { type: 'sync.stop', state: 'master' } },
      { via, operation: { type: 'sync.start', daemon: { state: 'master', interface: 'lo', id: 1 } } },
      { via, operation: { type: 'sync.stop', state: 'master' } },
    ]),
  },
];
